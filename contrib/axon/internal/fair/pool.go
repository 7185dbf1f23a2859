// Package fair shares a limited number of claims out among parties, so that one
// party cannot use them up. A party may hold all of them while no other party
// wants one. When the claims run out, the party that holds most loses one, and of
// its claims the one that has made no progress for longest (max-min fairness).
package fair

import (
	"net/netip"
	"sync"
	"time"
)

// Party is the holder of a claim. It has two names, and a holder that has many of
// one name still shares the other: a network with many members is as heavy as the
// claims of all its members, and so is a member that comes from many networks.
type Party[M comparable] struct {
	Network netip.Prefix
	Member  M
}

// Pool is a number of claims to share out. It is safe for concurrent use.
type Pool[M comparable, V any] struct {
	capacity int
	grace    time.Duration
	evict    func(V)
	made     time.Time

	mu      sync.Mutex // guards what follows, and the fields of all claims but their value
	held    int        // claims that are neither evicted nor released, pinned ones included
	pinned  int        // claims that cannot be evicted
	leaving int        // claims that are evicted and not released yet
	touches uint64
	ledger  ledger[M, queue[M, V]]
	recent  queue[M, V] // the claims that do not count yet, in the order of their touches
}

// Claim is one claim of a [Pool]. It can be taken once. Value is what the owner of the pool
// needs to know of the claim when it is evicted; it must be set before the claim is taken,
// as must the Party. The methods are safe for concurrent use.
type Claim[M comparable, V any] struct {
	Value V
	Party Party[M]

	pool         *Pool[M, V]
	queue        *queue[M, V]          // nil while the claim is pinned, evicted or released
	cell         *cell[M, queue[M, V]] // nil while the claim does not count
	older, newer *Claim[M, V]
	touched      uint64
	touchedAt    time.Duration // since the pool was made, only with a grace
	pins         int
	pinned       bool
	evicted      bool
	released     bool

	evicting sync.Mutex // held while the pool's evict function runs for the claim
}

// New returns a pool of so many claims. A claim that was touched within the grace does
// not make its party heavier and is not evicted, as long as there is another one to
// evict. The function evict is called with the
// value of each claim that is evicted, in the goroutine of the caller who caused it
// and without a lock of the pool; it must not wait for the claim's release. It is
// never called after [Claim.Release] has returned.
func New[M comparable, V any](capacity int, grace time.Duration, evict func(V)) *Pool[M, V] {
	return &Pool[M, V]{
		capacity: capacity,
		grace:    grace,
		evict:    evict,
		made:     time.Now(),
		ledger:   newLedger[M, queue[M, V]](),
	}
}

// Take takes a claim, and reports whether it could. In a full pool the heaviest
// party, with the new claim counted, loses the claim that was touched longest ago, of
// parties that are equally heavy the one whose claim was touched longest ago, if may
// agrees or is nil. Take fails if there is no claim to evict, or if as many as the
// capacity are evicted and not released yet. The function may must not use the pool.
func (p *Pool[M, V]) Take(claim *Claim[M, V], may func(V) bool) bool {
	return p.take(claim, func(loser *Claim[M, V]) bool {
		return may == nil || may(loser.Value)
	})
}

// TakeFair is Take for claims that are not evicted for a party as heavy as their
// own: it fails unless the loser's party stays as heavy as the new claim's.
func (p *Pool[M, V]) TakeFair(claim *Claim[M, V], may func(V) bool) bool {
	return p.take(claim, func(loser *Claim[M, V]) bool {
		return loser.cell.isHeavier(claim.cell) && (may == nil || may(loser.Value))
	})
}

// TakeFree takes a claim only if that needs no eviction. Claims that are evicted and
// not released count as taken.
func (p *Pool[M, V]) TakeFree(claim *Claim[M, V]) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held+p.leaving >= p.capacity {
		return false
	}
	p.hold(claim)
	return true
}

// Preempt evicts the claim that TakeFair would evict for this party if may agrees,
// and takes none: the claim is free when it is released. It reports whether a claim is
// evicted. The function may must not use the pool.
func (p *Pool[M, V]) Preempt(party Party[M], may func(V) bool) bool {
	p.mu.Lock()
	p.count(p.grace)
	probe := Claim[M, V]{Party: party}
	p.add(&probe)
	loser := p.loser(&probe, func(loser *Claim[M, V]) bool {
		return loser.cell.isHeavier(probe.cell) && may(loser.Value)
	})
	p.unlink(&probe)
	if loser != nil {
		p.remove(loser)
	}
	p.mu.Unlock()
	if loser == nil {
		return false
	}
	p.notify(loser)
	return true
}

func (p *Pool[M, V]) take(claim *Claim[M, V], yields func(loser *Claim[M, V]) bool) bool {
	p.mu.Lock()
	if p.held < p.capacity {
		p.hold(claim)
		p.mu.Unlock()
		return true
	}
	p.count(p.grace)
	p.add(claim)
	loser := p.loser(claim, yields)
	p.unlink(claim)
	if loser == nil || p.leaving >= p.capacity {
		p.mu.Unlock()
		return false
	}
	p.remove(loser)
	p.hold(claim)
	p.mu.Unlock()
	p.notify(loser)
	return true
}

// hold takes a claim for which there is one free.
func (p *Pool[M, V]) hold(claim *Claim[M, V]) {
	claim.pool = p
	p.held++
	p.append(claim)
}

