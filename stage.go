package organic

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/internal/backoff"
	"github.com/organic-scoring/organic/internal/hookctx"
	"github.com/organic-scoring/organic/internal/usercode"
)

// overdueGrace is how much longer than its timeout a hook may take to notice
// that its ctx has ended.
const overdueGrace = 100 * time.Millisecond

// settleTimeout is how long a queue has to settle a lease or take a sample
// back, and the dead-letter hook to take a sample, whatever was cancelled.
const settleTimeout = 10 * time.Second

// goexits holds, for each stage, the error of a hook that has not returned.
var goexits = func() (errs [StageEntry + 1]error) {
	for stage := range errs {
		errs[stage] = &StageError{Stage: Stage(stage), Err: ErrGoexit}
	}
	return errs
}()

// runStage calls the hook of a stage as its policy says, and notes how that
// ended in errs.
func (it *iteration[S, R]) runStage(stage Stage) {
	defer it.endStage(stage) // also when the hook leaves by runtime.Goexit
	policy := &it.engine.stages[stage]
	for try := 1; ; try++ {
		it.errs[stage] = goexits[stage]
		err := it.callHook(stage, policy)
		if err == nil && stage == StageRewards {
			err = it.result.Rewards.check()
		}
		if err == nil {
			it.errs[stage] = nil
			return
		}
		it.errs[stage] = &StageError{Stage: stage, Err: err}
		if !it.waitForTry(stage, policy, try, err) {
			return
		}
	}
}

// waitForTry waits for the next try of a stage. It returns false if there is
// none.
func (it *iteration[S, R]) waitForTry(
	stage Stage, policy *StagePolicy, failed int, err error,
) bool {
	if failed >= policy.Tries || isFinal(err) || it.ctx.Err() != nil {
		return false
	}
	wait := policy.backoff(failed)
	it.report(EventStageRetried, stage, wait, it.errs[stage])
	return it.sleep(wait)
}

// endStage notes how long a stage took, and cancels the sibling of a query or
// reference that failed.
func (it *iteration[S, R]) endStage(stage Stage) {
	took, at := it.noteDuration(stage)
	err := it.errs[stage]
	switch {
	case err == nil:
		if it.engine.reporter.enabled(EventStageDone) { // nothing counts it
			it.publish(EventStageDone, at, stage, took, nil)
		}
	case stage == StageLog:
		it.report(EventLogFailed, stage, took, err)
	default:
		if stage == StageQuery || stage == StageReference {
			it.unit.Cancel(err)
		}
		it.report(EventStageFailed, stage, took, err)
	}
}

// noteDuration returns how long a stage took and when it ended, counted from the
// start of the iteration. It notes that in the result, which belongs to the log
// hook once that has been called.
func (it *iteration[S, R]) noteDuration(stage Stage) (took, ended time.Duration) {
	if stage == StageLog && !it.engine.reporter.enabled(EventLogFailed) {
		return 0, 0 // nothing shows it
	}
	durations := &it.result.Durations
	ended = it.elapsed()
	switch stage {
	case StageQuery:
		took = ended - durations.Sample
		durations.Query = took
	case StageReference:
		took = ended - durations.Sample
		durations.Reference = took
	case StageRewards:
		took = ended - durations.Sample - durations.Responses
		durations.Rewards = took
	case StageWeights:
		took = ended - durations.Sample - durations.Responses - durations.Rewards
		durations.Weights, durations.Total = took, ended
	default:
		took = ended - it.logBegun
	}
	return took, ended
}

// sleep waits between two tries. A soft stop cuts the wait short. It returns
// false if ctx has ended, after which there is no further try.
func (it *iteration[S, R]) sleep(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-it.unit.Stopping():
	case <-it.ctx.Done():
	}
	return it.ctx.Err() == nil
}

// callHook calls the hook of a stage once.
func (it *iteration[S, R]) callHook(stage Stage, policy *StagePolicy) error {
	if policy.Timeout == 0 && policy.Abandon == 0 {
		return it.invoke(&it.ctx, stage, it.result)
	}
	return it.callBounded(stage, policy)
}

