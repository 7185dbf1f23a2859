// Package steps counts steps and wakes who waits for a number of them.
package steps

import (
	"math"
	"sync/atomic"

	"github.com/organic-scoring/organic/internal/notify"
)

// Counter counts steps. One goroutine, the waiter, calls Reached, KeepRemainder
// and AwaitNext; Increment and Set are safe for concurrent use.
//
// The count and the target are compared by the one who adds a step after it has
// been added, and by the waiter after it has set the target, so that one of them
// always sees the other.
type Counter struct {
	wakeup notify.Signal
	count  atomic.Int64
	target atomic.Int64 // the count that wakes the waiter
}

// noTarget is never reached: the waiter does not wait for steps.
const noTarget = math.MaxInt64

// most bounds Set, so that the steps after it cannot overflow.
const most = math.MaxInt64 / 2

// NewCounter returns a counter of zero, which sets the signal to wake the waiter.
func NewCounter(wakeup notify.Signal) *Counter {
	c := &Counter{wakeup: wakeup}
	c.target.Store(noTarget)
	return c
}

// Increment adds a step.
func (c *Counter) Increment() {
	if c.count.Add(1) >= c.target.Load() {
		c.wakeup.Set()
	}
}

// Set sets the count. It always wakes the waiter, whose target may be one that a
// lower count does not reach in time.
func (c *Counter) Set(n int) {
	c.count.Store(min(max(int64(n), -most), most))
	c.wakeup.Set()
}

// Reached reports whether the count has reached a threshold. If it has not, the
// step that reaches it wakes the waiter.
func (c *Counter) Reached(threshold int) bool {
	c.target.Store(int64(threshold))
	if c.count.Load() < int64(threshold) {
		return false
	}
	c.target.Store(noTarget)
	return true
}

// KeepRemainder takes whole thresholds from the count. A lower count, which may
// be negative, stays as it is.
func (c *Counter) KeepRemainder(threshold int) {
	for {
		count := c.count.Load()
		if count < int64(threshold) || c.count.CompareAndSwap(count, count%int64(threshold)) {
			return
		}
	}
}

// AwaitNext has the next step wake the waiter. It returns false if that step has
// come meanwhile.
func (c *Counter) AwaitNext() bool {
	seen := c.count.Load()
	c.target.Store(seen + 1)
	return c.count.Load() == seen
}
