package weights

import (
	"errors"
	"fmt"
)

// Errors that a caller can act on; compare with errors.Is.
var (
	// ErrInvalidOption is what every error about a parameter or option wraps.
	ErrInvalidOption = errors.New("weights: invalid option")
	// ErrMetagraph is returned for a metagraph that cannot be a subnet's: one
	// without neurons, too many of them, or hotkeys missing, given twice or no UTF-8.
	ErrMetagraph = errors.New("weights: invalid metagraph")
	// ErrOldMetagraph is returned by SetMetagraph for a metagraph that was read at an earlier block
	// than the one before, for instance from a node that lags behind.
	ErrOldMetagraph = errors.New("weights: metagraph of an earlier block")
	// ErrNoMetagraph is returned by Scores that were not told yet who holds
	// which UID: call SetMetagraph first.
	ErrNoMetagraph = errors.New("weights: no metagraph yet")
	// ErrWhenAsked is returned by Update for a Round that tells neither when
	// nor by which metagraph the miners were asked.
	ErrWhenAsked = errors.New("weights: unknown when the miners were asked")

	// ErrLength is returned when there are not as many UIDs as scores.
	ErrLength = errors.New("weights: as many UIDs as scores are needed")
	// ErrEmpty is returned when there is nothing to convert or to set.
	ErrEmpty = errors.New("weights: nothing given")
	// ErrUIDRange is returned for a UID that the subnet does not have.
	ErrUIDRange = errors.New("weights: UID out of range")
	// ErrDuplicateUID is returned for a UID that was given twice.
	ErrDuplicateUID = errors.New("weights: UID given twice")
	// ErrNotFinite is returned for NaN, an infinity, and what becomes one in
	// the float32 that weights are computed in.
	ErrNotFinite = errors.New("weights: not a finite float32")
	// ErrNegative is returned for a negative score.
	ErrNegative = errors.New("weights: negative score")
	// ErrNoScores is returned by Scores.Convert while no miner has a positive
	// score: none has earned anything yet.
	ErrNoScores = errors.New("weights: no miner has a positive score")
	// ErrPath is returned by a Setter for a vector that is uniform or padded, unless WithPaths
	// allows it: it pays by something else than scores.
	ErrPath = errors.New("weights: vector is not by score")
	// ErrTooFew is returned by a Setter for a vector that the chain would
	// refuse, since it has fewer entries than the subnet's minimum. Trying
	// again helps only where the scores change: see WithZeroPadding.
	ErrTooFew = errors.New("weights: fewer entries than the minimum allowed")

	// ErrLocked is returned by OpenSaver if another process, or another Saver of this one, has the
	// file.
	ErrLocked = errors.New("weights: snapshot is in use")
	// ErrClosed is returned by a Saver after Close.
	ErrClosed = errors.New("weights: saver is closed")
	// ErrSnapshot is returned by OpenSaver for a file that is truncated, damaged or
	// no snapshot at all.
	ErrSnapshot = errors.New("weights: not a whole snapshot")
	// ErrSnapshotVersion is returned by OpenSaver for a snapshot that a later
	// version of this package has written.
	ErrSnapshotVersion = errors.New("weights: snapshot of a later version")
	// ErrSnapshotAverage is returned by OpenSaver for a snapshot of a window where
	// an exponential average is configured, or the other way round.
	ErrSnapshotAverage = errors.New("weights: snapshot of another kind of average")

	// ErrRunning is returned by Run while another Run has not ended.
	ErrRunning = errors.New("weights: setter is already running")
)

// invalid returns the error of an option: which one, and what would be right.
func invalid(option, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalidOption, option, fmt.Sprintf(format, args...))
}
