// Package pool holds values in their order of arrival and gives up any one of
// them at constant cost: the oldest, the newest, or one picked at random.
package pool

// Pool keeps its values dense in an array, so that one can be picked by index.
// Over the same indices runs a circular doubly linked list in order of
// arrival, so that the oldest is known. Removal moves the last value of the
// array into the hole. The links have an array of their own, small enough to
// stay in the processor's cache where the values do not. The zero Pool is
// empty. It is not synchronised.
type Pool[T any] struct {
	values []T
	links  []link
	head   int32 // index of the oldest value
}

// link holds the neighbours in order of arrival, circular.
type link struct{ prev, next int32 }

// New returns a pool with room for n values; it grows beyond as needed. It can
// hold at most math.MaxInt32 values.
func New[T any](n int) Pool[T] {
	return Pool[T]{values: make([]T, 0, n), links: make([]link, 0, n)}
}

// Len returns the number of values.
func (p *Pool[T]) Len() int { return len(p.values) }

// At returns the value at an index, for reading until the next change of the
// pool.
func (p *Pool[T]) At(index int) *T { return &p.values[index] }

// Previous returns the index of the value that stands before the one at an
// index.
func (p *Pool[T]) Previous(index int) int { return int(p.links[index].prev) }

// OldestIndex returns the index of the value that stands first, which must
// exist.
func (p *Pool[T]) OldestIndex() int { return int(p.head) }

// NewestIndex returns the index of the value that stands last, which must
// exist.
func (p *Pool[T]) NewestIndex() int { return int(p.links[p.head].prev) }

// PushNewest adds a value behind all others.
func (p *Pool[T]) PushNewest(value *T) {
	added := int32(len(p.values)) //nolint:gosec // bounded by MaxInt32, see New
	p.values = append(p.values, *value)
	p.links = append(p.links, link{})
	if added == 0 {
		p.head = 0
		return
	}
	first := &p.links[p.head]
	p.links[added] = link{prev: first.prev, next: p.head}
	p.links[first.prev].next = added
	first.prev = added
}

// PushBefore adds a value before the one at an index.
func (p *Pool[T]) PushBefore(index int, value *T) {
	head := p.head
	p.head = int32(index) //nolint:gosec // an index
	p.PushNewest(value)
	if index == int(head) {
		head = p.links[head].prev
	}
	p.head = head
}

// Rotate puts a value behind all others in place of the oldest one, which must
// exist.
func (p *Pool[T]) Rotate(value *T) {
	p.values[p.head] = *value
	p.head = p.links[p.head].next
}

// Take moves the value at an index from 0 to Len()-1 out of the pool. Indices
// say nothing about age, and change with each removal.
func (p *Pool[T]) Take(index int, into *T) {
	var none T
	end := len(p.values) - 1
	*into = p.values[index]
	p.values[index] = p.values[end]
	p.values[end] = none
	p.values = p.values[:end]
	p.unlink(index)
	p.moveLast(index)
}

func (p *Pool[T]) unlink(index int) {
	hole := p.links[index]
	p.links[hole.prev].next = hole.next
	p.links[hole.next].prev = hole.prev
	if int(p.head) == index {
		p.head = hole.next
	}
}

// moveLast makes the last link that of the unlinked index.
func (p *Pool[T]) moveLast(index int) {
	end := len(p.links) - 1
	if index != end {
		// When the last value is the only one left it is its own neighbour: so
		// its neighbours are told before its link is copied.
		last := p.links[end]
		p.links[last.prev].next = int32(index) //nolint:gosec // an index
		p.links[last.next].prev = int32(index) //nolint:gosec // an index
		p.links[index] = p.links[end]
		if int(p.head) == end {
			p.head = int32(index) //nolint:gosec // an index
		}
	}
	p.links = p.links[:end]
}
