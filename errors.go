package organic

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/organic-scoring/organic/internal/usercode"
)

// Errors that a caller can act on; compare with errors.Is.
var (
	// ErrInvalidOption is what every error of New about its arguments wraps,
	// and every error about an option of a queue or dataset.
	ErrInvalidOption = errors.New("organic: invalid option")
	// ErrNotBuilt is returned by every method of a scorer, queue or dataset that
	// its constructor has not made.
	ErrNotBuilt = errors.New("organic: scorer is not built, call New first")
	// ErrRunning is returned by Run and Start while a run, or a stop, has not
	// ended.
	ErrRunning = errors.New("organic: scorer is already running")
	// ErrStopping is returned by Iterate between a call of Stop and the end of
	// that stop.
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
	// ErrAbandoned fails a stage whose hook did not return in time after its ctx
	// ended, see [StagePolicy].
	ErrAbandoned = errors.New("organic: hook abandoned, it did not return after its ctx ended")
	// ErrClosed is returned by a queue or dataset that has been closed.
	ErrClosed = errors.New("organic: closed")
)

// Stage is a step of an iteration, or of what happens beside it, in which user
// code is called.
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
	StageSettle                      // the queue gets the verdict, or the sample back
	StageDeadLetter                  // the dead-letter hook
	StageEntry                       // the entry hooks at an axon
)

// String returns the stage in lower case.
func (s Stage) String() string {
	return nameOf(s, []string{
		StageSample: "sample", StageQuery: "query", StageReference: "reference",
		StageRewards: "rewards", StageWeights: "weights", StageLog: "log", StageSettle: "settle",
		StageDeadLetter: "dead letter", StageEntry: "entry",
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

// PanicError is a panic that the scorer recovered. Printed, logged or encoded
// it gives the type of the value and never the value itself, which may hold a
// payload; only the text of a [runtime.Error] is given.
type PanicError struct {
	detail *panicDetail // behind pointers, so that fmt prints an address whatever the verb
}

type panicDetail struct {
	value *any
	stack []byte
}

// NewPanicError returns the error for a value that recover has returned. It must
// be called by the deferred function, so that Stack is that of the panic.
func NewPanicError(value any) *PanicError {
	return &PanicError{detail: &panicDetail{value: &value, stack: debug.Stack()}}
}

// Value is what panic was called with. It may hold a payload.
func (e PanicError) Value() any {
	if e.detail == nil {
		return nil
	}
	return *e.detail.value
}

// Stack is the stack of the goroutine that panicked.
func (e PanicError) Stack() []byte {
	if e.detail == nil {
		return nil
	}
	return e.detail.stack
}

func (e PanicError) Error() string {
	if err, ok := e.Value().(runtime.Error); ok {
		return "panic: " + usercode.Text(err)
	}
	return fmt.Sprintf("panic: value of type %T", e.Value())
}

// Format writes the text of Error, whatever the verb.
func (e PanicError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// MarshalText gives encoders the text of Error.
func (e PanicError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// LogValue gives slog the text of Error.
func (e PanicError) LogValue() slog.Value { return slog.StringValue(e.Error()) }
