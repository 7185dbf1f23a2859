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
	if interrupted {
		it.tell(EventInterrupted, 0, it.elapsed(), nil)
	} else {
		it.tell(EventFailed, 0, it.elapsed(), it.err)
	}
	if it.fromDataset {
		return
	}
	later, isLater := errors.AsType[*retryAfterError](it.err)
	_, isDiscarded := errors.AsType[*discardError](it.err)
	switch {
	case isDiscarded:
		it.deadLetter(ctx, Discarded, EventDiscarded)
	case interrupted:
		it.giveBack(ctx, Return, 0)
	case isLater:
		it.giveBack(ctx, Return, later.delay)
	case it.scorer.isLastAttempt(it.result.Sample.Attempt):
		it.deadLetter(ctx, Dead, EventDead)
	default:
		it.giveBack(ctx, Retry, it.scorer.retryDelay(it.result.Sample.Attempt))
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
	it.tell(EventScored, 0, it.result.Durations.Total, nil)
	defer it.log(ctx)
	it.tellQueue(ctx, Verdict{Outcome: Scored})
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
			it.tell(EventDeadLetterFailed, StageDeadLetter, delay, err)
			it.giveBack(ctx, Return, delay)
			return
		}
		it.tell(kind, 0, time.Since(it.result.Sample.Received), it.err)
		it.tellQueue(ctx, Verdict{Outcome: outcome, Err: it.err})
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
	if outcome == Retry {
		kind = EventRetried
	}
	it.tell(kind, 0, delay, it.err)
	if it.settle != nil {
		it.tellQueue(ctx, Verdict{Outcome: outcome, Delay: delay, Err: it.err})
		return
	}
	sample := it.result.Sample
	if outcome == Retry {
		sample.Attempt++
	}
	if delay > 0 {
		it.scorer.held.Push(time.Now().Add(delay), sample)
		return
	}
	it.scorer.putBack(ctx, sample)
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

// putBack adds a sample to its queue again, or holds it until the queue may
// take it.
func (s *OrganicScorer[S, R]) putBack(ctx context.Context, sample Sample[S]) {
	s.readd(ctx, sample, func(err error) {
		if err == nil {
			return
		}
		delay := s.retryDelay(sample.Attempt)
		s.tell(&sample, EventPutBackFailed, delay, err)
		s.held.Push(time.Now().Add(delay), sample)
	})
}

func (s *OrganicScorer[S, R]) readd(ctx context.Context, sample Sample[S], next func(err error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), aftermath)
	defer cancel()
	conclude(ctx, StageSettle, func(ctx context.Context) error { return s.queue.Add(ctx, sample) }, next)
	if !s.watched {
		s.wake()
	}
}

// releaseHeld puts back the samples whose delay is over, and returns how long
// the next one has to wait.
func (s *OrganicScorer[S, R]) releaseHeld(ctx context.Context) time.Duration {
	if s.held.Len() == 0 {
		return forever
	}
	for {
		sample, ok := s.held.TakeDue(time.Now(), heldLimit)
		if !ok {
			break
		}
		s.release(ctx, sample)
	}
	due, ok := s.held.Next()
	if !ok {
		return forever
	}
	return time.Until(due)
}

func (s *OrganicScorer[S, R]) release(ctx context.Context, sample Sample[S]) {
	defer s.held.Done()
	s.putBack(ctx, sample)
}

// landed puts all held samples back before the scorer comes to rest. One that
// the queue refuses now goes to the dead letters; it is not kept where nobody
// would look for it.
func (s *OrganicScorer[S, R]) landed(ran bool) {
	ctx := s.life.mark(context.Background())
	addCtx, cancelAdd := context.WithTimeout(ctx, aftermath)
	defer cancelAdd()
	buryCtx, cancelBury := context.WithTimeout(ctx, 2*aftermath)
	defer cancelBury()
	for s.held.Len() > 0 { // again when the queue has left by runtime.Goexit
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.returnAll(addCtx, buryCtx)
		}()
		<-ended
	}
	if ran {
		s.reporter.report(&Event{Kind: EventStopped})
	}
}

func (s *OrganicScorer[S, R]) returnAll(ctx, buryCtx context.Context) {
	for {
		sample, ok := s.held.TakeDue(time.Time{}, 0)
		if !ok {
			return
		}
		s.returnLast(ctx, buryCtx, sample)
	}
}

func (s *OrganicScorer[S, R]) returnLast(ctx, buryCtx context.Context, sample Sample[S]) {
	defer s.held.Done()
	conclude(ctx, StageSettle, func(ctx context.Context) error { return s.queue.Add(ctx, sample) }, func(err error) {
		if err == nil {
			return
		}
		s.tell(&sample, EventPutBackFailed, 0, err)
		s.buried(buryCtx, sample, err, func(buryErr error) {
			kind := EventDead
			if buryErr != nil {
				kind = EventDropped
			}
			s.tell(&sample, kind, time.Since(sample.Received), errors.Join(err, buryErr))
		})
	})
}
