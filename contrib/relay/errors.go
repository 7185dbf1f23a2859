package relay

import "errors"

// Errors that a caller can act on; compare with errors.Is.
var (
	// ErrTooLong is returned by an EventReader for an event that is longer
	// than its limit.
	ErrTooLong = errors.New("relay: longer than allowed")
	// ErrReported is returned by Forward when the miner reports an error in
	// its stream, whose text may be anything and is left out.
	ErrReported = errors.New("relay: the miner reported an error")
)
