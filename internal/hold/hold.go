// Package hold keeps values back until their time has come.
package hold

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// Hold keeps values, each until its own time. The zero Hold is empty. It is
// safe for concurrent use.
type Hold[T any] struct {
	kept atomic.Int64 // values in the heap, and those that Done has not forgotten

	mu   sync.Mutex // guards heap
	heap entries[T]
}

type entry[T any] struct {
	due   time.Time
	value T
}

// Push keeps a value until due.
func (h *Hold[T]) Push(due time.Time, value T) {
	h.kept.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	heap.Push(&h.heap, entry[T]{due: due, value: value})
}

// Len is the number of values kept, those that were taken and not yet
// forgotten by Done included.
func (h *Hold[T]) Len() int { return int(h.kept.Load()) }

// Next returns the time at which the first value is due, if there is one.
func (h *Hold[T]) Next() (due time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.heap) == 0 {
		return time.Time{}, false
	}
	return h.heap[0].due, true
}

// TakeDue takes out the value that is due first, if it is due by now or if
// more than limit values are kept. It counts in Len until Done is called.
func (h *Hold[T]) TakeDue(now time.Time, limit int) (value T, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.heap) == 0 || h.heap[0].due.After(now) && len(h.heap) <= limit {
		return value, false
	}
	return heap.Pop(&h.heap).(entry[T]).value, true //nolint:forcetypeassert // the heap holds nothing else
}

// Done says that a value that was taken out has found its place.
func (h *Hold[T]) Done() { h.kept.Add(-1) }

// entries implements heap.Interface, the earliest first.
type entries[T any] []entry[T]

func (e entries[T]) Len() int           { return len(e) }
func (e entries[T]) Less(i, j int) bool { return e[i].due.Before(e[j].due) }
func (e entries[T]) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }

// Push appends an entry, for container/heap.
func (e *entries[T]) Push(x any) { *e = append(*e, x.(entry[T])) } //nolint:forcetypeassert // see above

// Pop removes the last entry, for container/heap.
func (e *entries[T]) Pop() any {
	end := len(*e) - 1
	last := (*e)[end]
	(*e)[end] = entry[T]{}
	*e = (*e)[:end]
	return last
}
