// Package fair shares a limited number of claims out among parties, so that one
// party cannot use them up. A party may hold all of them while no other party
// wants one. When the claims run out, the party that holds most loses one, and of
// its claims the one that has made no progress for longest (max-min fairness).
package fair

import (
	"container/heap"
	"net/netip"
	"sync"
)

// Party is the holder of a claim. It has two names, and a holder that has many of
// one name still shares the other: a network with many members is as heavy as the
// claims of all its members, and so is a member that comes from many networks.
type Party[M comparable] struct {
	Network netip.Prefix
	Member  M
}

// Pool is a number of claims to share out; V is what the owner of the pool needs
// to know of a claim when it is evicted. It is safe for concurrent use.
type Pool[M comparable, V any] struct {
	capacity int
	evict    func(V)

	mu       sync.Mutex // guards what follows, and the fields of all claims but their value
	held     int        // claims that are neither evicted nor released, pinned ones included
	pinned   int        // claims that cannot be evicted
	leaving  int        // claims that are evicted and not released yet
	touches  uint64
	cells    map[Party[M]]*cell[M, V]
	networks map[netip.Prefix]*group[M, V]
	members  map[M]*group[M, V]
	order    groups[M, V] // all groups
}

// Claim is one claim of a [Pool]. Its methods are safe for concurrent use.
type Claim[M comparable, V any] struct {
	Value V

	pool         *Pool[M, V]
	party        Party[M]
	cell         *cell[M, V] // nil while the claim is pinned, evicted or released
	older, newer *Claim[M, V]
	touched      uint64
	pins         int
	pinned       bool
	evicted      bool
	released     bool

	evicting sync.Mutex // held while the pool's evict function runs for the claim
}

// New returns a pool of so many claims. The function evict is called with the
// value of each claim that is evicted, in the goroutine of the caller who caused it
// and without a lock of the pool; it must not wait for the claim's release. It is
// never called after [Claim.Release] has returned.
func New[M comparable, V any](capacity int, evict func(V)) *Pool[M, V] {
	return &Pool[M, V]{
		capacity: capacity,
		evict:    evict,
		cells:    make(map[Party[M]]*cell[M, V]),
		networks: make(map[netip.Prefix]*group[M, V]),
		members:  make(map[M]*group[M, V]),
	}
}

// Take returns a new claim. In a full pool the heaviest party, with the new claim
// counted, loses the claim that was touched longest ago, of parties that are
// equally heavy the one whose claim was touched longest ago, if may agrees or is nil.
// Take returns nil if there is no claim to evict, or if as many as the capacity are
// evicted and not released yet. The function may must not use the pool.
func (p *Pool[M, V]) Take(party Party[M], value V, may func(V) bool) *Claim[M, V] {
	return p.take(party, value, func(loser, _ *Claim[M, V]) bool { return may == nil || may(loser.Value) })
}

// TakeFair is Take for claims that are not evicted for a party as heavy as their
// own: it returns nil unless the loser's party stays as heavy as the new claim's.
func (p *Pool[M, V]) TakeFair(party Party[M], value V, may func(V) bool) *Claim[M, V] {
	return p.take(party, value, func(loser, claim *Claim[M, V]) bool {
		return loser.isHeavier(claim) && (may == nil || may(loser.Value))
	})
}

// TakeFree returns a new claim, or nil if there is none without an eviction. Claims
// that are evicted and not released count as taken.
func (p *Pool[M, V]) TakeFree(party Party[M], value V) *Claim[M, V] {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held+p.leaving >= p.capacity {
		return nil
	}
	return p.add(party, value)
}

// Preempt evicts the claim that TakeFair would evict for this party if may agrees,
// and takes none: the claim is free when it is released. It returns false if no claim
// is evicted. The function may must not use the pool.
func (p *Pool[M, V]) Preempt(party Party[M], may func(V) bool) bool {
	p.mu.Lock()
	var none V
	probe := p.add(party, none)
	loser := p.loser(probe, (*Claim[M, V]).isHeavier)
	p.drop(probe)
	if loser == nil || !may(loser.Value) {
		p.mu.Unlock()
		return false
	}
	p.remove(loser)
	p.mu.Unlock()
	p.notify(loser)
	return true
}

func (p *Pool[M, V]) take(party Party[M], value V, yields func(loser, claim *Claim[M, V]) bool) *Claim[M, V] {
	p.mu.Lock()
	claim := p.add(party, value)
	if p.held <= p.capacity {
		p.mu.Unlock()
		return claim
	}
	loser := p.loser(claim, yields)
	if loser == nil || p.leaving >= p.capacity {
		p.drop(claim)
		p.mu.Unlock()
		return nil
	}
	p.remove(loser)
	p.mu.Unlock()
	p.notify(loser)
	return claim
}

