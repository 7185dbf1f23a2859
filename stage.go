package organic

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/internal/backoff"
	"github.com/organic-scoring/organic/internal/lifecycle"
	"github.com/organic-scoring/organic/internal/notify"
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
	it.report(EventStageRetried, stage, wait, err)
	return it.sleep(wait)
}

// endStage notes how long a stage took, and cancels the sibling of a query or
// reference that failed.
func (it *iteration[S, R]) endStage(stage Stage) {
	took := it.noteDuration(stage)
	err := it.errs[stage]
	switch {
	case err == nil:
		it.report(EventStageDone, stage, took, nil)
	case stage == StageLog:
		it.report(EventLogFailed, stage, took, err)
	default:
		if stage == StageQuery || stage == StageReference {
			it.unit.Cancel(err)
		}
		it.report(EventStageFailed, stage, took, err)
	}
}

// noteDuration returns how long a stage took, and notes it in the result, which
// belongs to the log hook once that has been called.
func (it *iteration[S, R]) noteDuration(stage Stage) time.Duration {
	if stage == StageLog && it.logBegun == 0 {
		return 0 // nothing shows it
	}
	durations := &it.result.Durations
	now := it.elapsed()
	switch stage {
	case StageQuery:
		durations.Query = now - durations.Sample
		return durations.Query
	case StageReference:
		durations.Reference = now - durations.Sample
		return durations.Reference
	case StageRewards:
		durations.Rewards = now - durations.Sample - durations.Responses
		return durations.Rewards
	case StageWeights:
		durations.Weights = now - durations.Sample - durations.Responses - durations.Rewards
		durations.Total = now
		return durations.Weights
	default:
		return now - it.logBegun
	}
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
		return it.protect(&it.ctx, stage, it.result)
	}
	return it.callBounded(stage, policy)
}

