package organic

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic/internal/notify"
	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/pool"
	"github.com/organic-scoring/organic/internal/random"
	"github.com/organic-scoring/organic/internal/usercode"
)

// defaultCapacity is the bound of the Python original's queue.
const defaultCapacity = 10_000

// expiredPerCall bounds how many samples that are too old one call removes, so
// that no call takes long when many expire at once.
const expiredPerCall = 256

// MemoryConfig configures a [MemoryQueue]. A zero field means its default.
type MemoryConfig struct {
	// Capacity is how many samples the queue holds, 10,000 by default.
	Capacity int
	// Order is the order in which samples are handed out, OrderRandom by
	// default. A sample that is put back counts by the time at which it was
	// received.
	Order Order
	// Refuse makes Add return ErrFull if the queue is full. By default the
	// queue drops its oldest sample instead. Samples that are put back are
	// refused too: the scorer holds them and tries again, and at a stop passes
	// them to the dead-letter hook.
	Refuse bool
	// MaxAge is how long after it was received a sample expires. Zero means
	// never.
	MaxAge time.Duration
	// Seed makes the random choices repeatable. Zero means that they differ
	// from run to run.
	Seed uint64
}

func (cfg MemoryConfig) check() error {
	var wrong option.Problems
	wrong.If(cfg.Capacity < 0 || cfg.Capacity > math.MaxInt32,
		"Capacity is %d, must be from 1 to %d, or 0 for the default", cfg.Capacity, math.MaxInt32)
	wrong.If(cfg.Order > OrderFair,
		"Order is %d, must be OrderRandom, OrderFIFO, OrderNewest or OrderFair", cfg.Order)
	wrong.If(cfg.MaxAge < 0, "MaxAge is %v, must not be negative", cfg.MaxAge)
	return invalidAll("MemoryConfig", wrong)
}

// MemoryQueue is the default [Queue]: bounded, in memory, uniformly random,
// dropping the oldest sample when full. Add and Sample take constant time for
// samples that come in the order in which they were received, and logarithmic
// time for those that come late: samples that are put back, and a backlog that
// is loaded. Its leases have no Settle. It implements [Watched].
//
// Expired samples are removed when samples are added or taken, a few hundred at
// a time. Sample never hands one out, but Size counts those that have not been
// removed yet; while there are very many of them, Sample may hand out the
// newest sample out of its order.
//
// Random choice makes some samples wait very long: with a standing backlog of
// n, one in a hundred waits 4.6 times as long as the average. Another order and
// a maximum age are the remedies. With OrderRandom, OrderFIFO and OrderNewest
// one requester who enqueues more than everybody else together pushes the
// samples of the others out of a full queue; OrderFair prevents that.
//
// A MemoryQueue is made by [NewMemoryQueue], is safe for concurrent use and
// loses its samples with the process; see [MemoryQueue.TakeAll] for saving them
// at a deploy.
type MemoryQueue[S any] struct {
	state *memoryState[S] // behind a pointer, so that fmt prints an address and no payload
}

type memoryState[S any] struct {
	MemoryConfig

	random   *random.Source
	watchers notify.List[Watcher]

	mu    sync.Mutex // guards store
	store sampleStore[S]
}

// NewMemoryQueue returns an empty queue. It reports everything that is invalid
// at once.
func NewMemoryQueue[S any](cfg MemoryConfig) (*MemoryQueue[S], error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Capacity == 0 {
		cfg.Capacity = defaultCapacity
	}
	return &MemoryQueue[S]{state: &memoryState[S]{
		MemoryConfig: cfg,
		random:       seeded(cfg.Seed),
		store:        newSampleStore[S](cfg.Order),
	}}, nil
}

// built returns the state, or ErrNotBuilt.
func (q *MemoryQueue[S]) built() (*memoryState[S], error) {
	if q == nil || q.state == nil {
		return nil, ErrNotBuilt
	}
	return q.state, nil
}

// Add takes a sample in. It ignores ctx: a requester who hangs up must not
// lose the sample. A full queue drops a sample, which is the new one itself if
// that was received before all others, or returns [ErrFull].
func (q *MemoryQueue[S]) Add(_ context.Context, sample Sample[S]) error {
	m, err := q.built()
	if err != nil {
		return err
	}
	if sample.Received.IsZero() {
		sample.Received = time.Now()
	}
	var first [1]Dropped // usually enough
	m.mu.Lock()
	drops, more := m.expire(first[:0])
	drops, err = m.addOrDrop(&sample, drops)
	m.mu.Unlock()

	m.notify(drops, err == nil || more)
	return err
}

