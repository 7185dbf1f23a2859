package organic

import (
	"context"
	"errors"
	"sync"
	"time"
)

// lifecycle knows everything of a scorer that runs: its loop, iterations, and
// requests at its axons. Each is a flight. A scorer is at rest when none is
// left; on the way there no new one is admitted.
type lifecycle struct {
	landed func(ran bool) // puts back what the scorer holds, after the last flight

	mu       sync.Mutex // guards the fields below; no user code runs under it
	phase    phase
	stopping chan struct{} // closed when the next stop is requested
	rest     chan struct{} // closed when that stop has come to rest
	done     chan struct{} // closed when the run has ended, see Done
	ran      bool          // whether a run belongs to the next rest
	flights  flightList
	admitted uint64 // iterations so far
	drainers map[chan struct{}]struct{}
}

type phase uint8

const (
	idle phase = iota
	running
	stopping
)

// hookKey finds the mark that the ctx of a scorer's hooks carries.
type hookKey struct{ life *lifecycle }

// errNotRunning turns away requests at an axon.
var errNotRunning = errors.New("organic: scorer does not run")

func newLifecycle(landed func(ran bool)) *lifecycle {
	return &lifecycle{
		landed:   landed,
		stopping: make(chan struct{}),
		rest:     make(chan struct{}),
		done:     make(chan struct{}),
		drainers: make(map[chan struct{}]struct{}),
	}
}

// inHook reports whether ctx is one that a hook of this scorer was given.
func (l *lifecycle) inHook(ctx context.Context) bool { return ctx.Value(hookKey{l}) != nil }

// mark makes a ctx one that hooks are given.
func (l *lifecycle) mark(ctx context.Context) context.Context {
	return &hookContext{Context: ctx, life: l}
}

// hookContext is a ctx with the mark. It is what context.WithValue would make,
// but can be part of what is allocated anyway.
type hookContext struct {
	context.Context //nolint:containedctx // is a ctx itself

	life *lifecycle
}

// Value finds the mark, and what else is in the ctx.
func (c *hookContext) Value(key any) any {
	if key == (hookKey{c.life}) {
		return true
	}
	return c.Context.Value(key)
}

// begin starts a run: its loop is the first flight. Rest is closed at its end.
func (l *lifecycle) begin(ctx context.Context, cancel context.CancelCauseFunc) (loop *flight, rest <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.phase != idle:
		return nil, nil, ErrRunning
	case l.inHook(ctx):
		return nil, nil, ErrInHook
	}
	l.phase = running
	l.ran = true
	if isClosed(l.done) {
		l.done = make(chan struct{})
	}
	loop = &flight{kind: loopFlight, stopping: l.stopping, cancel: cancel}
	l.flights.add(loop)
	return loop, l.rest, nil
}

// ended returns what is closed at the end of the current or coming run.
func (l *lifecycle) ended() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// nextStop returns what is closed when the next stop is requested.
func (l *lifecycle) nextStop() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopping
}

// isRunning tells whether entry flights are admitted.
func (l *lifecycle) isRunning() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase == running
}

// admit lets an iteration or a request begin. A request may begin only while
// running, an iteration at any time but while stopping. A flight that already
// knows its stop, because it waited, must come before that one.
func (l *lifecycle) admit(f *flight) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case f.kind == entryFlight && l.phase != running:
		return errNotRunning
	case l.phase == stopping || f.stopping != nil && f.stopping != l.stopping:
		return ErrStopping
	}
	f.stopping = l.stopping
	if f.kind == iterationFlight {
		l.admitted++
	}
	l.flights.add(f)
	return nil
}

// land ends a flight. The last one to land while stopping brings the scorer
// to rest.
func (l *lifecycle) land(f *flight) {
	f.cancel(nil)
	l.mu.Lock()
	l.flights.remove(f)
	last := l.phase == stopping && l.flights.count == 0
	l.wakeDrainers()
	l.mu.Unlock()

	if last {
		l.comeToRest()
	}
}

// oneLeft reports whether only one flight is left.
func (l *lifecycle) oneLeft() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flights.count == 1
}

// comeToRest is called once per stop, by whoever saw the last flight land.
func (l *lifecycle) comeToRest() {
	l.mu.Lock()
	ran := l.ran
	l.mu.Unlock()

	defer l.rested(ran)
	l.landed(ran)
}

func (l *lifecycle) rested(ran bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = idle
	close(l.rest)
	if ran {
		close(l.done)
		l.ran = false
	}
	l.stopping, l.rest = make(chan struct{}), make(chan struct{})
}

// requestStop is the soft stop. It returns what is closed at rest. When nothing
// is in flight and landing takes no time, the scorer is at rest by then.
func (l *lifecycle) requestStop(landingTakesTime func() bool) (rest <-chan struct{}) {
	l.mu.Lock()
	rest = l.rest
	last := l.phase != stopping && l.flights.count == 0
	slow := landingTakesTime()
	if l.phase != stopping {
		l.phase = stopping
		close(l.stopping)
	}
	l.mu.Unlock()

	switch {
	case last && slow:
		go l.comeToRest()
	case last:
		l.comeToRest()
	}
	return rest
}

// kill is the hard stop: it cancels all that is in flight.
func (l *lifecycle) kill(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := l.flights.first; f != nil; f = f.next {
		f.cancel(cause)
	}
}

// setSynthetic notes that an iteration is over a dataset's sample.
func (l *lifecycle) setSynthetic(f *flight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.synthetic = true
}

// fill sets the gauges that belong to flights.
func (l *lifecycle) fill(stats *Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	stats.Running = l.phase == running
	for f := l.flights.first; f != nil; f = f.next {
		if f.kind != iterationFlight {
			continue
		}
		stats.InFlight++
		if !f.synthetic {
			stats.InFlightOrganic++
		}
		stats.OldestInFlight = max(stats.OldestInFlight, time.Since(f.started))
	}
}

// organicInFlight reports whether an iteration is in flight that has a sample
// of the queue or may still take one, and how many iterations there have been.
func (l *lifecycle) organicInFlight() (busy bool, admitted uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := l.flights.first; f != nil; f = f.next {
		if f.kind == iterationFlight && !f.synthetic {
			return true, l.admitted
		}
	}
	return false, l.admitted
}

// watchLandings returns a channel that gets a value after each landing.
func (l *lifecycle) watchLandings() (landings <-chan struct{}, stop func()) {
	landed := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drainers[landed] = struct{}{}
	return landed, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.drainers, landed)
	}
}

// noteLanding wakes those who wait for landings.
func (l *lifecycle) noteLanding() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeDrainers()
}

// wakeDrainers tells those who wait for landings. The lock is held.
func (l *lifecycle) wakeDrainers() {
	for landed := range l.drainers {
		wake(landed)
	}
}

// wake puts a value into a channel of one slot, unless one is there already.
func wake(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}
