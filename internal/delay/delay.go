// Package delay keeps values until they are due.
package delay

import (
	"container/heap"
	"sync"
	"time"
)

// Heap keeps values, each until its own time. The zero Heap is empty. It is
// safe for concurrent use.
type Heap[T any] struct {
	mu      sync.Mutex // guards the fields below
	entries entries[T]
	taken   int // values that Take has returned and Done has not been called for
}

// Push keeps a value until due.
func (h *Heap[T]) Push(due time.Time, value T) {
	h.mu.Lock()
	defer h.mu.Unlock()
	heap.Push(&h.entries, entry[T]{due: due, value: value})
}

// Len returns the number of values, including those that were taken and for
// which Done has not been called.
func (h *Heap[T]) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.entries) + h.taken
}

// Next returns when the value at the top is due and how many values wait. Ok is
// false if none does.
func (h *Heap[T]) Next() (due time.Time, waiting int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.entries) == 0 {
		return time.Time{}, 0, false
	}
	return h.entries[0].due, len(h.entries), true
}

// Take removes the value that is due first if it is due by now or if more than
// limit values wait; early is how much too soon that is. The value counts in
// Len until Done is called.
func (h *Heap[T]) Take(now time.Time, limit int) (value T, early time.Duration, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.entries) == 0 || h.entries[0].due.After(now) && len(h.entries) <= limit {
		return value, 0, false
	}
	first := heap.Pop(&h.entries).(entry[T]) //nolint:forcetypeassert // the heap holds nothing else
	h.taken++
	return first.value, max(first.due.Sub(now), 0), true
}

// Done is called when a value that was taken has been passed on.
func (h *Heap[T]) Done() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken--
}

type entry[T any] struct {
	due   time.Time
	value T
}

// entries implements heap.Interface, the earliest first.
type entries[T any] []entry[T]

func (e entries[T]) Len() int           { return len(e) }
func (e entries[T]) Less(i, j int) bool { return e[i].due.Before(e[j].due) }
func (e entries[T]) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push appends an entry, for container/heap.
func (e *entries[T]) Push(x any) {
	*e = append(*e, x.(entry[T])) //nolint:forcetypeassert // see Take
}

// Pop removes the last entry, for container/heap.
func (e *entries[T]) Pop() any {
	end := len(*e) - 1
	last := (*e)[end]
	(*e)[end] = entry[T]{}
	*e = (*e)[:end]
	return last
}
