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

// errTooManyHeld is why a sample goes to the dead letters beyond the limit,
// while the queue is left alone.
var errTooManyHeld = errors.New("organic: too many samples are held for a queue that does not take them back")

// hold keeps a sample until its delay is over.
func (s *OrganicScorer[S, R]) hold(ctx context.Context, sample Sample[S], delay time.Duration) {
	s.held.Push(time.Now().Add(delay), sample)
	first, ok := s.held.TakeDue(time.Time{}, heldLimit)
	if !ok {
		return
	}
	if s.readding.recovery() == 0 {
		s.release(ctx, first)
		return
	}
	defer s.held.Done()
	s.giveUp(ctx, first, errTooManyHeld)
}

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
// hook. When that fails too, there is nowhere left for it.
func (s *OrganicScorer[S, R]) giveUp(ctx context.Context, sample Sample[S], cause error) {
	defer s.buried(ctx, sample, cause, func(err error) {
		age := time.Since(sample.Received)
		if err == nil {
			s.tell(&sample, EventDead, age, cause)
			return
		}
		defer s.tell(&sample, EventDropped, age, errors.Join(cause, err))
		s.tell(&sample, EventDeadLetterFailed, 0, err)
	})
	s.tell(&sample, EventPutBackFailed, 0, cause)
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
		apart(func() { s.returnAll(addCtx, buryCtx) })
	}
	if ran {
		s.reporter.report(&Event{Kind: EventStopped})
	}
}

// apart calls a function in a goroutine of its own, which it may end by
// runtime.Goexit, and waits for it.
func apart(call func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		call()
	}()
	<-ended
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
