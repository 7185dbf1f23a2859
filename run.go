package organic

import (
	"context"
	"time"
)

// Run runs the loop until ctx ends or Stop is called, and returns nil then,
// when everything has come to rest. It returns [ErrRunning] at once while
// another run has not ended, and [ErrInHook] with the ctx of a hook. The end of
// ctx is the hard stop: hooks are cancelled, and what they were at goes back to
// the queue; for the soft stop see [OrganicScorer.Stop].
func (s *OrganicScorer[S, R]) Run(ctx context.Context) error {
	if s.built() && s.life.inHook(ctx) {
		return ErrInHook
	}
	rest, err := s.start(ctx, func(supervise func()) { supervise() })
	if err != nil {
		return err
	}
	<-rest
	return nil
}

// Start runs the loop as [OrganicScorer.Run] does, in a goroutine that the
// scorer owns: Stop waits for it and Done tells its end. A scorer can be
// started again after it has ended.
func (s *OrganicScorer[S, R]) Start(ctx context.Context) error {
	_, err := s.start(ctx, func(supervise func()) { go supervise() })
	return err
}

func (s *OrganicScorer[S, R]) start(ctx context.Context, spawn func(supervise func())) (rest <-chan struct{}, err error) {
	if !s.built() {
		return nil, ErrNotBuilt
	}
	runCtx, cancel := context.WithCancelCause(s.life.mark(ctx))
	loop, rest, err := s.life.begin(ctx, cancel)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	spawn(func() { s.supervise(runCtx, loop) })
	return rest, nil
}

// supervise owns the goroutine of the loop. When a queue or dataset ended that
// goroutine by runtime.Goexit, it gets another.
func (s *OrganicScorer[S, R]) supervise(ctx context.Context, loop *flight) {
	defer s.life.land(loop)
	apart(func() { s.reporter.report(&Event{Kind: EventRunning}) })
	pace := s.newPacer()
	for ctx.Err() == nil && !isClosed(loop.stopping) {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.loop(ctx, loop.stopping, pace)
		}()
		select {
		case <-ended:
		case <-ctx.Done():
			s.halt(context.Cause(ctx))
			<-ended
		}
		pauseLoop(ctx, loop.stopping)
	}
	apart(func() { s.reporter.report(&Event{Kind: EventStopping}) })
	if ctx.Err() != nil {
		s.halt(context.Cause(ctx))
	}
	s.accompany(ctx)
}

// pauseLoop keeps a queue or dataset that ends the loop again and again from
// making it a busy one. It does not wait when the run is over.
func pauseLoop(ctx context.Context, stopping <-chan struct{}) {
	timer := time.NewTimer(firstRecovery)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stopping:
	case <-ctx.Done():
	}
}

// accompany waits until nothing but the loop's own flight is left. That one
// must be the last to land: its ctx is the parent of all iterations', and its
// end the hard stop of all that is in flight, during a soft stop too.
func (s *OrganicScorer[S, R]) accompany(ctx context.Context) {
	landings, stop := s.life.watchLandings()
	defer stop()
	ended := ctx.Done()
	for !s.life.oneLeft() {
		select {
		case <-landings:
		case <-ended:
			s.halt(context.Cause(ctx))
			ended = nil
		}
	}
}

// halt is the hard stop.
func (s *OrganicScorer[S, R]) halt(cause error) {
	s.requestStop()
	s.life.kill(cause)
}

func (s *OrganicScorer[S, R]) requestStop() (rest <-chan struct{}) {
	rest = s.life.requestStop(func() bool { return s.held.Len() > 0 })
	s.wake()
	return rest
}

// Stop is the soft stop: intake closes at once (axons answer 503), no new
// iteration starts, and what is in flight is waited for; a stage's back-off is
// cut short. Nil means that no hook runs and that no goroutine is left, also
// when nothing was running.
//
// Samples that wait for their next attempt go back to the queue; where it
// refuses them, they go to the dead-letter hook.
//
// If ctx ends first, Stop cancels what is in flight, returns the cause of ctx
// at once, and may be called again to wait. With the ctx that a hook was given
// it requests the stop and returns [ErrStopInHook].
func (s *OrganicScorer[S, R]) Stop(ctx context.Context) error {
	if !s.built() {
		return ErrNotBuilt
	}
	rest := s.requestStop()
	if s.life.inHook(ctx) && !isClosed(rest) {
		return ErrStopInHook
	}
	select {
	case <-rest:
		return nil
	case <-ctx.Done():
	}
	if isClosed(rest) {
		return nil
	}
	s.life.kill(context.Cause(ctx))
	return context.Cause(ctx)
}

// Done returns a channel that is closed when the current run has ended, or,
// before the first, the coming one. A scorer that was never built has no run
// to wait for: its channel is closed.
func (s *OrganicScorer[S, R]) Done() <-chan struct{} {
	if !s.built() {
		never := make(chan struct{})
		close(never)
		return never
	}
	return s.life.ended()
}

// drainLook is how often Drain looks at a queue that others may have drained.
const drainLook = time.Second

// Drain returns nil when no sample is queued, delayed or in flight; synthetic
// ones do not count. It neither starts nor stops anything: the scorer must be
// running, or somebody calling Iterate, for a queue to become empty. It
// returns the cause of ctx if that ends first.
func (s *OrganicScorer[S, R]) Drain(ctx context.Context) error {
	if !s.built() {
		return ErrNotBuilt
	}
	if s.life.inHook(ctx) {
		return ErrInHook
	}
	landings, stop := s.life.watchLandings()
	defer stop()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for !s.drained() {
		select {
		case <-landings:
		case <-look.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// drained looks for samples along the way they take: flights, held, queue. One
// that is taken from the queue meanwhile shows as a new admission.
func (s *OrganicScorer[S, R]) drained() bool {
	busy, before := s.life.organicInFlight()
	if busy || s.held.Len() > 0 || s.size() > 0 {
		return false
	}
	_, after := s.life.organicInFlight()
	return before == after
}
