package organic

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"
)

// iteration is one sample on its way from its source to where it belongs
// afterwards. Its methods follow each other in the order of the file.
//
// A hook can leave the goroutine by runtime.Goexit. So whatever must happen
// after a hook stands in a deferred call, and the error of each stage is
// ErrGoexit until its hook has returned.
type iteration[S, R any] struct {
	scorer  *OrganicScorer[S, R]
	flight  flight
	hookCtx hookContext // what the hooks are given

	settle      func(ctx context.Context, verdict Verdict) error // nil: put back by Add
	about       identity                                         // of the sample
	result      *Result[S, R]                                    // the log hook's own once it has been called
	fromDataset bool
	weighed     bool // SetWeights returned nil

	asking       sync.WaitGroup // the goroutine of QueryMiners
	queryErr     error
	referenceErr error
	err          error // why the sample is not scored, once it is known
}

// Iterate runs one iteration now, in the caller's goroutine: for tests, and
// for programs with a loop of their own. It waits for a free slot (see
// [WithConcurrency]), ignores trigger and Pause, moves neither clock nor
// counter, and is waited for by Stop.
//
// The error is [ErrEmpty] when there is nothing to score; that of the hook
// that failed, whose sample has then been dealt with as always; [ErrStopping];
// or the cause of ctx. A hook that leaves by runtime.Goexit takes the caller's
// goroutine with it. The result is the one that LogResults got.
func (s *OrganicScorer[S, R]) Iterate(ctx context.Context) (*Result[S, R], error) {
	if !s.built() {
		return nil, ErrNotBuilt
	}
	if s.life.inHook(ctx) {
		return nil, ErrInHook
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var stopping <-chan struct{} // the stop it must come before, if it has to wait
	if !s.tookSlot() {
		stopping = s.life.nextStop()
		if err := s.waitForSlot(ctx, stopping); err != nil {
			return nil, err
		}
	}
	defer s.wake() // the loop may have wanted the slot
	it, ctx, err := s.depart(ctx, stopping)
	if err != nil {
		return nil, err
	}
	it.fly(ctx)
	if it.err != nil {
		return nil, it.err
	}
	return it.result, nil
}

// tookSlot takes a slot if there is one.
func (s *OrganicScorer[S, R]) tookSlot() bool {
	select {
	case s.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *OrganicScorer[S, R]) waitForSlot(ctx context.Context, stopping <-chan struct{}) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-stopping:
		return ErrStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// depart makes an iteration for a slot that is taken, with a sample and a ctx
// of its own, or gives the slot back and says why not.
func (s *OrganicScorer[S, R]) depart(ctx context.Context, stopping <-chan struct{}) (*iteration[S, R], context.Context, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	started := time.Now()
	it := &iteration[S, R]{
		scorer:  s,
		flight:  flight{kind: iterationFlight, started: started, stopping: stopping, cancel: cancel},
		hookCtx: hookContext{Context: ctx, life: s.life},
		result:  &Result[S, R]{Started: started},
	}
	if err := s.life.admit(&it.flight); err != nil {
		cancel(nil)
		<-s.slots
		return nil, nil, err
	}
	taken := false
	defer func() {
		if !taken {
			it.land()
		}
	}()
	ctx = &it.hookCtx
	s.releaseHeld(ctx, it.flight.stopping)
	lease, fromDataset, err := s.sources.take(ctx)
	if err != nil {
		return nil, nil, err
	}
	taken = true
	it.board(lease, fromDataset)
	return it, ctx, nil
}

func (it *iteration[S, R]) board(lease Lease[S], fromDataset bool) {
	it.settle, it.fromDataset = lease.Settle, fromDataset
	it.result.Sample = lease.Sample.filled()
	it.result.Durations.Sample = it.elapsed()
	it.about = it.result.Sample.identity()
	if fromDataset {
		it.scorer.life.setSynthetic(&it.flight)
	}
}

// fly runs the stages and leaves the sample where it belongs.
func (it *iteration[S, R]) fly(ctx context.Context) {
	defer it.scorer.wake()
	defer it.land()
	defer it.conclude(ctx)
	it.tellStart()
	it.answer(ctx)
	it.reward(ctx)
	it.weigh(ctx)
}

// land gives back the slot. It does not wake the loop: one that found nothing
// to score would wake itself.
func (it *iteration[S, R]) land() {
	<-it.scorer.slots
	it.scorer.life.land(&it.flight)
}

func (it *iteration[S, R]) elapsed() time.Duration { return time.Since(it.flight.started) }

// tell reports an event of this iteration.
func (it *iteration[S, R]) tell(kind EventKind, stage Stage, d time.Duration, err error) {
	if it.isHeard(kind) {
		it.publish(kind, stage, d, err)
	}
}

// publish is not inlined, to keep the frames round a hook small: a new
// goroutine has a stack of 2 KiB, and a larger one costs more than the rest.
//
//go:noinline
func (it *iteration[S, R]) publish(kind EventKind, stage Stage, d time.Duration, err error) {
	e := it.about.event(kind)
	e.Stage, e.Duration, e.Err = stage, d, err
	it.scorer.reporter.publish(&e)
}

// tellStart reports the sample that was taken. A synthetic one, which was made
// meanwhile, has no age.
func (it *iteration[S, R]) tellStart() {
	if !it.isHeard(EventStarted) {
		return
	}
	e := it.about.event(EventStarted)
	e.Duration = max(it.result.Started.Sub(it.result.Sample.Received), 0)
	e.Size = it.scorer.size()
	it.scorer.reporter.publish(&e)
}

// isHeard counts an event and reports whether anybody wants to know more.
func (it *iteration[S, R]) isHeard(kind EventKind) bool {
	it.scorer.reporter.count(kind, it.fromDataset)
	return it.scorer.reporter.isHeard(kind)
}

// answer has the miners queried and the reference made, side by side, and
// waits for both.
func (it *iteration[S, R]) answer(ctx context.Context) {
	if !it.ready(ctx) {
		return
	}
	it.asking.Add(1)
	go it.query(ctx)
	defer func() {
		it.asking.Wait()
		durations := &it.result.Durations
		durations.Responses = max(durations.Query, durations.Reference)
		it.err = it.answerError(ctx)
	}()
	it.refer(ctx)
}

func (it *iteration[S, R]) query(ctx context.Context) {
	defer it.asking.Done()
	defer it.stopSibling(&it.queryErr)
	it.queryErr = goexits[StageQuery]
	it.result.Durations.Query, it.queryErr = it.stage(ctx, StageQuery, it.result.Durations.Sample, func(ctx context.Context) (err error) {
		it.result.Responses, err = it.scorer.hooks.QueryMiners(ctx, it.result.Sample)
		return err
	})
}

func (it *iteration[S, R]) refer(ctx context.Context) {
	defer it.stopSibling(&it.referenceErr)
	it.referenceErr = goexits[StageReference]
	it.result.Durations.Reference, it.referenceErr = it.stage(ctx, StageReference, it.result.Durations.Sample, func(ctx context.Context) (err error) {
		it.result.Reference, err = it.scorer.hooks.GenerateReference(ctx, it.result.Sample)
		return err
	})
}

// stopSibling cancels the iteration for the other one of query and reference.
func (it *iteration[S, R]) stopSibling(err *error) {
	if *err != nil {
		it.flight.cancel(*err)
	}
}

// answerError joins the errors of query and reference, but for one that only
// repeats the cancellation that the other one caused.
func (it *iteration[S, R]) answerError(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case it.queryErr == nil:
		return it.referenceErr
	case it.referenceErr == nil || errors.Is(cause, it.queryErr) && isEcho(it.referenceErr, cause):
		return it.queryErr
	case errors.Is(cause, it.referenceErr) && isEcho(it.queryErr, cause):
		return it.referenceErr
	default:
		return errors.Join(it.queryErr, it.referenceErr)
	}
}

// isEcho reports whether an error says nothing but that its ctx was cancelled
// for the cause. Of joined errors, all must.
func isEcho(err, cause error) bool {
	if reflect.ValueOf(cause).Comparable() && err == cause { //nolint:errorlint // the tree is walked here
		return true
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case interface{ Unwrap() []error }:
		return !slices.ContainsFunc(e.Unwrap(), func(err error) bool { return !isEcho(err, cause) })
	case interface{ Unwrap() error }:
		return isEcho(e.Unwrap(), cause)
	default:
		return errors.Is(err, context.Canceled)
	}
}

func (it *iteration[S, R]) reward(ctx context.Context) {
	if !it.ready(ctx) {
		return
	}
	it.err = goexits[StageRewards]
	durations := &it.result.Durations
	durations.Rewards, it.err = it.stage(ctx, StageRewards, durations.Sample+durations.Responses, func(ctx context.Context) (err error) {
		it.result.Rewards, err = it.scorer.hooks.GenerateRewards(ctx, it.result.Sample, it.result.Responses, it.result.Reference)
		if err != nil {
			return err
		}
		return it.result.Rewards.check()
	})
}

func (it *iteration[S, R]) weigh(ctx context.Context) {
	if !it.ready(ctx) {
		return
	}
	it.err = goexits[StageWeights]
	durations := &it.result.Durations
	before := durations.Sample + durations.Responses + durations.Rewards
	durations.Weights, it.err = it.stage(ctx, StageWeights, before, func(ctx context.Context) error {
		err := it.scorer.hooks.SetWeights(ctx, it.result.Sample, it.result.Rewards)
		it.weighed = err == nil
		return err
	})
	durations.Total = before + durations.Weights
}

// ready reports whether the next stage may begin.
func (it *iteration[S, R]) ready(ctx context.Context) bool {
	if it.err == nil && ctx.Err() != nil {
		it.err = fmt.Errorf("organic: interrupted: %w", context.Cause(ctx))
	}
	return it.err == nil
}

// interrupted reports whether it was not a stage that ended the iteration, but
// a hard stop or the caller's ctx.
func (it *iteration[S, R]) interrupted(ctx context.Context) bool {
	cause := context.Cause(ctx)
	return cause != nil && !errors.Is(cause, it.queryErr) && !errors.Is(cause, it.referenceErr)
}
