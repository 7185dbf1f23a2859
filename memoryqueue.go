package organic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/internal/chance"
	"github.com/organic-scoring/organic/internal/pool"
)

// defaultCapacity is the bound of the Python original's queue.
const defaultCapacity = 10_000

// MemoryQueue is the default [Queue]: bounded, in memory, uniformly random,
// dropping the oldest sample when full. Samples stand in the order in which
// they were received; one that is put back walks to its place among the newer
// ones. Else Add and Sample take constant time (amortised with a maximum age),
// and they do not allocate once the queue has been full. Its leases have no
// Settle; it implements [Watched]. The zero MemoryQueue is empty and has the
// defaults.
//
// Random removal makes some samples wait very long: with a standing backlog of
// n, one in a hundred waits 4.6 times as long as the average. [WithOrder] and
// [WithMaxAge] are the remedies.
//
// A MemoryQueue is safe for concurrent use and loses its samples with the
// process; see [MemoryQueue.Samples] for saving them at a deploy.
type MemoryQueue[S any] struct {
	queueConfig
	random   chance.Source
	watchers atomic.Pointer[[]*Watcher]

	mu      sync.Mutex // guards waiting
	waiting pool.Pool[Sample[S]]
}

// QueueOption configures a [MemoryQueue].
type QueueOption interface {
	applyQueue(cfg *queueConfig) error
}

type queueConfig struct {
	capacity int
	order    Order
	refuses  bool
	maxAge   time.Duration
	seed     *uint64
}

type queueOptionFunc func(cfg *queueConfig) error

func (f queueOptionFunc) applyQueue(cfg *queueConfig) error { return f(cfg) }

// WithCapacity bounds a [MemoryQueue] to n samples, 10 000 by default.
func WithCapacity(n int) QueueOption {
	return queueOptionFunc(func(cfg *queueConfig) error {
		if n < 1 || n > math.MaxInt32 {
			return invalid(fmt.Sprintf("WithCapacity(%d)", n), "must be from 1 to %d", math.MaxInt32)
		}
		cfg.capacity = n
		return nil
	})
}

// WithOrder sets the order in which a [MemoryQueue] hands samples out,
// [OrderRandom] by default. A sample that is put back counts by the time at which it
// was received.
func WithOrder(order Order) QueueOption {
	return queueOptionFunc(func(cfg *queueConfig) error {
		if order > OrderNewest {
			return invalid(fmt.Sprintf("WithOrder(%d)", order), "must be Random, FIFO or Newest")
		}
		cfg.order = order
		return nil
	})
}

// WithRefusal makes a full [MemoryQueue] answer [ErrFull] instead of dropping
// its oldest sample. It refuses samples that are put back too: the scorer holds
// them and tries again, and at a stop hands them to the dead-letter hook.
func WithRefusal() QueueOption {
	return queueOptionFunc(func(cfg *queueConfig) error {
		cfg.refuses = true
		return nil
	})
}

// WithMaxAge drops the samples of a [MemoryQueue] that were received longer
// than age ago. Their age is looked at when samples are added or taken, so
// that Size may count some that will not be handed out.
func WithMaxAge(age time.Duration) QueueOption {
	return queueOptionFunc(func(cfg *queueConfig) error {
		if age <= 0 {
			return invalid(fmt.Sprintf("WithMaxAge(%v)", age), "must be above 0")
		}
		cfg.maxAge = age
		return nil
	})
}

func (o SeedOption) applyQueue(cfg *queueConfig) error {
	cfg.seed = &o.seed
	return nil
}