// callBounded calls a hook whose stage has a timeout, or which may be abandoned.
func (it *iteration[S, R]) callBounded(stage Stage, policy *StagePolicy) error {
	var deadline time.Time
	if policy.Timeout > 0 {
		deadline = time.Now().Add(policy.Timeout)
		defer it.newAlarm(stage, policy.Timeout).stop()
	}
	ctx := hookctx.WithDeadline(&it.ctx, deadline)
	defer ctx.End()
	if policy.Abandon > 0 {
		return it.callAbandonable(ctx, stage, policy.Abandon)
	}
	return it.invoke(ctx, stage, it.result)
}

// alarm reports a hook that overstays its timeout.
type alarm struct {
	timer     *time.Timer
	gauge     *atomic.Int64
	reporting sync.WaitGroup
}

func (it *iteration[S, R]) newAlarm(stage Stage, timeout time.Duration) *alarm {
	a := &alarm{gauge: &it.engine.gauges.overdue}
	a.reporting.Add(1)
	after := backoff.Sum(timeout, overdueGrace)
	a.timer = time.AfterFunc(after, func() {
		defer a.reporting.Done()
		a.gauge.Add(1)
		it.report(EventOverdue, stage, after, nil)
	})
	return a
}

// stop is called when the hook has returned, and waits for a report that has
// begun.
func (a *alarm) stop() {
	if !a.timer.Stop() {
		a.reporting.Wait()
		a.gauge.Add(-1)
	}
}

// invoke calls the hook of a stage with what the result has so far, and stores
// there what it returns. A panic is an error.
func (it *iteration[S, R]) invoke(ctx context.Context, stage Stage, r *Result[S, R]) (err error) {
	defer usercode.Recover(&err, newPanicError)
	hooks := it.engine.hooks
	switch stage {
	case StageQuery:
		r.Responses, err = hooks.QueryMiners(ctx, r.Sample)
	case StageReference:
		r.Reference, err = hooks.GenerateReference(ctx, r.Sample)
	case StageRewards:
		r.Rewards, err = hooks.GenerateRewards(ctx, r.Sample, r.Responses, r.Reference)
	case StageWeights:
		err = hooks.SetWeights(ctx, r.Sample, r.Rewards)
		it.scored = err == nil
	case StageLog:
		err = hooks.LogResults(ctx, r)
	default:
	}
	return err
}

// callAbandonable calls a hook in a goroutine of its own and abandons it if
// it has not returned that long after its ctx ended. The hook works on a result
// of its own, so that nothing it does late can race with the iteration.
func (it *iteration[S, R]) callAbandonable(
	ctx context.Context, stage Stage, patience time.Duration,
) error {
	private := &Result[S, R]{Sample: it.result.Sample}
	if stage == StageRewards {
		*private = *it.result
	}
	returned, err := it.engine.callAbandonable(ctx, patience, func() error {
		return it.invoke(ctx, stage, private)
	})
	if !returned {
		it.report(EventAbandoned, stage, patience, nil)
		return ErrAbandoned
	}
	switch stage {
	case StageQuery:
		it.result.Responses = private.Responses
	case StageReference:
		it.result.Reference = private.Reference
	default:
		it.result.Rewards = private.Rewards
	}
	return err
}

func (e *engine[S, R]) callAbandonable(
	ctx context.Context, patience time.Duration, fn func() error,
) (returned bool, err error) {
	return usercode.CallAbandonable(
		ctx, patience, &e.gauges.abandoned, fn, newPanicError, ErrGoexit)
}

// settleGrace is how long after the end of its ctx a queue, a dataset or the
// dead-letter hook is awaited.
const settleGrace = time.Second

// callWithin calls a function that is not part of an iteration's stages: a
// queue's Add or Settle, a dataset, or the dead-letter hook. It calls it in a
// goroutine of its own, with a ctx of its own that allows limit, and abandons it
// if it ignores the end of that.
func (e *engine[S, R]) callWithin(
	ctx context.Context, stage Stage, limit time.Duration, fn func(ctx context.Context) error,
) error {
	ctx, cancel := context.WithTimeout(e.caller.Mark(ctx), limit)
	defer cancel()
	returned, err := e.callAbandonable(ctx, settleGrace, func() error { return fn(ctx) })
	if !returned {
		err = ErrAbandoned
	}
	if err != nil {
		return &StageError{Stage: stage, Err: err}
	}
	return nil
}

// runIsolated calls user code in a goroutine of its own and waits for it.
func runIsolated(fn func() error) error {
	return usercode.CallIsolated(fn, newPanicError, ErrGoexit)
}

func newPanicError(value any) error { return NewPanicError(value) }