// addOrDrop adds a sample, and drops one if the queue is full. The lock is held.
func (m *memoryState[S]) addOrDrop(sample *Sample[S], drops []Dropped) ([]Dropped, error) {
	if m.store.size() < m.Capacity {
		m.store.add(sample)
		return drops, nil
	}
	if m.Refuse {
		return drops, ErrFull
	}
	if len(m.watchers.All()) == 0 {
		m.store.addDropping(sample, nil)
		return drops, nil
	}
	var dropped Sample[S]
	m.store.addDropping(sample, &dropped)
	if m.isExpired(receivedKey(&dropped)) {
		return m.drop(drops, &dropped, DroppedExpired), nil
	}
	return m.drop(drops, &dropped, DroppedFull), nil
}

// Sample takes one sample out, or returns [ErrEmpty].
func (q *MemoryQueue[S]) Sample(context.Context) (lease Lease[S], err error) {
	m, err := q.built()
	if err != nil {
		return lease, err
	}
	var first [1]Dropped // usually enough
	bits := m.draw()
	m.mu.Lock()
	drops, more := m.expire(first[:0])
	drops, found := m.takeLive(bits, drops, &lease.Sample)
	m.mu.Unlock()

	m.notify(drops, more)
	if !found {
		return Lease[S]{}, ErrEmpty
	}
	return lease, nil
}

// takeLive takes a sample that is not too old. The lock is held.
func (m *memoryState[S]) takeLive(
	bits uint64, drops []Dropped, into *Sample[S],
) (_ []Dropped, found bool) {
	for range expiredPerCall {
		if m.store.size() == 0 {
			return drops, false
		}
		m.store.take(bits, into)
		if !m.isExpired(receivedKey(into)) {
			return drops, true
		}
		drops = m.drop(drops, into, DroppedExpired)
		bits = m.draw()
	}
	if m.store.size() == 0 || m.isExpired(m.store.newestKey()) {
		return drops, false
	}
	m.store.takeNewest(into)
	return drops, true
}

// draw returns the random bits of a choice. It is best called without the lock.
func (m *memoryState[S]) draw() uint64 {
	if m.Order == OrderFIFO || m.Order == OrderNewest {
		return 0
	}
	return m.random.Uint64()
}

// expire removes samples that are too old, and reports whether there are more.
// The lock is held.
func (m *memoryState[S]) expire(drops []Dropped) (_ []Dropped, more bool) {
	if m.MaxAge == 0 {
		return drops, false
	}
	return m.expireSome(drops)
}

func (m *memoryState[S]) expireSome(drops []Dropped) (_ []Dropped, more bool) {
	for range expiredPerCall {
		if m.store.size() == 0 || !m.isExpired(m.store.oldestKey()) {
			return drops, false
		}
		var sample Sample[S]
		m.store.takeOldest(&sample)
		drops = m.drop(drops, &sample, DroppedExpired)
	}
	return drops, m.store.size() > 0 && m.isExpired(m.store.oldestKey())
}

func (m *memoryState[S]) isExpired(received int64) bool {
	return m.MaxAge > 0 && received < time.Now().UnixNano()-int64(m.MaxAge)
}

// drop notes a sample that is dropped, if there is a watcher.
func (m *memoryState[S]) drop(drops []Dropped, sample *Sample[S], reason DropReason) []Dropped {
	if len(m.watchers.All()) == 0 {
		return drops
	}
	return append(drops, Dropped{
		ID: sample.ID, Origin: sample.Origin, Attempt: sample.Attempt,
		Received: sample.Received, Reason: reason,
	})
}

// notify calls the watchers, without the lock. A queue that has more to expire
// is to be looked at again, too. Watchers are user code, which must not keep Add
// and Sample from returning what they have done. The only watcher is usually
// the scorer, which never leaves by runtime.Goexit.
func (m *memoryState[S]) notify(drops []Dropped, arrived bool) {
	watchers := m.watchers.All()
	if len(watchers) > 1 {
		notifyIsolated(watchers, slices.Clone(drops), arrived)
		return
	}
	for _, watcher := range watchers {
		for i := range drops {
			usercode.Ignore(func() { watcher.Dropped(drops[i]) })
		}
		if arrived {
			usercode.Ignore(watcher.Arrived)
		}
	}
}

