// Package pool holds values in their order of arrival and gives up any one of
// them at constant cost: the oldest, the newest, or one picked at random.
package pool

// Pool keeps its values dense in an array, so that one can be picked by index.
// Over the same indices runs a circular doubly linked list in order of
// arrival, so that the oldest is known. Removal moves the last value of the
// array into the hole. The zero Pool is empty. It is not synchronised.
type Pool[T any] struct {
	slots []slot[T]
	head  int32 // index of the oldest value
}

type slot[T any] struct {
	value      T
	prev, next int32 // neighbours in order of arrival, circular
}

// New returns a pool with room for n values; it grows beyond as needed. It can
// hold at most math.MaxInt32 values.
func New[T any](n int) Pool[T] {
	return Pool[T]{slots: make([]slot[T], 0, n)}
}

// Len returns the number of values.
func (p *Pool[T]) Len() int { return len(p.slots) }

// Oldest returns the value that stands first, which must exist, for reading
// until the next change of the pool.
func (p *Pool[T]) Oldest() *T { return &p.slots[p.head].value }

// PushNewest adds a value behind all others.
func (p *Pool[T]) PushNewest(value T) {
	added := int32(len(p.slots)) //nolint:gosec // bounded by MaxInt32, see New
	if added == 0 {
		p.head = 0
		p.slots = append(p.slots, slot[T]{value: value})
		return
	}
	tail := p.slots[p.head].prev
	p.slots = append(p.slots, slot[T]{value: value, prev: tail, next: p.head})
	p.slots[tail].next = added
	p.slots[p.head].prev = added
}

// PushOldest adds a value before all others.
func (p *Pool[T]) PushOldest(value T) {
	p.PushNewest(value)
	p.head = p.slots[p.head].prev
}

// Rotate puts a value behind all others in place of the oldest one, which must
// exist.
func (p *Pool[T]) Rotate(value T) {
	oldest := &p.slots[p.head]
	oldest.value = value
	p.head = oldest.next
}

// TakeOldest removes the value that stands first, which must exist.
func (p *Pool[T]) TakeOldest() T { return p.Take(int(p.head)) }

// TakeNewest removes the value that stands last, which must exist.
func (p *Pool[T]) TakeNewest() T { return p.Take(int(p.slots[p.head].prev)) }

// Take removes the value at an index from 0 to Len()-1. Indices say nothing
// about age, and change with each removal.
func (p *Pool[T]) Take(index int) T {
	hole := &p.slots[index]
	value := hole.value
	p.slots[hole.prev].next = hole.next
	p.slots[hole.next].prev = hole.prev
	if p.head == int32(index) { //nolint:gosec // an index of slots
		p.head = hole.next
	}
	p.fill(index)
	return value
}

// fill moves the last slot into the unlinked one at index and frees it.
func (p *Pool[T]) fill(index int) {
	end := len(p.slots) - 1
	last := &p.slots[end]
	if index != end {
		// When the last value is the only one left it is its own neighbour: so
		// both links are read first, and written before the slot is copied.
		prev, next := last.prev, last.next
		p.slots[prev].next = int32(index) //nolint:gosec // an index of slots
		p.slots[next].prev = int32(index) //nolint:gosec // an index of slots
		p.slots[index] = *last
		if p.head == int32(end) { //nolint:gosec // an index of slots
			p.head = int32(index) //nolint:gosec // an index of slots
		}
	}
	*last = slot[T]{}
	p.slots = p.slots[:end]
}