// loser returns the claim to evict for a claim that has been added, or nil.
func (p *Pool[M, V]) loser(claim *Claim[M, V], yields func(loser, claim *Claim[M, V]) bool) *Claim[M, V] {
	loser := p.order[0].first().oldest
	if loser == claim || !yields(loser, claim) {
		return nil
	}
	return loser
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

// Load returns how many claims that can be evicted each of a party's two names
// holds, the larger number first.
func (p *Pool[M, V]) Load(party Party[M]) (larger, smaller int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	network, member := 0, 0
	if g := p.networks[party.Network]; g != nil {
		network = g.count
	}
	if g := p.members[party.Member]; g != nil {
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
	if c.cell != nil {
		p.touches++
		c.touched = p.touches
		c.cell.remove(c)
		c.cell.append(c)
		p.reorder(c.cell, 0)
	}
}

// Pin keeps the claim from being evicted, and from making its party heavier, until
// [Claim.Unpin] has been called as often. At most half of the pool's claims can be
// pinned; beyond it, Pin only touches the claim.
func (c *Claim[M, V]) Pin() {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.pins++; c.cell == nil {
		return
	}
	p.unlink(c)
	if p.pinned >= p.capacity/2 {
		p.link(c)
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
		p.link(c)
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
	if c.evicted {
		p.leaving--
		return
	}
	p.drop(c)
}

// isHeavier reports whether the loser's party holds more than the claim's, or in the
// network or member that both share, more of that.
func (c *Claim[M, V]) isHeavier(claim *Claim[M, V]) bool {
	if load := claim.cell.load(); c.cell.load() != load {
		return c.cell.load() > load
	}
	return c.cell.shares(claim.cell) && c.cell.count > claim.cell.count
}

func (p *Pool[M, V]) add(party Party[M], value V) *Claim[M, V] {
	c := &Claim[M, V]{Value: value, pool: p, party: party}
	p.link(c)
	p.held++
	return c
}

func (p *Pool[M, V]) drop(c *Claim[M, V]) {
	if c.cell != nil {
		p.unlink(c)
	}
	if c.pinned {
		c.pinned = false
		p.pinned--
	}
	p.held--
}

// link adds a claim to the cell of its party, as the one that was touched last.
func (p *Pool[M, V]) link(c *Claim[M, V]) {
	p.touches++
	c.touched = p.touches
	b := p.cells[c.party]
	if b == nil {
		b = p.newCell(c.party)
	}
	c.cell = b
	b.append(c)
	if b.count == 1 {
		for side, g := range b.groups {
			heap.Push(&g.cells, seat[M, V]{b, side})
		}
	}
	p.reorder(b, 1)
}

func (p *Pool[M, V]) newCell(party Party[M]) *cell[M, V] {
	network, member := p.networks[party.Network], p.members[party.Member]
	if network == nil {
		network = &group[M, V]{index: -1}
		p.networks[party.Network] = network
	}
	if member == nil {
		member = &group[M, V]{index: -1}
		p.members[party.Member] = member
	}
	b := &cell[M, V]{party: party, groups: [2]*group[M, V]{network, member}}
	p.cells[party] = b
	return b
}

// unlink removes a claim from its cell, and forgets what has become empty.
func (p *Pool[M, V]) unlink(c *Claim[M, V]) {
	b := c.cell
	c.cell = nil
	b.remove(c)
	p.reorder(b, -1)
	if b.count > 0 {
		return
	}
	delete(p.cells, b.party)
	if b.groups[0].count == 0 {
		delete(p.networks, b.party.Network)
	}
	if b.groups[1].count == 0 {
		delete(p.members, b.party.Member)
	}
}

// reorder moves a cell and its groups to where they stand with so many claims more.
func (p *Pool[M, V]) reorder(b *cell[M, V], change int) {
	for side, g := range b.groups {
		if b.count > 0 {
			heap.Fix(&g.cells, b.index[side])
		} else {
			heap.Remove(&g.cells, b.index[side])
		}
		g.count += change
		switch {
		case g.count == 0:
			heap.Remove(&p.order, g.index)
		case g.index < 0:
			g.touched = g.first().oldest.touched
			heap.Push(&p.order, g)
		default:
			g.touched = g.first().oldest.touched
			heap.Fix(&p.order, g.index)
		}
	}
}