// NewMemoryQueue returns an empty queue. It reports all invalid options at
// once.
func NewMemoryQueue[S any](opts ...QueueOption) (*MemoryQueue[S], error) {
	cfg := queueConfig{capacity: defaultCapacity}
	var errs []error
	for i, opt := range opts {
		if isNil(opt) {
			errs = append(errs, invalid("NewMemoryQueue", "option %d is nil", i+1))
			continue
		}
		errs = append(errs, opt.applyQueue(&cfg))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	queue := &MemoryQueue[S]{
		queueConfig: cfg,
		waiting:     pool.New[Sample[S]](min(cfg.capacity, defaultCapacity)),
	}
	if cfg.seed != nil {
		queue.random.Seed(*cfg.seed)
	}
	return queue, nil
}

// Add takes a sample in. It ignores ctx: a requester who hangs up must not
// lose the sample. A full queue drops its oldest sample, which is the new one
// itself when that was received before all others, or answers [ErrFull].
func (q *MemoryQueue[S]) Add(_ context.Context, sample Sample[S]) error {
	if sample.Received.IsZero() {
		sample.Received = time.Now()
	}
	var room [1]Dropped // usually enough
	q.mu.Lock()
	drops := q.expire(room[:0])
	drops, err := q.place(&sample, drops)
	q.mu.Unlock()

	q.tell(drops, err == nil)
	return err
}

// place puts a sample where it belongs by its age. The lock is held.
func (q *MemoryQueue[S]) place(sample *Sample[S], drops []Dropped) ([]Dropped, error) {
	if q.waiting.Len() < q.bound() {
		q.insert(sample)
		return drops, nil
	}
	if q.refuses {
		return drops, ErrFull
	}
	oldest := q.oldest()
	switch {
	case !isOlder(sample, oldest):
		drops = q.dropped(drops, oldest, DroppedFull)
		q.replaceOldest(sample)
		return drops, nil
	case q.isExpired(sample):
		return q.dropped(drops, sample, DroppedExpired), nil
	default:
		return q.dropped(drops, sample, DroppedFull), nil
	}
}

func isOlder[S any](a, b *Sample[S]) bool { return a.Received.Before(b.Received) }

func (q *MemoryQueue[S]) oldest() *Sample[S] { return q.waiting.At(q.waiting.OldestIndex()) }

// isNewest reports whether a sample is not older than any that waits, as nearly
// all that come in are.
func (q *MemoryQueue[S]) isNewest(sample *Sample[S]) bool {
	return q.waiting.Len() == 0 || !isOlder(sample, q.waiting.At(q.waiting.NewestIndex()))
}

// insert puts a sample behind the last one that is not newer.
func (q *MemoryQueue[S]) insert(sample *Sample[S]) {
	if q.isNewest(sample) {
		q.waiting.PushNewest(sample)
		return
	}
	oldest, next := q.waiting.OldestIndex(), q.waiting.NewestIndex()
	for next != oldest && isOlder(sample, q.waiting.At(q.waiting.Previous(next))) {
		next = q.waiting.Previous(next)
	}
	q.waiting.PushBefore(next, sample)
}

func (q *MemoryQueue[S]) replaceOldest(sample *Sample[S]) {
	if q.isNewest(sample) {
		q.waiting.Rotate(sample)
		return
	}
	var gone Sample[S]
	q.waiting.Take(q.waiting.OldestIndex(), &gone)
	q.insert(sample)
}

// bound is the capacity, also of a zero MemoryQueue.
func (q *MemoryQueue[S]) bound() int {
	if q.capacity == 0 {
		return defaultCapacity
	}
	return q.capacity
}

// Sample takes one sample out, or answers [ErrEmpty].
func (q *MemoryQueue[S]) Sample(context.Context) (lease Lease[S], err error) {
	random := q.draw()
	var room [1]Dropped // usually enough
	q.mu.Lock()
	drops := q.expire(room[:0])
	for {
		if q.waiting.Len() == 0 {
			err = ErrEmpty
			break
		}
		q.waiting.Take(q.turn(random), &lease.Sample)
		if !q.isExpired(&lease.Sample) {
			break
		}
		drops = q.dropped(drops, &lease.Sample, DroppedExpired)
		lease, random = Lease[S]{}, q.draw()
	}
	q.mu.Unlock()

	q.tell(drops, false)
	return lease, err
}

// draw returns the random bits that a pick needs, best before the lock is held.
func (q *MemoryQueue[S]) draw() uint64 {
	if q.order != OrderRandom {
		return 0
	}
	return q.random.Uint64()
}

// turn returns the index of the sample whose turn it is. The lock is held.
func (q *MemoryQueue[S]) turn(random uint64) int {
	switch q.order {
	case OrderFIFO:
		return q.waiting.OldestIndex()
	case OrderNewest:
		return q.waiting.NewestIndex()
	default:
		return chance.Reduce(random, q.waiting.Len())
	}
}

func (q *MemoryQueue[S]) isExpired(sample *Sample[S]) bool {
	return q.maxAge > 0 && time.Since(sample.Received) > q.maxAge
}

// Size returns the number of samples waiting.
func (q *MemoryQueue[S]) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting.Len()
}

// Samples takes all samples out, the oldest first, so that a program can save
// them at a deploy and add them again, best by [OrganicScorer.EnqueueSample],
// which counts them. No watcher is told.
func (q *MemoryQueue[S]) Samples() []Sample[S] {
	q.mu.Lock()
	defer q.mu.Unlock()
	samples := make([]Sample[S], q.waiting.Len())
	for i := range samples {
		q.waiting.Take(q.waiting.OldestIndex(), &samples[i])
	}
	return samples
}

// Watch registers a watcher until stop is called.
func (q *MemoryQueue[S]) Watch(watcher Watcher) (stop func()) {
	added := &watcher
	q.mu.Lock()
	defer q.mu.Unlock()
	q.setWatchers(append(slices.Clone(q.watching()), added))
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.setWatchers(slices.DeleteFunc(slices.Clone(q.watching()), func(w *Watcher) bool { return w == added }))
	}
}

func (q *MemoryQueue[S]) setWatchers(watchers []*Watcher) { q.watchers.Store(&watchers) }

func (q *MemoryQueue[S]) watching() []*Watcher {
	if watchers := q.watchers.Load(); watchers != nil {
		return *watchers
	}
	return nil
}

// expire removes samples that are too old from the front. The lock is held.
func (q *MemoryQueue[S]) expire(drops []Dropped) []Dropped {
	if q.maxAge == 0 {
		return drops
	}
	for q.waiting.Len() > 0 && q.isExpired(q.oldest()) {
		var sample Sample[S]
		q.waiting.Take(q.waiting.OldestIndex(), &sample)
		drops = q.dropped(drops, &sample, DroppedExpired)
	}
	return drops
}

// dropped notes a sample that is given up, if anybody wants to know.
func (q *MemoryQueue[S]) dropped(drops []Dropped, sample *Sample[S], reason DropReason) []Dropped {
	if len(q.watching()) == 0 {
		return drops
	}
	return append(drops, Dropped{
		ID: sample.ID, Origin: sample.Origin, Attempt: sample.Attempt, Received: sample.Received, Reason: reason,
	})
}

// tell informs the watchers. The lock is not held.
func (q *MemoryQueue[S]) tell(drops []Dropped, arrived bool) {
	for _, watcher := range q.watching() {
		for _, drop := range drops {
			watcher.Dropped(drop)
		}
		if arrived {
			watcher.Arrived()
		}
	}
}
