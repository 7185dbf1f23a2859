package organictest

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

const notWatched = "the queue does not implement organic.Watched"

// witness is a watcher that remembers. Its methods do nothing where the queue
// is not watched.
type witness struct {
	p       *probe
	stop    func()
	calls   atomic.Int64
	arrived chan struct{} // holds a token when Arrived was called

	mu      sync.Mutex // guards dropped
	dropped []organic.Dropped
}

// watch registers a witness, when the queue can be watched.
func (p *probe) watch() *witness {
	p.t.Helper()
	w := &witness{p: p, arrived: make(chan struct{}, 1)}
	if watched, ok := p.queue.(organic.Watched); ok {
		w.stop = p.register(watched, w.noteArrived, w.noteDropped)
	}
	return w
}

// mustWatch skips the test of a queue that cannot be watched.
func (p *probe) mustWatch() *witness {
	p.t.Helper()
	w := p.watch()
	if w.stop == nil {
		p.t.Skip(notWatched)
	}
	return w
}

func (p *probe) register(
	watched organic.Watched, arrived func(), dropped func(organic.Dropped),
) (stop func()) {
	p.t.Helper()
	stop = within(p, "Watch", func() func() {
		return watched.Watch(organic.Watcher{Arrived: arrived, Dropped: dropped})
	})
	require.NotNil(p.t, stop, "Watch must return a function that stops it")
	return stop
}

func (w *witness) noteArrived() {
	w.calls.Add(1)
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

func (w *witness) noteDropped(dropped organic.Dropped) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropped = append(w.dropped, dropped)
}

func (w *witness) forget() {
	select {
	case <-w.arrived:
	default:
	}
}

// requireArrived waits for a call of Arrived since the last forget.
func (w *witness) requireArrived(patience time.Duration, promise string) {
	w.p.t.Helper()
	select {
	case <-w.arrived:
	case <-time.After(patience):
		require.FailNow(w.p.t, promise)
	}
}

// requireDropped requires that watchers are notified of these samples and no
// others, in any order.
func (w *witness) requireDropped(want []organic.Sample[string], reason organic.DropReason) {
	w.p.t.Helper()
	if w.stop == nil || w.p.traits.SilentDrops {
		return
	}
	wanted := make([]organic.Dropped, len(want))
	for i, s := range want {
		wanted[i] = organic.Dropped{
			ID: s.ID, Origin: s.Origin, Attempt: s.Attempt, Received: s.Received.UTC(), Reason: reason,
		}
	}
	w.p.eventually(
		w.p.traits.Patience,
		"watchers must be notified of each sample that is dropped",
		func() bool { return len(w.heard()) >= len(want) },
	)
	require.ElementsMatch(
		w.p.t, wanted, w.heard(),
		"watchers must be notified of the samples that are dropped, and of no others",
	)
}

// requireMayDrop requires that the queue may have dropped a sample, and has
// notified watchers of that.
func (w *witness) requireMayDrop(id string) {
	w.p.t.Helper()
	const lost = "a sample that comes back to a full queue must be handed out again, " +
		"or dropped as the queue's bound says and reported to watchers: it is lost"
	require.Equal(w.p.t, DropsOldest, w.p.traits.Bound, lost)
	if w.stop == nil || w.p.traits.SilentDrops {
		return
	}
	w.p.eventually(w.p.traits.Patience, lost, func() bool {
		return slices.ContainsFunc(w.heard(), func(d organic.Dropped) bool { return d.ID == id })
	})
}

// heard returns the drops so far, with times that compare. A queue that counts
// deliveries may report a sample without any.
func (w *witness) heard() []organic.Dropped {
	w.mu.Lock()
	defer w.mu.Unlock()
	heard := slices.Clone(w.dropped)
	for i := range heard {
		heard[i].Received = heard[i].Received.UTC().Round(0)
		if w.p.traits.Settles {
			heard[i].Attempt = max(heard[i].Attempt, 1)
		}
	}
	return heard
}

