package organic

import (
	"context"
	"math"
	"time"
)

// forever is the wait that only a wake-up ends.
const forever = time.Duration(math.MaxInt64)

// loop starts iterations as the trigger says, until a stop. It runs no hook.
// All that it waits for comes by one channel: arrivals, steps, the ends of
// iterations, stops, and its timer.
func (s *OrganicScorer[S, R]) loop(ctx context.Context, stopping <-chan struct{}, pace pacer) {
	timer := time.AfterFunc(forever, s.wake)
	defer timer.Stop()
	for ctx.Err() == nil && !isClosed(stopping) {
		wait := s.turn(ctx, stopping, pace)
		if wait <= 0 {
			continue
		}
		timer.Stop()
		if wait < forever {
			timer.Reset(wait)
		}
		<-s.wakeup
	}
}

// turn does what can be done now and returns how long the loop may wait until
// there is more, unless it is woken.
func (s *OrganicScorer[S, R]) turn(ctx context.Context, stopping <-chan struct{}, pace pacer) time.Duration {
	held := s.releaseHeld(ctx, stopping)
	if s.paused.Load() {
		return held
	}
	size := s.size()
	if due := pace.until(size); due > 0 {
		return min(due, held)
	}
	if !s.tookSlot() {
		return held // the end of an iteration wakes the loop
	}
	it, ctx, err := s.depart(ctx, stopping)
	if err != nil {
		return min(held, s.lookAgain(pace, size))
	}
	pace.started(it.flight.started, size)
	go it.fly(ctx)
	if len(s.slots) == cap(s.slots) {
		return held // as above, and the iteration gets this thread the sooner
	}
	return 0
}

// lookAgain is the wait after there was nothing to score: the trigger stays
// armed, and an arrival wakes the loop. A failing source is asked again when
// it has been left alone long enough, and a queue that tells nothing is looked
// at as the trigger goes.
func (s *OrganicScorer[S, R]) lookAgain(pace pacer, size int) time.Duration {
	wait := s.sources.recovery()
	if !s.watched {
		wait = min(wait, pace.look(size))
	}
	return wait
}
