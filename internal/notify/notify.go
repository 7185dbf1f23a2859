// Package notify wakes goroutines: one by a signal, all that listen by a
// broadcast, and user code by a list of watchers.
package notify

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Signal is a wake-up that is kept until it is received. Several count as one.
type Signal chan struct{}

// NewSignal returns a signal that is not set.
func NewSignal() Signal { return make(Signal, 1) }

// Set wakes the receiver, now or when it next receives. It never blocks.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// Closed reports whether a channel on which nothing is sent is closed.
func Closed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

// List is a list of values that is read often and changed rarely. The zero
// List is empty. It is safe for concurrent use.
type List[T any] struct {
	mu     sync.Mutex // serialises changes
	values atomic.Pointer[[]*T]
}

// Add adds a value until remove is called.
func (l *List[T]) Add(value T) (remove func()) {
	added := &value
	l.change(func(values []*T) []*T { return append(values, added) })
	return func() {
		l.change(func(values []*T) []*T {
			return slices.DeleteFunc(values, func(v *T) bool { return v == added })
		})
	}
}

func (l *List[T]) change(edit func(values []*T) []*T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := edit(slices.Clone(l.All()))
	l.values.Store(&values)
}

// All returns the values. They must not be changed.
func (l *List[T]) All() []*T {
	if values := l.values.Load(); values != nil {
		return *values
	}
	return nil
}

// Broadcast wakes all that listen. The zero Broadcast has no listeners. It is
// safe for concurrent use.
type Broadcast struct{ listeners List[Signal] }

// Listen returns a signal that is set by each Send until stop is called.
func (b *Broadcast) Listen() (signal Signal, stop func()) {
	signal = NewSignal()
	return signal, b.listeners.Add(signal)
}

// Send wakes all listeners.
func (b *Broadcast) Send() {
	for _, signal := range b.listeners.All() {
		signal.Set()
	}
}