// checkArrivals: every watcher is notified of each sample that is added.
func checkArrivals(s suite) {
	p := s.probe(10)
	first, second := p.mustWatch(), p.watch()
	for range 5 {
		first.forget()
		second.forget()
		samples := p.added(1)
		first.requireArrived(p.traits.Patience, "Arrived must be called when a sample was added")
		second.requireArrived(
			p.traits.Patience, "Arrived of every watcher must be called when a sample was added",
		)
		first.forget()
		samples = append(samples, p.added(1)...)
		first.requireArrived(
			p.traits.Patience, "Arrived must be called also when a sample was added while another waits",
		)
		p.drain(samples)
	}
}

// checkDelayedArrival: a sample that can be taken again is an arrival, whether
// its attempt counts or not.
func checkDelayedArrival(s suite) {
	p := s.probe(10)
	w := p.mustWatch()
	p.added(1)
	lease := p.take()
	w.requireArrived(p.traits.Patience, "Arrived must be called when a sample was added")
	for _, outcome := range []organic.Outcome{organic.OutcomeRetry, organic.OutcomeReturn} {
		for _, delay := range []time.Duration{0, quietFor} {
			w.forget()
			p.settle(lease, organic.Verdict{Outcome: outcome, Delay: delay, Err: errVerdict})
			w.requireArrived(
				delay+p.traits.Patience, "Arrived must be called when a delayed sample can be taken again",
			)
			lease = p.take()
		}
	}
	p.finish(lease)
}

// checkWatchStop: a watcher that was stopped is left in peace, the others are
// not.
func checkWatchStop(s suite) {
	p := s.probe(10)
	stopped, other := p.mustWatch(), p.watch()
	p.added(1)
	stopped.requireArrived(p.traits.Patience, "Arrived must be called when a sample was added")
	other.requireArrived(
		p.traits.Patience, "Arrived of every watcher must be called when a sample was added",
	)
	within(p, "stop", func() bool { stopped.stop(); return true })
	<-time.After(quietFor) // calls that were under way
	before := stopped.calls.Load()
	other.forget()
	p.added(1)
	other.requireArrived(p.traits.Patience, "stopping one watcher must not stop the others")
	<-time.After(quietFor)
	require.Equal(s.t, before, stopped.calls.Load(), "a watcher that was stopped must not be called")
}

// checkWatchLocks: a watcher may call the queue.
func checkWatchLocks(s suite) {
	const capacity = 4
	p := s.probe(capacity)
	watched, ok := p.queue.(organic.Watched)
	if !ok {
		s.t.Skip(notWatched)
	}
	arrived, dropped := newCallback(p), newCallback(p)
	p.register(watched, arrived.run, func(organic.Dropped) { dropped.run() })
	arrived.requireReturned("Arrived", p.samples(1))
	if s.traits.Bound == DropsOldest && !s.traits.SilentDrops {
		dropped.requireReturned("Dropped", p.samples(3*capacity))
	}
}

// callback is a watcher that calls every method of the queue, once.
type callback struct {
	p     *probe
	extra organic.Sample[string]
	begun atomic.Bool
	done  chan struct{}
}

func newCallback(p *probe) *callback {
	return &callback{p: p, extra: p.samples(1)[0], done: make(chan struct{})}
}

func (c *callback) run() {
	if !c.begun.CompareAndSwap(false, true) {
		return
	}
	defer close(c.done)
	queue, ctx := c.p.queue, c.p.t.Context()
	queue.Size()
	_ = queue.Add(ctx, c.extra) // what it answers is looked at elsewhere
	lease, err := queue.Sample(ctx)
	if err == nil && lease.Settle != nil {
		_ = lease.Settle(ctx, organic.Verdict{Outcome: organic.OutcomeScored})
	}
}

// requireReturned adds samples and waits for the callback to have ended.
func (c *callback) requireReturned(name string, samples []organic.Sample[string]) {
	c.p.t.Helper()
	call := name + " of a watcher that calls Size, Add, Sample and Settle " +
		"(it must be called outside the queue's locks)"
	within(c.p, call, func() bool {
		for _, sample := range samples {
			_ = c.p.queue.Add(c.p.t.Context(), sample) // what it answers is looked at elsewhere
		}
		<-c.done
		return true
	})
}
