package boltqueue

import "container/heap"

// ordered is a binary heap whose items know their position in it, so that any
// of them can be removed. Its items are dense: one of them is chosen at random
// by its position. It is not safe for concurrent use.
type ordered[T any] struct {
	items []T
	less  func(a, b T) bool
	at    func(item T) *int // where the item keeps its position
}

func (o *ordered[T]) push(item T)   { heap.Push((*heapOf[T])(o), item) }
func (o *ordered[T]) remove(item T) { heap.Remove((*heapOf[T])(o), *o.at(item)) }
func (o *ordered[T]) fix(item T)    { heap.Fix((*heapOf[T])(o), *o.at(item)) }
func (o *ordered[T]) len() int      { return len(o.items) }
func (o *ordered[T]) first() T      { return o.items[0] }

// heapOf has the methods that container/heap wants.
type heapOf[T any] ordered[T]

func (h *heapOf[T]) Len() int           { return len(h.items) }
func (h *heapOf[T]) Less(i, j int) bool { return h.less(h.items[i], h.items[j]) }

func (h *heapOf[T]) Swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	*h.at(h.items[i]), *h.at(h.items[j]) = i, j
}

// Push appends an item.
func (h *heapOf[T]) Push(item any) {
	added := item.(T) //nolint:forcetypeassert // push takes a T
	*h.at(added) = len(h.items)
	h.items = append(h.items, added)
}

// Pop removes the last item.
func (h *heapOf[T]) Pop() any {
	last := len(h.items) - 1
	item := h.items[last]
	var zero T
	h.items[last] = zero // keeps nothing alive
	h.items = h.items[:last]
	return item
}