// callBounded calls a hook whose stage has a timeout, or which may be abandoned.
func (it *iteration[S, R]) callBounded(stage Stage, policy *StagePolicy) error {
	ctx := &stageContext{hookContext: &it.ctx}
	defer ctx.end()
	if policy.Timeout > 0 {
		ctx.deadline = time.Now().Add(policy.Timeout)
		defer it.newAlarm(stage, policy.Timeout).stop()
	}
	if policy.Abandon > 0 {
		return it.callAbandonable(ctx, stage, policy.Abandon)
	}
	return it.protect(ctx, stage, it.result)
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

// protect calls the hook of a stage and turns a panic into an error.
func (it *iteration[S, R]) protect(ctx context.Context, stage Stage, result *Result[S, R]) error {
	return usercode.Call(func() error { return it.invoke(ctx, stage, result) }, newPanicError)
}

// invoke calls the hook of a stage with what the result has so far, and stores
// there what it returns.
func (it *iteration[S, R]) invoke(ctx context.Context, stage Stage, r *Result[S, R]) (err error) {
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
	ctx *stageContext, stage Stage, patience time.Duration,
) error {
	private := &Result[S, R]{Sample: it.result.Sample}
	if stage == StageRewards {
		*private = *it.result
	}
	call := it.engine.goAbandonable(func() error { return it.protect(ctx, stage, private) })
	select {
	case <-call.returned:
	case <-ctx.Done():
		if call.abandonAfter(patience, &it.engine.gauges.abandoned) {
			it.report(EventAbandoned, stage, patience, nil)
			return ErrAbandoned
		}
	}
	switch stage {
	case StageQuery:
		it.result.Responses = private.Responses
	case StageReference:
		it.result.Reference = private.Reference
	default:
		it.result.Rewards = private.Rewards
	}
	return call.err
}

// abandonable is a call of a hook that may be abandoned.
type abandonable struct {
	err      error         // set when returned is closed
	returned chan struct{} // closed when the hook has returned

	mu        sync.Mutex // guards abandoned, and the closing of returned
	abandoned bool
}

// goAbandonable calls fn in a goroutine of its own. A stop waits for that
// goroutine unless the call is abandoned.
func (e *engine[S, R]) goAbandonable(fn func() error) *abandonable {
	call := &abandonable{err: ErrGoexit, returned: make(chan struct{})}
	go func() {
		defer func() {
			call.mu.Lock()
			defer call.mu.Unlock()
			close(call.returned)
			if call.abandoned {
				e.gauges.abandoned.Add(-1)
			}
		}()
		call.err = fn()
	}()
	return call
}

// abandonAfter waits for the hook to return, and abandons it after patience.
func (c *abandonable) abandonAfter(patience time.Duration, gauge *atomic.Int64) (abandoned bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.returned:
		return false
	case <-timer.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned = !notify.Closed(c.returned)
	if c.abandoned {
		gauge.Add(1)
	}
	return c.abandoned
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
	ctx, cancel := context.WithTimeout(e.mark(ctx), limit)
	defer cancel()
	call := e.goAbandonable(func() error {
		return usercode.Call(func() error { return fn(ctx) }, newPanicError)
	})
	select {
	case <-call.returned:
	case <-ctx.Done():
		if call.abandonAfter(settleGrace, &e.gauges.abandoned) {
			return &StageError{Stage: stage, Err: ErrAbandoned}
		}
	}
	if call.err != nil {
		return &StageError{Stage: stage, Err: call.err}
	}
	return nil
}

// runIsolated calls user code in a goroutine of its own and waits for it.
func runIsolated(fn func() error) error {
	return usercode.CallIsolated(fn, newPanicError, ErrGoexit)
}

// hookContext is the ctx of a hook. It marks the scorer that calls the hook,
// and carries the annotations of the iteration.
type hookContext struct {
	context.Context //nolint:containedctx // is a ctx itself

	life        *lifecycle.Machine
	annotations annotations
}

// mark makes a ctx one of a hook.
func (e *engine[S, R]) mark(ctx context.Context) context.Context {
	return &hookContext{Context: ctx, life: e.life, annotations: annotations{frozen: true}}
}

// hookKey finds the mark of a scorer.
type hookKey struct{ life *lifecycle.Machine }

// Value finds the mark, the annotations, and what else is in the ctx.
func (c *hookContext) Value(key any) any {
	switch key {
	case hookKey{c.life}:
		return true
	case annotationsKey{}:
		return &c.annotations
	default:
		return c.Context.Value(key)
	}
}

// inHook reports whether ctx is one that a hook of this scorer was given.
func (e *engine[S, R]) inHook(ctx context.Context) bool { return ctx.Value(hookKey{e.life}) != nil }

// stageContext is the ctx of a hook whose stage has a timeout. It costs a timer
// only if the hook asks for Done, or derives another ctx from it.
type stageContext struct {
	*hookContext

	deadline time.Time // zero: none
	once     sync.Once
	timed    atomic.Pointer[timedContext] // nil until Done is called
}

type timedContext struct {
	context.Context //nolint:containedctx // is a ctx itself

	cancel context.CancelFunc
}

// Deadline returns the earlier of the stage's deadline and the iteration's.
func (c *stageContext) Deadline() (time.Time, bool) {
	outer, ok := c.hookContext.Deadline()
	if c.deadline.IsZero() || ok && outer.Before(c.deadline) {
		return outer, ok
	}
	return c.deadline, true
}

// Done starts the timer.
func (c *stageContext) Done() <-chan struct{} { return c.start().Done() }

// Err starts no timer as long as the deadline has not passed.
func (c *stageContext) Err() error {
	over := !c.deadline.IsZero() && !time.Now().Before(c.deadline)
	if c.timed.Load() == nil && c.hookContext.Err() == nil && !over {
		return nil
	}
	return c.start().Err()
}

// Value lets the context package find the ctx whose Done channel this one has.
func (c *stageContext) Value(key any) any {
	if timed := c.timed.Load(); timed != nil {
		return timed.Value(key)
	}
	return c.hookContext.Value(key)
}

func (c *stageContext) start() *timedContext {
	c.once.Do(func() {
		timed := &timedContext{}
		if c.deadline.IsZero() {
			timed.Context, timed.cancel = context.WithCancel(c.hookContext)
		} else {
			timed.Context, timed.cancel = context.WithDeadline(c.hookContext, c.deadline)
		}
		c.timed.Store(timed)
	})
	return c.timed.Load()
}

// endedContext is the ctx of a hook that has returned without using its own.
var endedContext = func() *timedContext {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &timedContext{Context: ctx, cancel: cancel}
}()

// end releases the timer once the hook has returned.
func (c *stageContext) end() {
	c.once.Do(func() { c.timed.Store(endedContext) })
	c.timed.Load().cancel()
}

func newPanicError(value any) error { return NewPanicError(value) }
