package organic

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"
)

// Errors that a caller can act on; compare with errors.Is.
var (
	// ErrInvalidOption is what every error of New about its arguments wraps,
	// and every error about an option of a queue or dataset.
	ErrInvalidOption = errors.New("organic: invalid option")
	// ErrNotBuilt is returned by every method of a scorer that New has not made.
	ErrNotBuilt = errors.New("organic: scorer is not built, call New first")
	// ErrRunning is returned by Run and Start while a run has not ended.
	ErrRunning = errors.New("organic: scorer is already running")
	// ErrStopping is returned by Iterate when Stop has been called and not
	// everything has come to rest.
	ErrStopping = errors.New("organic: scorer is stopping")
	// ErrStopInHook is returned by Stop for a hook's own ctx: the stop is
	// requested, but a hook that waited for it would wait for itself.
	ErrStopInHook = errors.New("organic: stop requested from inside a hook, which cannot wait for it")
	// ErrInHook is returned by Drain, Iterate, Run and Start for a hook's own
	// ctx: the hook would wait for itself.
	ErrInHook = errors.New("organic: called with a hook's ctx, would wait for itself")
	// ErrEmpty is returned by a queue that has no sample to give now, and by
	// Iterate when there is nothing to score.
	ErrEmpty = errors.New("organic: nothing to score")
	// ErrFull is returned by Add and Enqueue where a full queue refuses
	// samples instead of dropping them.
	ErrFull = errors.New("organic: queue is full")
	// ErrDuplicate is returned by Add and Enqueue where a durable queue already
	// holds a sample with that ID.
	ErrDuplicate = errors.New("organic: sample ID is queued already")
	// ErrGone is returned by a queue whose storage (a stream, a consumer, a
	// file) has been removed while it was in use.
	ErrGone = errors.New("organic: storage of the queue is gone")
	// ErrBadReward fails an iteration whose rewards hold NaN or an infinity.
	ErrBadReward = errors.New("organic: reward is not a finite number")
	// ErrGoexit fails a stage whose hook ended its goroutine with
	// runtime.Goexit, as testing's FailNow does.
	ErrGoexit = errors.New("organic: hook left by runtime.Goexit")
	// ErrClosed is returned by a dataset that has been closed.
	ErrClosed = errors.New("organic: dataset is closed")
)

// Stage is a part of an iteration, or of what happens round it.
type Stage uint8

// The stages, in the order of an iteration. [WithStage] takes StageQuery to
// StageLog.
const (
	StageSample     Stage = iota + 1 // a queue or dataset gives a sample
	StageQuery                       // QueryMiners
	StageReference                   // GenerateReference
	StageRewards                     // GenerateRewards
	StageWeights                     // SetWeights
	StageLog                         // LogResults
	StageSettle                      // the queue is told the verdict, or gets the sample back
	StageDeadLetter                  // the dead-letter hook
	StageEntry                       // the entry hooks at an axon
)

// String returns the stage in lower case.
func (s Stage) String() string {
	return nameOf(s, []string{
		StageSample: "sample", StageQuery: "query", StageReference: "reference", StageRewards: "rewards", StageWeights: "weights",
		StageLog: "log", StageSettle: "settle", StageDeadLetter: "dead letter", StageEntry: "entry",
	})
}

// StageError says in which stage a hook, queue or dataset failed. Where
// QueryMiners and GenerateReference both failed, two of them are joined.
type StageError struct {
	Stage Stage
	Err   error
}

func (e *StageError) Error() string { return fmt.Sprintf("organic: %s: %v", e.Stage, e.Err) }

// Unwrap returns the cause.
func (e *StageError) Unwrap() error { return e.Err }

// PanicError is a panic that the scorer recovered. Its text gives the type of
// the value and never the value itself, which may hold a payload; only the
// text of a [runtime.Error] is given.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	if err, ok := e.Value.(runtime.Error); ok {
		return "panic: " + err.Error()
	}
	return fmt.Sprintf("panic: value of type %T", e.Value)
}

// Format writes the text of Error, whatever the verb, to keep the value out.
func (e *PanicError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// MarshalText gives encoders the text of Error, to keep the value out.
func (e *PanicError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// retryAfterError is the error of RetryAfter.
type retryAfterError struct {
	delay time.Duration
	err   error
}

func (e *retryAfterError) Error() string { return fmt.Sprintf("retry after %v: %v", e.delay, e.err) }
func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter wraps the error of a hook that cannot do its work now: the sample
// comes back after the delay, and the attempt is not counted (see [Lease] for
// queues that count deliveries). It ends the tries of the stage. A synthetic
// sample is dropped all the same.
func RetryAfter(delay time.Duration, err error) error {
	return &retryAfterError{delay: max(delay, 0), err: err}
}

// discardError is the error of Discard.
type discardError struct{ err error }

func (e *discardError) Error() string { return fmt.Sprintf("discard: %v", e.err) }
func (e *discardError) Unwrap() error { return e.err }

// Discard wraps the error of a hook that will never be able to score this
// sample: it goes to the dead letters at once, however many attempts are left.
// Where errors are joined, Discard wins over RetryAfter.
func Discard(err error) error { return &discardError{err: err} }
