package organic

import (
	"context"
	"errors"
	"time"
)

// heldLimit bounds the samples that wait for their next attempt. Beyond it the
// one that is due first goes back early, to a queue that has a bound of its
// own, or to the dead letters when the queue does not take it.
const heldLimit = defaultCapacity

// putBack adds a sample to its queue again. When the queue does not take it,
// the scorer holds it, and leaves the queue alone for a while with all others.
func (s *OrganicScorer[S, R]) putBack(ctx context.Context, sample Sample[S]) {
	s.readd(ctx, sample, func(err error) {
		if err == nil {
			s.readding.succeeded()
			return
		}
		pause := s.readding.failed()
		if s.held.Len() > heldLimit {
			s.giveUp(context.WithoutCancel(ctx), sample, err)
			return
		}
		s.held.Push(time.Now().Add(pause), sample)
		s.tell(&sample, EventPutBackFailed, pause, err)
	})
}

func (s *OrganicScorer[S, R]) readd(ctx context.Context, sample Sample[S], next func(err error)) {
	ctx, cancel := context.WithTimeout(ctx, aftermath)
	defer cancel()
	conclude(ctx, StageSettle, func(ctx context.Context) error { return s.queue.Add(ctx, sample) }, next)
	if !s.watched {
		s.wake()
	}
}

// giveUp hands a sample that the queue does not take back to the dead-letter
// hook.
func (s *OrganicScorer[S, R]) giveUp(ctx context.Context, sample Sample[S], cause error) {
	s.tell(&sample, EventPutBackFailed, 0, cause)
	s.buried(ctx, sample, cause, func(err error) {
		kind := EventDead
		if err != nil {
			kind = EventDropped
		}
		s.tell(&sample, kind, time.Since(sample.Received), errors.Join(cause, err))
	})
}

// releaseHeld puts back the samples whose delay is over, and returns how long
// it takes until there is one more to put back.
func (s *OrganicScorer[S, R]) releaseHeld(ctx context.Context, stopping <-chan struct{}) time.Duration {
	for s.held.Len() > 0 && ctx.Err() == nil && !isClosed(stopping) {
		if pause := s.readding.recovery(); pause > 0 {
			return pause
		}
		sample, ok := s.held.TakeDue(time.Now(), heldLimit)
		if !ok {
			break
		}
		s.release(ctx, sample)
	}
	if due, ok := s.held.Next(); ok {
		return time.Until(due)
	}
	return forever
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
	s.readd(ctx, sample, func(err error) {
		if err != nil {
			s.giveUp(buryCtx, sample, err)
		}
	})
}
