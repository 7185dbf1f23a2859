package natsqueue

import (
	"errors"
	"fmt"

	"github.com/organic-scoring/organic"
)

// Errors that a caller can act on; compare with errors.Is. A full queue
// answers [organic.ErrFull], an empty one [organic.ErrEmpty], and a bad option
// wraps [organic.ErrInvalidOption].
var (
	// ErrUnavailable says that the server could not be asked in time. What Add
	// was given is not stored.
	ErrUnavailable = errors.New("natsqueue: server is not available")
	// ErrUnconfirmed is returned by Add when a sample was sent and the server
	// has not confirmed it in time: it may be stored or not. Adding it again
	// under the same ID, within the window of [WithDedupeWindow], is safe.
	ErrUnconfirmed = errors.New("natsqueue: sample was sent and not confirmed")
	// ErrTooLarge is returned by Add for a sample that the server would never
	// take: longer than its limit for a message less the 8 KiB that a dead
	// letter may need besides, or than [WithMaxBytes].
	ErrTooLarge = errors.New("natsqueue: sample is too large")
	// ErrClosed is returned by Add and Sample after Close.
	ErrClosed = errors.New("natsqueue: queue is closed")
	// ErrLeaseOver is returned by Settle when the lease had been given back
	// before, because of [WithMaxLease] or Close. A final verdict has reached
	// the server all the same, but another scorer may have got the sample.
	ErrLeaseOver = errors.New("natsqueue: lease was over")
	// ErrMismatch is returned by New when a stream or consumer of this name
	// exists with other settings. Its text names them, see [WithUpdate].
	ErrMismatch = errors.New("natsqueue: exists with other settings")
	// ErrUndecodable is wrapped by what is said of a message that is not a
	// sample, or not one that this queue's codec and cipher can read.
	ErrUndecodable = errors.New("natsqueue: message cannot be decoded")
	// ErrNoDeadLetter is returned where no dead letter has this number.
	ErrNoDeadLetter = errors.New("natsqueue: no such dead letter")
	// ErrExpired is returned by PutBack for a dead letter that is older than
	// the maximum age, which would expire at once.
	ErrExpired = errors.New("natsqueue: sample is older than the maximum age")
)

// errSettled fails a second verdict on one lease.
var errSettled = errors.New("natsqueue: lease was settled before")

// errBadID fails Add for an ID that would not come back as it was.
var errBadID = errors.New("natsqueue: ID is not valid UTF-8")

// invalid is an error about an option.
func invalid(what, format string, args ...any) error {
	return fmt.Errorf("natsqueue: %w: %s: %s", organic.ErrInvalidOption, what, fmt.Sprintf(format, args...))
}
