package organic

import (
	"context"
	"errors"
	"time"
)

// aftermath is the time that a queue or the dead-letter hook has to take in
// what became of a sample, whatever has been cancelled.
const aftermath = 10 * time.Second

// conclude leaves the sample where it belongs. It runs deferred, so that it
// runs also when a hook has left by runtime.Goexit.
func (it *iteration[S, R]) conclude(ctx context.Context) {
	if it.weighed {
		it.scored(ctx)
		return
	}
	interrupted := it.interrupted(ctx)
	if !it.fromDataset {
		defer it.dispose(ctx, interrupted)
	}
	switch cause := context.Cause(ctx); {
	case !interrupted:
		it.tell(EventFailed, 0, it.elapsed(), it.err)
	case isEcho(it.err, cause):
		it.tell(EventInterrupted, 0, it.elapsed(), nil)
	default:
		it.tell(EventInterrupted, 0, it.elapsed(), it.err)
	}
}

// dispose sends a sample that was not scored where its failure says.
func (it *iteration[S, R]) dispose(ctx context.Context, interrupted bool) {
	later, isLater := errors.AsType[*retryAfterError](it.err)
	_, isDiscarded := errors.AsType[*discardError](it.err)
	switch {
	case isDiscarded:
		it.deadLetter(ctx, OutcomeDiscarded, EventDiscarded)
	case interrupted:
		it.giveBack(ctx, OutcomeReturn, 0)
	case isLater:
		it.giveBack(ctx, OutcomeReturn, later.delay)
	case it.scorer.isLastAttempt(it.result.Sample.Attempt):
		it.deadLetter(ctx, OutcomeDead, EventDead)
	default:
		it.giveBack(ctx, OutcomeRetry, it.scorer.retryDelay(it.result.Sample.Attempt))
	}
}

func (s *OrganicScorer[S, R]) isLastAttempt(attempt int) bool {
	return s.retry.Attempts != Unlimited && attempt >= s.retry.Attempts
}

func (s *OrganicScorer[S, R]) retryDelay(attempt int) time.Duration {
	return s.retry.delay(attempt, s.random.Float64())
}

// scored is the point of no return: the weights are set.
func (it *iteration[S, R]) scored(ctx context.Context) {
	it.scorer.lastScored.Store(it.result.Started.Add(it.result.Durations.Total).UnixNano())
	defer it.log(ctx)
	defer it.tellQueue(ctx, Verdict{Outcome: OutcomeScored})
	it.tell(EventScored, 0, it.result.Durations.Total, nil)
}

func (it *iteration[S, R]) log(ctx context.Context) {
	it.result.QueueSize = it.scorer.size()
	err := goexits[StageLog]
	defer func() {
		if err != nil {
			it.tell(EventLogFailed, StageLog, 0, err)
		}
	}()
	_, err = it.stage(ctx, StageLog, it.result.Durations.Total, func(ctx context.Context) error {
		return it.scorer.hooks.LogResults(ctx, it.result)
	})
}

// deadLetter ends a sample that will not be scored, unless the hook that gets
// it fails.
func (it *iteration[S, R]) deadLetter(ctx context.Context, outcome Outcome, kind EventKind) {
	it.scorer.buried(context.WithoutCancel(ctx), it.result.Sample, it.err, func(err error) {
		if err != nil {
			delay := it.scorer.retryDelay(it.result.Sample.Attempt)
			defer it.giveBack(ctx, OutcomeReturn, delay)
			it.tell(EventDeadLetterFailed, StageDeadLetter, delay, err)
			return
		}
		defer it.tellQueue(ctx, Verdict{Outcome: outcome, Err: it.err})
		it.tell(kind, 0, time.Since(it.result.Sample.Received), it.err)
	})
}

// buried calls the dead-letter hook, if there is one, and then next.
func (s *OrganicScorer[S, R]) buried(ctx context.Context, sample Sample[S], cause error, next func(err error)) {
	if s.bury == nil {
		next(nil)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, aftermath)
	defer cancel()
	conclude(ctx, StageDeadLetter, func(ctx context.Context) error { return s.bury(ctx, sample, cause) }, next)
}

// giveBack sends the sample back: the queue keeps it, or else the scorer does
// until the delay is over.
func (it *iteration[S, R]) giveBack(ctx context.Context, outcome Outcome, delay time.Duration) {
	kind := EventReturned
	if outcome == OutcomeRetry {
		kind = EventRetried
	}
	defer it.handBack(ctx, outcome, delay)
	it.tell(kind, 0, delay, it.err)
}

func (it *iteration[S, R]) handBack(ctx context.Context, outcome Outcome, delay time.Duration) {
	if it.settle != nil {
		it.tellQueue(ctx, Verdict{Outcome: outcome, Delay: delay, Err: it.err})
		return
	}
	sample := it.result.Sample
	if outcome == OutcomeRetry {
		sample.Attempt++
	}
	if delay > 0 {
		it.scorer.hold(context.WithoutCancel(ctx), sample, delay)
		return
	}
	it.scorer.putBack(context.WithoutCancel(ctx), sample)
}

// tellQueue settles the lease, if the queue wants to know.
func (it *iteration[S, R]) tellQueue(ctx context.Context, verdict Verdict) {
	if it.settle == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aftermath)
	defer cancel()
	conclude(ctx, StageSettle, func(ctx context.Context) error { return it.settle(ctx, verdict) }, func(err error) {
		if err != nil {
			it.tell(EventSettleFailed, StageSettle, 0, err)
		}
	})
}