// loser returns the claim to evict for a claim that has been added, or nil.
func (p *Pool[M, V]) loser(claim *Claim[M, V], yields func(loser *Claim[M, V]) bool) *Claim[M, V] {
	loser := p.ledger.first().list.oldest
	if loser != claim && yields(loser) {
		return loser
	}
	if p.recent.oldest == nil {
		return nil
	}
	p.unlink(claim)
	p.count(0)
	p.add(claim)
	return p.loser(claim, yields)
}

// count lets the claims that were not touched for so long count. It is called when that
// matters, which is seldom: the order of the parties takes more time than all else.
func (p *Pool[M, V]) count(grace time.Duration) {
	if p.recent.oldest == nil {
		return
	}
	now := time.Since(p.made)
	for c := p.recent.oldest; c != nil && now-c.touchedAt >= grace; c = p.recent.oldest {
		p.unlink(c)
		p.link(c)
	}
}

// remove marks a claim as evicted.
func (p *Pool[M, V]) remove(loser *Claim[M, V]) {
	p.unlink(loser)
	loser.evicted = true
	p.held--
	p.leaving++
}

// notify calls the pool's function for an evicted claim.
func (p *Pool[M, V]) notify(loser *Claim[M, V]) {
	loser.evicting.Lock()
	defer loser.evicting.Unlock()
	if !loser.released {
		p.evict(loser.Value)
	}
}

// Load returns how many claims each of a party's two names holds, the larger number
// first, without those that are pinned or were touched within the grace.
func (p *Pool[M, V]) Load(party Party[M]) (larger, smaller int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(p.grace)
	network, member := 0, 0
	if g := p.ledger.networks[party.Network]; g != nil {
		network = g.count
	}
	if g := p.ledger.members[party.Member]; g != nil {
		member = g.count
	}
	return max(network, member), min(network, member)
}

// Len returns how many claims are held, and how many are evicted and not released.
func (p *Pool[M, V]) Len() (held, leaving int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held, p.leaving
}

// Touch notes that the claim has made progress.
func (c *Claim[M, V]) Touch() {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.queue != nil {
		p.unlink(c)
		p.append(c)
	}
}

// Pin keeps the claim from being evicted, and from making its party heavier, until
// [Claim.Unpin] has been called as often. At most half of the pool's claims can be
// pinned; beyond it, Pin only touches the claim.
func (c *Claim[M, V]) Pin() {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.pins++; c.queue == nil {
		return
	}
	p.unlink(c)
	if p.pinned >= p.capacity/2 {
		p.append(c)
		return
	}
	c.pinned = true
	p.pinned++
}

// Unpin takes one Pin back, and touches the claim.
func (c *Claim[M, V]) Unpin() {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.pins--; c.pins == 0 && c.pinned {
		c.pinned = false
		p.pinned--
		p.append(c)
	}
}

// Release gives the claim back. It waits for a call of the pool's evict function
// for the claim, and must be called once.
func (c *Claim[M, V]) Release() {
	c.evicting.Lock()
	c.released = true
	c.evicting.Unlock()
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case c.evicted:
		p.leaving--
		return
	case c.pinned:
		c.pinned = false
		p.pinned--
	default:
		p.unlink(c)
	}
	p.held--
}

// append makes a claim, which stands nowhere, the one that was touched last.
func (p *Pool[M, V]) append(c *Claim[M, V]) {
	p.touch(c)
	if p.grace > 0 {
		c.touchedAt = time.Since(p.made)
	}
	c.queue = &p.recent
	c.queue.append(c)
}

// add makes a claim the one that was touched last, and lets it count.
func (p *Pool[M, V]) add(c *Claim[M, V]) {
	p.touch(c)
	p.link(c)
}

func (p *Pool[M, V]) touch(c *Claim[M, V]) {
	p.touches++
	c.touched = p.touches
}

// link adds a claim to the cell of its party. It is touched later than those there.
func (p *Pool[M, V]) link(c *Claim[M, V]) {
	c.cell = p.ledger.cell(c.Party)
	c.queue = &c.cell.list
	c.queue.append(c)
	p.reorder(c.cell, 1)
}

// unlink removes a claim from where it stands.
func (p *Pool[M, V]) unlink(c *Claim[M, V]) {
	c.queue.remove(c)
	if c.cell != nil {
		p.reorder(c.cell, -1)
	}
	c.queue, c.cell = nil, nil
}

// reorder notes that the list of a cell has changed, and has so many claims more.
func (p *Pool[M, V]) reorder(b *cell[M, queue[M, V]], change int) {
	if b.list.oldest != nil {
		b.first = b.list.oldest.touched
	}
	p.ledger.reorder(b, change)
}

// queue is a list of claims, the one that was touched longest ago first.
type queue[M comparable, V any] struct {
	oldest, newest *Claim[M, V]
}

func (q *queue[M, V]) append(c *Claim[M, V]) {
	c.older, c.newer = q.newest, nil
	if q.newest == nil {
		q.oldest = c
	} else {
		q.newest.newer = c
	}
	q.newest = c
}

func (q *queue[M, V]) remove(c *Claim[M, V]) {
	if c.older == nil {
		q.oldest = c.newer
	} else {
		c.older.newer = c.newer
	}
	if c.newer == nil {
		q.newest = c.older
	} else {
		c.newer.older = c.older
	}
	c.older, c.newer = nil, nil
}
