package organictest_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
)

// sliceQueue is the smallest right queue: random, the oldest dropped, nobody
// told.
type sliceQueue struct {
	mu       sync.Mutex // guards waiting
	waiting  []organic.Sample[string]
	capacity int
}

func (q *sliceQueue) Add(_ context.Context, sample organic.Sample[string]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, sample)
	q.waiting = q.waiting[max(len(q.waiting)-q.capacity, 0):]
	return nil
}

func (q *sliceQueue) Sample(context.Context) (organic.Lease[string], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return organic.Lease[string]{}, organic.ErrEmpty
	}
	i := rand.IntN(len(q.waiting))
	sample := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return organic.Lease[string]{Sample: sample}, nil
}

func (q *sliceQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// plan says what a fullQueue is to be.
type plan struct {
	capacity  int // 0: no bound
	order     organic.Order
	refuses   bool
	dedupes   bool
	settles   bool
	maxAge    time.Duration
	pick      func(waiting int) int // replaces the order
	drop      func(waiting int) int // which to give up when full; nil: the oldest
	tellUnder bool                  // call watchers under the lock
	tellLater bool                  // call watchers from other goroutines
	deaf      bool                  // never call Arrived for what comes back
	isStale   func(age, maxAge time.Duration) bool
}

// fullQueue is a queue in memory with every trait there is.
type fullQueue struct {
	plan

	mu       sync.Mutex // guards what follows
	waiting  []organic.Sample[string]
	watchers map[int]organic.Watcher
	next     int
	untold   []func()
}

func newFullQueue(plan plan) *fullQueue {
	return &fullQueue{plan: plan, watchers: make(map[int]organic.Watcher)}
}

func (q *fullQueue) Add(_ context.Context, sample organic.Sample[string]) error {
	if q.settles {
		sample.Attempt = 1 // counts failures
	}
	return q.insert(sample)
}

func (q *fullQueue) insert(sample organic.Sample[string]) error {
	same := func(s organic.Sample[string]) bool { return s.ID == sample.ID }
	q.mu.Lock()
	defer q.unlock()
	if q.dedupes && slices.ContainsFunc(q.waiting, same) {
		return organic.ErrDuplicate
	}
	if full := q.capacity > 0 && len(q.waiting) == q.capacity; full && q.refuses {
		return organic.ErrFull
	} else if full && !q.makeRoom(sample) {
		return nil
	}
	q.waiting = append(q.waiting, sample)
	q.tell(func(w organic.Watcher) { w.Arrived() })
	return nil
}

// makeRoom gives a sample up, the one that comes in if that is the oldest.
func (q *fullQueue) makeRoom(incoming organic.Sample[string]) bool {
	victim := 0
	if q.drop != nil {
		victim = q.drop(len(q.waiting))
	}
	if victim == 0 && incoming.Received.Before(q.waiting[0].Received) {
		q.giveUp(incoming, organic.DroppedFull)
		return false
	}
	q.giveUp(q.waiting[victim], organic.DroppedFull)
	q.waiting = slices.Delete(q.waiting, victim, victim+1)
	return true
}

func (q *fullQueue) giveUp(sample organic.Sample[string], reason organic.DropReason) {
	dropped := organic.Dropped{
		ID: sample.ID, Origin: sample.Origin, Attempt: sample.Attempt,
		Received: sample.Received, Reason: reason,
	}
	q.tell(func(w organic.Watcher) { w.Dropped(dropped) })
}

// tell has the watchers called when the lock is released.
func (q *fullQueue) tell(call func(organic.Watcher)) {
	for _, watcher := range q.watchers {
		q.untold = append(q.untold, func() { call(watcher) })
	}
}

func (q *fullQueue) unlock() {
	untold := q.untold
	q.untold = nil
	if !q.tellUnder {
		q.mu.Unlock()
	}
	for _, call := range untold {
		if q.tellLater {
			go call()
		} else {
			call()
		}
	}
	if q.tellUnder {
		q.mu.Unlock()
	}
}

func (q *fullQueue) Sample(context.Context) (organic.Lease[string], error) {
	q.mu.Lock()
	defer q.unlock()
	q.expire()
	if len(q.waiting) == 0 {
		return organic.Lease[string]{}, organic.ErrEmpty
	}
	i := q.choose()
	sample := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	if !q.settles {
		return organic.Lease[string]{Sample: sample}, nil
	}
	return organic.Lease[string]{Sample: sample, Settle: q.settle(sample)}, nil
}

func (q *fullQueue) choose() int {
	switch {
	case q.pick != nil:
		return q.pick(len(q.waiting))
	case q.order == organic.OrderFIFO:
		return 0
	case q.order == organic.OrderNewest:
		return len(q.waiting) - 1
	}
	return rand.IntN(len(q.waiting))
}

func (q *fullQueue) expire() {
	isStale := q.isStale
	if isStale == nil {
		isStale = func(age, maxAge time.Duration) bool { return age > maxAge }
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(s organic.Sample[string]) bool {
		stale := q.maxAge > 0 && isStale(time.Since(s.Received), q.maxAge)
		if stale {
			q.giveUp(s, organic.DroppedExpired)
		}
		return stale
	})
}

// settle brings back what is to be tried again.
func (q *fullQueue) settle(
	sample organic.Sample[string],
) func(context.Context, organic.Verdict) error {
	return func(_ context.Context, verdict organic.Verdict) error {
		switch verdict.Outcome {
		case organic.OutcomeReturn, organic.OutcomeRetry:
			if verdict.Outcome == organic.OutcomeRetry {
				sample.Attempt++
			}
			if verdict.Delay <= 0 {
				q.comeBack(sample)
			} else {
				time.AfterFunc(verdict.Delay, func() { q.comeBack(sample) })
			}
		case organic.OutcomeScored, organic.OutcomeDead, organic.OutcomeDiscarded:
		}
		return nil
	}
}

func (q *fullQueue) comeBack(sample organic.Sample[string]) {
	q.mu.Lock()
	defer q.unlock()
	q.waiting = append([]organic.Sample[string]{sample}, q.waiting...)
	if !q.deaf {
		q.tell(func(w organic.Watcher) { w.Arrived() })
	}
}

func (q *fullQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func (q *fullQueue) Watch(watcher organic.Watcher) (stop func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	id := q.next
	q.next++
	q.watchers[id] = watcher
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.watchers, id)
	}
}
