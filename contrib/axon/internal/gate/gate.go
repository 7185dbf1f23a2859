// Package gate lets a limited number of requests be served at once, those with the
// highest priority first, and shares serving and waiting out among the requesters.
package gate

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
)

var (
	// ErrFull is returned when too many requests wait, and this one is the last of
	// them.
	ErrFull = errors.New("gate: too many wait")

	// ErrTimeout is returned when a request has waited for as long as it could.
	ErrTimeout = errors.New("gate: waited too long")
)

// Party is the network and the hotkey, or name, of a requester.
type Party = fair.Party[string]

// patience is how long a request waits, at most, before one that is served is
// evicted for it.
const patience = 250 * time.Millisecond

// Gate admits requests. It is safe for concurrent use.
type Gate struct {
	capacity int // how many can wait
	serving  *fair.Pool[string, *Visit]

	mu      sync.Mutex // guards waiting
	waiting []*Visit   // in the order of arrival
}

// Visit is a request that is served, or waits to be. Its zero value can enter, once.
type Visit struct {
	gate     *Gate
	priority float64
	evict    func()
	claim    fair.Claim[string, *Visit]
	call     chan error // nil if the request need not wait
}

// New returns a gate that lets up to slots requests be served at once, and up to capacity
// others wait.
func New(slots, capacity int) *Gate {
	return &Gate{
		capacity: capacity,
		serving:  fair.New[string](slots, 0, func(v *Visit) { v.evict() }),
	}
}

// Enter returns nil when the request may be served; [Visit.Leave] must be called in
// the end. Of the requests that wait, the one with the highest priority goes first; of
// equals the one whose party has the fewest requests served; of equals the one that
// has waited longest. When too many wait, one with the lowest priority gets ErrFull:
// of equals one of the party with the most requests waiting; of equals the last one,
// be it the new one.
//
// While a request waits, every 250 ms one of the party that is served most is
// evicted, unless its priority is higher or the waiting party is served as much: the
// one that has made no progress for longest. Its function evict is called, once at
// most and never after Leave; it has to make the request leave, and must not wait for
// that.
//
// A request that still waits at the time until gets ErrTimeout. If ctx ends first, Enter
// returns its error.
func (g *Gate) Enter(
	ctx context.Context, v *Visit, party Party, priority float64, until time.Time, evict func(),
) error {
	v.gate, v.priority, v.evict = g, priority, evict
	v.claim.Value, v.claim.Party = v, party
	if err := g.arrive(v); err != nil || v.call == nil {
		return err
	}
	return g.await(ctx, v, time.Until(until))
}

// arrive takes a claim, or lets the request wait.
func (g *Gate) arrive(v *Visit) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 && g.serving.TakeFree(&v.claim) {
		return nil
	}
	v.call = make(chan error, 1)
	g.waiting = append(g.waiting, v)
	if len(g.waiting) > g.capacity {
		last := g.last()
		g.forget(last)
		if last == v {
			return ErrFull
		}
		last.call <- ErrFull
	}
	return nil
}

func (g *Gate) await(ctx context.Context, v *Visit, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	impatience := time.NewTicker(max(min(patience, wait/2), time.Millisecond))
	defer impatience.Stop()
	for {
		select {
		case err := <-v.call:
			return err
		case <-impatience.C:
			g.preempt(v)
		case <-timer.C:
			return g.giveUp(v, ErrTimeout)
		case <-ctx.Done():
			return g.giveUp(v, ctx.Err())
		}
	}
}

// preempt evicts a request for one that waits, unless as many as wait are evicted
// already.
func (g *Gate) preempt(v *Visit) {
	g.mu.Lock()
	waiting := len(g.waiting)
	g.mu.Unlock()
	if _, leaving := g.serving.Len(); leaving < waiting {
		g.serving.Preempt(v.claim.Party, func(served *Visit) bool {
			return served.priority <= v.priority
		})
	}
}

// giveUp ends the wait, unless the call came first.
func (g *Gate) giveUp(v *Visit, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case called := <-v.call:
		return called
	default:
		g.forget(v)
		return err
	}
}

func (g *Gate) forget(v *Visit) {
	at := slices.Index(g.waiting, v)
	g.waiting = slices.Delete(g.waiting, at, at+1)
}

// Touch notes that the request has made progress: it is evicted after those that
// have made none since.
func (v *Visit) Touch() { v.claim.Touch() }

// Leave ends the request, and lets the next one be served.
func (v *Visit) Leave() {
	v.claim.Release()
	g := v.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.waiting) > 0 {
		next := g.next()
		if !g.serving.TakeFree(&next.claim) {
			return
		}
		g.forget(next)
		next.call <- nil
	}
}

// next is the request that goes first of those that wait.
func (g *Gate) next() *Visit {
	best := g.waiting[0]
	larger, smaller := g.serving.Load(best.claim.Party)
	for _, v := range g.waiting[1:] {
		if v.priority < best.priority {
			continue
		}
		l, s := g.serving.Load(v.claim.Party)
		if v.priority > best.priority || cmp.Or(cmp.Compare(l, larger), cmp.Compare(s, smaller)) < 0 {
			best, larger, smaller = v, l, s
		}
	}
	return best
}

// last is the request that goes last of those that wait.
func (g *Gate) last() *Visit {
	networks, members := make(map[netip.Prefix]int), make(map[string]int)
	for _, v := range g.waiting {
		networks[v.claim.Party.Network]++
		members[v.claim.Party.Member]++
	}
	load := func(v *Visit) (larger, smaller int) {
		network, member := networks[v.claim.Party.Network], members[v.claim.Party.Member]
		return max(network, member), min(network, member)
	}
	last := g.waiting[0]
	larger, smaller := load(last)
	for _, v := range g.waiting[1:] {
		if v.priority > last.priority {
			continue
		}
		l, s := load(v)
		if v.priority < last.priority || cmp.Or(cmp.Compare(l, larger), cmp.Compare(s, smaller)) >= 0 {
			last, larger, smaller = v, l, s
		}
	}
	return last
}

// Counts returns how many requests are served and how many wait.
func (g *Gate) Counts() (serving, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	held, leaving := g.serving.Len()
	return held + leaving, len(g.waiting)
}