func notifyIsolated(watchers []*Watcher, drops []Dropped, arrived bool) {
	for _, watcher := range watchers {
		for _, dropped := range drops {
			usercode.IgnoreIsolated(func() { watcher.Dropped(dropped) })
		}
		if arrived {
			usercode.IgnoreIsolated(watcher.Arrived)
		}
	}
}

// Size returns the number of samples waiting, including expired ones that have
// not been removed yet.
func (q *MemoryQueue[S]) Size() int {
	m, err := q.built()
	if err != nil {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.store.size()
}

// TakeAll takes all samples out, the oldest first, so that a program can save
// them at a deploy and add them again, best by [OrganicScorer.EnqueueSample],
// which counts them. Watchers are not called.
func (q *MemoryQueue[S]) TakeAll() []Sample[S] {
	m, err := q.built()
	if err != nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	samples := make([]Sample[S], m.store.size())
	for i := range samples {
		m.store.takeOldest(&samples[i])
	}
	return samples
}

// Watch registers a watcher until stop is called.
func (q *MemoryQueue[S]) Watch(watcher Watcher) (stop func()) {
	m, err := q.built()
	if err != nil {
		return func() {}
	}
	return m.watchers.Add(watcher)
}

// receivedKey is by what samples are sorted: when they were received, in
// nanoseconds. It is exact from 1678 to 2262.
func receivedKey[S any](sample *Sample[S]) int64 {
	const limit = math.MaxInt64/int64(time.Second) - 1
	seconds := sample.Received.Unix()
	if seconds < -limit || seconds > limit {
		return min(max(seconds, -limit), limit) * int64(time.Second)
	}
	return seconds*int64(time.Second) + int64(sample.Received.Nanosecond())
}

// sampleStore holds the samples of a queue by age, or by requester and age. It
// is not an interface, so that samples need not be allocated.
type sampleStore[S any] struct {
	order  Order
	sorted *pool.Sorted[Sample[S]] // nil if fair
	fair   *pool.Fair[Sample[S]]   // nil if sorted
}

func newSampleStore[S any](order Order) sampleStore[S] {
	if order == OrderFair {
		return sampleStore[S]{order: order, fair: pool.NewFair[Sample[S]]()}
	}
	return sampleStore[S]{order: order, sorted: pool.NewSorted[Sample[S]]()}
}

func (s *sampleStore[S]) size() int {
	if s.fair != nil {
		return s.fair.Len()
	}
	return s.sorted.Len()
}

func (s *sampleStore[S]) add(sample *Sample[S]) {
	if s.fair != nil {
		s.fair.Add(sample.Requester, receivedKey(sample), sample)
		return
	}
	s.sorted.Add(receivedKey(sample), sample)
}

// addDropping adds a sample to a store that is full, and moves the sample that
// is dropped for it, which may be the same, into dropped if that is not nil.
func (s *sampleStore[S]) addDropping(sample, dropped *Sample[S]) {
	if s.fair != nil {
		var first Sample[S]
		s.add(sample)
		s.fair.TakeOldestOfLargest(cmp.Or(dropped, &first))
		return
	}
	added := s.sorted.ReplaceOldest(receivedKey(sample), sample, dropped)
	if !added && dropped != nil {
		*dropped = *sample
	}
}

// take moves the sample out whose turn it is by the order of the queue.
func (s *sampleStore[S]) take(bits uint64, into *Sample[S]) {
	switch s.order {
	case OrderFair:
		s.fair.TakeOldestOf(random.Reduce(bits, s.fair.Parties()), into)
	case OrderFIFO:
		s.sorted.TakeOldest(into)
	case OrderNewest:
		s.sorted.TakeNewest(into)
	default:
		s.sorted.Take(random.Reduce(bits, s.sorted.Len()), into)
	}
}

func (s *sampleStore[S]) oldestKey() int64 {
	if s.fair != nil {
		return s.fair.OldestKey()
	}
	return s.sorted.OldestKey()
}

func (s *sampleStore[S]) takeOldest(into *Sample[S]) {
	if s.fair != nil {
		s.fair.TakeOldest(into)
		return
	}
	s.sorted.TakeOldest(into)
}

func (s *sampleStore[S]) newestKey() int64 {
	if s.fair != nil {
		return s.fair.NewestKey()
	}
	return s.sorted.NewestKey()
}

func (s *sampleStore[S]) takeNewest(into *Sample[S]) {
	if s.fair != nil {
		s.fair.TakeNewest(into)
		return
	}
	s.sorted.TakeNewest(into)
}
