// Package pool holds values in the order of their keys and gives any one of
// them out at once: the oldest, the newest, or one picked at random.
package pool

// pool keeps values that come in the order of their keys dense in an array, so
// that one can be picked by index. Over the same indices runs a circular doubly
// linked list in the order of the keys, so that the oldest is known. Removal
// moves the last value of the array into the hole. The links have an array of
// their own, small enough to stay in the processor's cache where the values do
// not. The zero pool is empty and grows as needed, to at most math.MaxInt32
// values.
type pool[T any] struct {
	values []T
	links  []link
	head   int32 // index of the oldest value
}

// link holds the neighbours in the order of the keys, circular.
type link struct {
	key        int64
	prev, next int32
}

func (p *pool[T]) len() int { return len(p.values) }

// oldest returns the index of the value that stands first, which must exist.
func (p *pool[T]) oldest() int32 { return p.head }

// oldestKey returns the key of that value.
func (p *pool[T]) oldestKey() int64 { return p.links[p.head].key }

// newest returns the index of the value that stands last, which must exist.
func (p *pool[T]) newest() int32 { return p.links[p.head].prev }

// newestKey returns the key of that value.
func (p *pool[T]) newestKey() int64 { return p.links[p.newest()].key }

// push adds a value behind all others.
func (p *pool[T]) push(key int64, value *T) {
	added := int32(len(p.values)) //nolint:gosec // bounded by MaxInt32
	p.values = append(p.values, *value)
	p.links = append(p.links, link{key: key})
	if added == 0 {
		p.head = 0
		return
	}
	first := &p.links[p.head]
	p.links[added] = link{key: key, prev: first.prev, next: p.head}
	p.links[first.prev].next = added
	first.prev = added
}

// rotate puts a value behind all others in place of the oldest one, which must
// exist.
func (p *pool[T]) rotate(key int64, value *T) {
	oldest := &p.links[p.head]
	p.values[p.head] = *value
	oldest.key = key
	p.head = oldest.next
}

// take moves the value at an index out of the pool. Indices change with each
// removal.
func (p *pool[T]) take(index int32, into *T) {
	var none T
	end := len(p.values) - 1
	*into = p.values[index]
	p.values[index] = p.values[end]
	p.values[end] = none
	p.values = p.values[:end]
	p.unlink(index)
	p.moveLast(index)
}

func (p *pool[T]) unlink(index int32) {
	hole := p.links[index]
	p.links[hole.prev].next = hole.next
	p.links[hole.next].prev = hole.prev
	if p.head == index {
		p.head = hole.next
	}
}

// moveLast makes the last link that of the unlinked index.
func (p *pool[T]) moveLast(index int32) {
	end := int32(len(p.links) - 1) //nolint:gosec // bounded by MaxInt32
	if index != end {
		// When the last value is the only one left it is its own neighbour: so
		// its neighbours are set before its link is copied.
		last := p.links[end]
		p.links[last.prev].next = index
		p.links[last.next].prev = index
		p.links[index] = p.links[end]
		if p.head == end {
			p.head = index
		}
	}
	p.links = p.links[:end]
}
