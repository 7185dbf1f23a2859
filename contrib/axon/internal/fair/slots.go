package fair

// Slots is a [Pool] for a great many claims, which are neither touched nor pinned. A claim is
// the number of a slot, which holds a value. Without pointers in the values the garbage
// collector has nothing to follow. It is not safe for concurrent use.
type Slots[M comparable, V any] struct {
	capacity int
	evict    func(slot int32)

	ledger ledger[M, span]
	chunks []*[chunk]slot[V] // all slots: chunks need not be copied when there are more
	slots  int32             // in the chunks that were taken at one time
	free   []int32           // of these, those that were released
	taken  uint64
}

// chunk is how many slots are allocated at once.
const chunk = 256

// slot is one claim.
type slot[V any] struct {
	value        V
	taken        uint64 // its number in the order of taking
	cell         int32  // the number of its party's cell
	older, newer int32  // of the same party; only where the span has them
}

// span is the claims of one party, in the order of taking.
type span struct {
	oldest, newest int32
}

// NewSlots returns a pool of so many claims. The function evict is called with each claim
// that is evicted, before it is released.
func NewSlots[M comparable, V any](capacity int, evict func(slot int32)) *Slots[M, V] {
	return &Slots[M, V]{capacity: capacity, evict: evict, ledger: newLedger[M, span]()}
}

// Take takes a claim, whose value is zero, and reports whether it could. In a full pool the
// heaviest party, with the new claim counted, loses its oldest claim, of parties that are
// equally heavy the one whose claim is oldest, if may agrees. The function may is also told
// whether the loser's party stays as heavy as the new claim's; it must not use the pool.
func (s *Slots[M, V]) Take(
	party Party[M], may func(loser int32, isHeavier bool) bool,
) (taken int32, ok bool) {
	isFull := int(s.slots)-len(s.free) >= s.capacity
	added, b := s.add(party)
	if !isFull {
		return added, true
	}
	first := s.ledger.first()
	loser := first.list.oldest
	if loser == added || !may(loser, first.isHeavier(b)) {
		s.Release(added)
		return 0, false
	}
	s.evict(loser)
	s.Release(loser)
	return added, true
}

// At is the value of a claim.
func (s *Slots[M, V]) At(slot int32) *V { return &s.at(slot).value }

// Member is the member that has taken a claim.
func (s *Slots[M, V]) Member(slot int32) M {
	return s.ledger.numbered[s.at(slot).cell].party.Member
}

func (s *Slots[M, V]) at(n int32) *slot[V] { return &s.chunks[n/chunk][n%chunk] }

// add takes a claim, be it one too many.
func (s *Slots[M, V]) add(party Party[M]) (int32, *cell[M, span]) {
	added := s.next()
	b := s.ledger.cell(party)
	s.taken++
	*s.at(added) = slot[V]{taken: s.taken, cell: b.number, older: b.list.newest}
	if b.count == 0 {
		b.list.oldest = added
	} else {
		s.at(b.list.newest).newer = added
	}
	b.list.newest = added
	s.reorder(b, 1)
	return added, b
}

// next is a slot that is free.
func (s *Slots[M, V]) next() int32 {
	if last := len(s.free) - 1; last >= 0 {
		released := s.free[last]
		s.free = s.free[:last]
		return released
	}
	if s.slots%chunk == 0 {
		s.chunks = append(s.chunks, new([chunk]slot[V]))
	}
	s.slots++
	return s.slots - 1
}

// Release gives a claim back.
func (s *Slots[M, V]) Release(slot int32) {
	c := s.at(slot)
	b := s.ledger.numbered[c.cell]
	if b.list.oldest == slot {
		b.list.oldest = c.newer
	} else {
		s.at(c.older).newer = c.newer
	}
	if b.list.newest == slot {
		b.list.newest = c.older
	} else {
		s.at(c.newer).older = c.older
	}
	s.free = append(s.free, slot)
	s.reorder(b, -1)
}

// reorder notes that the span of a cell has changed, and has so many claims more.
func (s *Slots[M, V]) reorder(b *cell[M, span], change int) {
	b.first = s.at(b.list.oldest).taken
	s.ledger.reorder(b, change)
}
