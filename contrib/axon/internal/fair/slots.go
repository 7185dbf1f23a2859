package fair

// Slots is a [Pool] for a great many claims, which are neither touched nor pinned. A claim
// is a number, at most the capacity, which the garbage collector need not follow, and what
// belongs to the claims can be kept in a slice. It is not safe for concurrent use.
type Slots[M comparable] struct {
	capacity int
	evict    func(slot int32)

	ledger ledger[M, span]
	slots  []slot[M]
	free   []int32 // slots that were released
	taken  uint64
}

// slot is one claim.
type slot[M comparable] struct {
	home         *cell[M, span] // of the claim's party
	taken        uint64         // its number in the order of taking
	older, newer int32          // of the same party; only where the span has them
}

// span is the claims of one party, in the order of taking.
type span struct {
	oldest, newest int32
}

// NewSlots returns a pool of so many claims. The function evict is called with each claim
// that is evicted, before it is taken again.
func NewSlots[M comparable](capacity int, evict func(slot int32)) *Slots[M] {
	return &Slots[M]{capacity: capacity, evict: evict, ledger: newLedger[M, span]()}
}

// Take takes a claim, and reports whether it could. In a full pool the heaviest party, with
// the new claim counted, loses its oldest claim, of parties that are equally heavy the one
// whose claim is oldest, if may agrees. The function may is also told whether the loser's
// party stays as heavy as the new claim's; it must not use the pool.
func (s *Slots[M]) Take(
	party Party[M], may func(loser int32, isHeavier bool) bool,
) (taken int32, ok bool) {
	full := len(s.slots)-len(s.free) >= s.capacity
	added := s.add(party)
	if !full {
		return added, true
	}
	b := s.ledger.first()
	loser := b.list.oldest
	if loser == added || !may(loser, b.isHeavier(s.slots[added].home)) {
		s.Release(added)
		return 0, false
	}
	s.evict(loser)
	s.Release(loser)
	return added, true
}

// Member is the member that has taken a claim.
func (s *Slots[M]) Member(slot int32) M { return s.slots[slot].home.party.Member }

// add takes a claim, be it one too many.
func (s *Slots[M]) add(party Party[M]) int32 {
	if len(s.free) == 0 {
		s.free = append(s.free, int32(len(s.slots))) //nolint:gosec // no memory holds more
		s.slots = append(s.slots, slot[M]{})
	}
	last := len(s.free) - 1
	added := s.free[last]
	s.free = s.free[:last]
	b := s.ledger.cell(party)
	s.taken++
	s.slots[added] = slot[M]{home: b, taken: s.taken, older: b.list.newest}
	if b.count == 0 {
		b.list.oldest = added
	} else {
		s.slots[b.list.newest].newer = added
	}
	b.list.newest = added
	s.reorder(b, 1)
	return added
}

// Release gives a claim back.
func (s *Slots[M]) Release(slot int32) {
	c := &s.slots[slot]
	b := c.home
	if b.list.oldest == slot {
		b.list.oldest = c.newer
	} else {
		s.slots[c.older].newer = c.newer
	}
	if b.list.newest == slot {
		b.list.newest = c.older
	} else {
		s.slots[c.newer].older = c.older
	}
	s.free = append(s.free, slot)
	c.home = nil
	s.reorder(b, -1)
}

// reorder notes that the span of a cell has changed, and has so many claims more.
func (s *Slots[M]) reorder(b *cell[M, span], change int) {
	b.first = s.slots[b.list.oldest].taken
	s.ledger.reorder(b, change)
}
