package organic

import (
	"context"
	"errors"
	"runtime/debug"
	"time"
)

// overdueGrace is how much longer than its timeout a hook may take to notice
// that its ctx has ended.
const overdueGrace = 100 * time.Millisecond

// goexits holds, for each stage, the error of a hook that has not returned.
var goexits = func() (errs [StageEntry + 1]error) {
	for stage := range errs {
		errs[stage] = &StageError{Stage: Stage(stage), Err: ErrGoexit}
	}
	return errs
}()

// stage calls a hook as the policy of its stage says, and returns how long
// that took since begun, all tries included. Times count from the iteration's
// start.
func (it *iteration[S, R]) stage(
	ctx context.Context, stage Stage, begun time.Duration, hook func(ctx context.Context) error,
) (took time.Duration, err error) {
	policy := &it.scorer.stages[stage]
	for try := 1; ; try++ {
		if policy.Timeout == 0 {
			err = protect(ctx, hook)
		} else {
			err = it.callWithin(ctx, stage, policy.Timeout, hook)
		}
		if err == nil || try >= policy.Tries || isFinal(err) || ctx.Err() != nil {
			break
		}
		backoff := policy.backoff(try)
		it.tell(EventStageRetried, stage, backoff, err)
		if !it.wait(ctx, backoff) {
			break
		}
	}
	took = it.elapsed() - begun
	if err != nil {
		return took, &StageError{Stage: stage, Err: err}
	}
	it.tell(EventStageDone, stage, took, nil)
	return took, nil
}

// isFinal reports whether trying the stage again would go against the hook's
// own words.
func isFinal(err error) bool {
	if _, ok := errors.AsType[*discardError](err); ok {
		return true
	}
	_, ok := errors.AsType[*retryAfterError](err)
	return ok
}

// wait is the pause between two tries. A soft stop cuts it short; false says
// that ctx has ended and that there shall be no further try.
func (it *iteration[S, R]) wait(ctx context.Context, backoff time.Duration) bool {
	timer := time.NewTimer(backoff)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-it.flight.stopping:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// callWithin calls a hook whose stage has a timeout.
func (it *iteration[S, R]) callWithin(
	ctx context.Context, stage Stage, timeout time.Duration, hook func(ctx context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer it.watchOverdue(stage, timeout+overdueGrace)()
	return protect(ctx, hook)
}

// watchOverdue tells of a hook that takes longer than limit, and counts it
// until stop is called.
func (it *iteration[S, R]) watchOverdue(stage Stage, limit time.Duration) (stop func()) {
	told := make(chan struct{})
	timer := time.AfterFunc(limit, func() {
		defer close(told)
		it.scorer.overdue.Add(1)
		it.tell(EventOverdue, stage, limit, nil)
	})
	return func() {
		if !timer.Stop() {
			<-told
			it.scorer.overdue.Add(-1)
		}
	}
}

// protect calls a function of the user's and turns its panic into an error. An
// error that panics when it is looked at, as a nil pointer in an error does,
// is a panic too.
func protect(ctx context.Context, call func(ctx context.Context) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = newPanicError(value)
		}
	}()
	err = call(ctx)
	if err != nil {
		_ = errors.Is(err, errProbe)
	}
	return err
}

// errProbe is in no error: looking for it visits all that is.
var errProbe = errors.New("organic: probe")

func newPanicError(value any) *PanicError {
	return &PanicError{Value: value, Stack: debug.Stack()}
}

// conclude calls a function of the user's and then, in every case, next with
// the error it ended in: its own, a panic, or ErrGoexit. Errors are wrapped
// with the stage.
func conclude(ctx context.Context, stage Stage, call func(ctx context.Context) error, next func(err error)) {
	err := goexits[stage]
	defer func() { next(err) }()
	err = protect(ctx, call)
	if err != nil {
		err = &StageError{Stage: stage, Err: err}
	}
}
