package organic_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
)

// sliceQueue is all that a queue of one's own needs.
type sliceQueue struct {
	mu      sync.Mutex
	samples []organic.Sample[int]
}

func (q *sliceQueue) Add(_ context.Context, sample organic.Sample[int]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.samples = append(q.samples, sample)
	return nil
}

func (q *sliceQueue) Sample(context.Context) (lease organic.Lease[int], err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.samples) == 0 {
		return lease, organic.ErrEmpty
	}
	lease.Sample, q.samples = q.samples[0], q.samples[1:]
	return lease, nil
}

func (q *sliceQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.samples)
}

func (q *sliceQueue) TakeAll() []organic.Sample[int] { return q.samples }

var errFlaky = errors.New("flaky")

// flakyQueue is a sliceQueue that fails and panics now and then.
type flakyQueue struct {
	sliceQueue

	mu    sync.Mutex // guards calls
	calls int
}

func (q *flakyQueue) Add(ctx context.Context, sample organic.Sample[int]) error {
	if err := q.fail(10); err != nil {
		return err
	}
	return q.sliceQueue.Add(ctx, sample)
}

func (q *flakyQueue) Sample(ctx context.Context) (organic.Lease[int], error) {
	if err := q.fail(200); err != nil {
		return organic.Lease[int]{}, err
	}
	return q.sliceQueue.Sample(ctx)
}

// fail fails one call in so many.
func (q *flakyQueue) fail(oneIn int) error {
	q.mu.Lock()
	q.calls++
	call := q.calls
	q.mu.Unlock()
	if dice(call, 0, "flaky")%oneIn == 0 {
		return errFlaky
	}
	return nil
}

// leasingQueue keeps what it has leased until it is settled. A settling that
// fails brings the sample back, whatever became of it, or was heard after all.
type leasingQueue struct {
	ledger   *ledger
	capacity int

	mu      sync.Mutex // guards the fields below
	entries []leasingEntry
	leases  int
	calls   int
	watcher organic.Watcher
}

type leasingEntry struct {
	sample organic.Sample[int]
	due    time.Time
}

func (q *leasingQueue) Watch(watcher organic.Watcher) (stop func()) {
	q.watcher = watcher
	return func() {}
}

func (q *leasingQueue) Add(_ context.Context, sample organic.Sample[int]) error {
	sample.Attempt = 0 // deliveries so far
	q.store(sample, 0)
	return nil
}

// store keeps a sample, which can be taken after a delay.
func (q *leasingQueue) store(sample organic.Sample[int], delay time.Duration) {
	q.mu.Lock()
	q.entries = append(q.entries, leasingEntry{sample, time.Now().Add(delay)})
	var dropped []leasingEntry
	if len(q.entries) > q.capacity {
		dropped = slices.Clone(q.entries[:1])
		q.entries = slices.Delete(q.entries, 0, 1)
	}
	q.mu.Unlock()

	for _, d := range dropped {
		q.watcher.Dropped(organic.Dropped{ID: d.sample.ID, Received: d.sample.Received, Reason: organic.DroppedFull})
	}
	time.AfterFunc(delay, q.watcher.Arrived)
}

func (q *leasingQueue) Sample(context.Context) (organic.Lease[int], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	i := slices.IndexFunc(q.entries, func(e leasingEntry) bool { return !e.due.After(now) })
	if i < 0 {
		return organic.Lease[int]{}, organic.ErrEmpty
	}
	sample := q.entries[i].sample
	sample.Attempt++
	q.entries = slices.Delete(q.entries, i, i+1)
	q.leases++
	open := true
	return organic.Lease[int]{Sample: sample, Settle: func(_ context.Context, verdict organic.Verdict) error {
		q.mu.Lock()
		q.calls++
		call, first := q.calls, open
		open = false
		q.leases--
		q.mu.Unlock()
		if !first {
			q.ledger.note("settled twice: " + sample.ID)
		}
		return q.settle(sample, verdict, call)
	}}, nil
}

func (q *leasingQueue) settle(sample organic.Sample[int], verdict organic.Verdict, call int) error {
	ends := verdict.Outcome != organic.OutcomeRetry && verdict.Outcome != organic.OutcomeReturn
	switch dice(call, 0, "settle") % 40 {
	case 0, 1: // not heard
		if ends {
			q.ledger.relapse(sample.Payload)
		}
		q.store(sample, 10*time.Millisecond)
		return errFlaky
	case 2: // heard, but the answer is lost
		defer panic("settle")
	}
	if !ends {
		q.store(sample, verdict.Delay)
	}
	return nil
}

func (q *leasingQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.entries)
}

// Samples returns what waits, delayed or not. Leases that are open at rest are
// wrong.
func (q *leasingQueue) TakeAll() (samples []organic.Sample[int]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.leases != 0 {
		q.ledger.note("leases left open: " + strconv.Itoa(q.leases))
	}
	for _, e := range q.entries {
		samples = append(samples, e.sample)
	}
	return samples
}
