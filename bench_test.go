package organic_test

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/organic-scoring/organic"
)

// floorQueue is the smallest queue that keeps a bound and picks at random: one
// mutex and swap-remove. It does not know which sample is the oldest. With a
// million samples it overwrites one at random, since the oldest of a queue that
// hands out at random is anywhere in memory, too.
type floorQueue[S any] struct {
	mu      sync.Mutex
	waiting []organic.Sample[S]
	bound   int
	next    int
	random  bool // overwrites a sample at random when full, not the next one
}

func (q *floorQueue[S]) Add(_ context.Context, sample organic.Sample[S]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) < q.bound {
		q.waiting = append(q.waiting, sample)
		return nil
	}
	q.next = (q.next + 1) % q.bound
	if q.random {
		q.next = rand.IntN(q.bound)
	}
	q.waiting[q.next] = sample
	return nil
}

func (q *floorQueue[S]) Sample(context.Context) (organic.Lease[S], error) {
	random := rand.Uint64()
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return organic.Lease[S]{}, organic.ErrEmpty
	}
	i, _ := bits.Mul64(random, uint64(len(q.waiting)))
	last := len(q.waiting) - 1
	sample := q.waiting[i]
	q.waiting[i] = q.waiting[last]
	q.waiting[last] = organic.Sample[S]{}
	q.waiting = q.waiting[:last]
	return organic.Lease[S]{Sample: sample}, nil
}

func (q *floorQueue[S]) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// benchmarkQueues runs a benchmark on the floor and on a MemoryQueue, each
// full and churned by five times its size first.
func benchmarkQueues(
	b *testing.B, benchmarkSize int,
	run func(b *testing.B, queue organic.Queue[int], sample organic.Sample[int]),
) {
	b.Helper()
	memory, err := organic.NewMemoryQueue[int](organic.MemoryConfig{Capacity: benchmarkSize})
	require.NoError(b, err)
	sample := organic.NewSample(1)
	for _, candidate := range []struct {
		name  string
		queue organic.Queue[int]
	}{
		{"floor", &floorQueue[int]{
			waiting: make([]organic.Sample[int], 0, benchmarkSize),
			bound:   benchmarkSize, random: benchmarkSize > 10_000,
		}},
		{"organic", memory},
	} {
		for range benchmarkSize {
			require.NoError(b, candidate.queue.Add(b.Context(), sample))
		}
		for range 5 * benchmarkSize {
			_, _ = candidate.queue.Sample(b.Context())
			_ = candidate.queue.Add(b.Context(), sample)
		}
		b.Run(candidate.name, func(b *testing.B) {
			b.ReportAllocs()
			run(b, candidate.queue, sample)
		})
	}
}

var benchmarkSizes = []struct {
	name string
	n    int
}{{"10k", 10_000}, {"1M", 1_000_000}}

func BenchmarkQueueAddWhenFull(b *testing.B) {
	for _, size := range benchmarkSizes {
		b.Run(size.name, func(b *testing.B) {
			benchmarkQueues(b, size.n, func(
				b *testing.B, queue organic.Queue[int], sample organic.Sample[int],
			) {
				b.Helper()
				ctx := b.Context()
				for b.Loop() {
					_ = queue.Add(ctx, sample)
				}
			})
		})
	}
}

func BenchmarkQueueSampleAndAdd(b *testing.B) {
	for _, size := range benchmarkSizes {
		b.Run(size.name, func(b *testing.B) {
			benchmarkQueues(b, size.n, func(
				b *testing.B, queue organic.Queue[int], sample organic.Sample[int],
			) {
				b.Helper()
				ctx := b.Context()
				for b.Loop() {
					_, _ = queue.Sample(ctx)
					_ = queue.Add(ctx, sample)
				}
			})
		})
	}
}

// BenchmarkQueueLate adds a sample that was received before all that wait, and
// takes one out; the floor is the same with a new sample.
func BenchmarkQueueLate(b *testing.B) {
	for _, size := range benchmarkSizes {
		for _, late := range []bool{false, true} {
			name, back := size.name+"/floor", time.Duration(0)
			if late {
				name, back = size.name+"/organic", time.Hour
			}
			b.Run(name, func(b *testing.B) {
				queue, err := organic.NewMemoryQueue[int](organic.MemoryConfig{Capacity: 2 * size.n})
				require.NoError(b, err)
				ctx, start := b.Context(), time.Now()
				for n := range size.n {
					require.NoError(b, queue.Add(ctx,
						organic.Sample[int]{ID: "waits", Received: start.Add(time.Duration(n))}))
				}
				b.ReportAllocs()
				n := time.Duration(size.n)
				for b.Loop() {
					n++
					_ = queue.Add(ctx, organic.Sample[int]{ID: "added", Received: start.Add(n - back)})
					_, _ = queue.Sample(ctx)
				}
			})
		}
	}
}

// BenchmarkEnqueue is a sample from a producer to a full queue; the floor makes
// the sample and adds it to the floor's queue.
func BenchmarkEnqueue(b *testing.B) {
	const capacity = 10_000
	for _, goroutines := range []int{1, 8, 64} {
		b.Run(strconv.Itoa(goroutines)+"/floor", func(b *testing.B) {
			queue := &floorQueue[int]{waiting: make([]organic.Sample[int], 0, capacity), bound: capacity}
			inGoroutines(b, goroutines, func() { _ = queue.Add(b.Context(), organic.NewSample(1)) })
		})
		b.Run(strconv.Itoa(goroutines)+"/organic", func(b *testing.B) {
			scorer, err := organic.New(&benchHooks{})
			require.NoError(b, err)
			inGoroutines(b, goroutines, func() { _, _ = scorer.Enqueue(b.Context(), 1) })
		})
	}
}

func inGoroutines(b *testing.B, n int, do func()) {
	b.Helper()
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				do()
			}
		})
	}
	group.Wait()
}

// endlessQueue gives the same sample again and again, at no cost.
type endlessQueue struct{ sample organic.Sample[int] }

func (q endlessQueue) Add(context.Context, organic.Sample[int]) error { return nil }

func (q endlessQueue) Sample(context.Context) (organic.Lease[int], error) {
	return organic.Lease[int]{Sample: q.sample}, nil
}

func (q endlessQueue) Size() int { return 1 }

// noResponses is what the hooks return.
var noResponses map[organic.UID]int

// benchHooks do nothing, unless they have something to do. They are a plain
// type, like a validator: those of organictest need a larger stack.
type benchHooks struct {
	organic.DefaultHooks[int, int]

	query     func()
	reference func()
	weights   func()
	rewards   organic.Rewards
}

func (h *benchHooks) QueryMiners(
	context.Context, organic.Sample[int],
) (map[organic.UID]int, error) {
	if h.query != nil {
		h.query()
	}
	return noResponses, nil
}

func (h *benchHooks) GenerateReference(context.Context, organic.Sample[int]) (int, error) {
	if h.reference != nil {
		h.reference()
	}
	return 0, nil
}

func (h *benchHooks) GenerateRewards(
	context.Context, organic.Sample[int], map[organic.UID]int, int,
) (organic.Rewards, error) {
	return h.rewards, nil
}

func (h *benchHooks) SetWeights(context.Context, organic.Sample[int], organic.Rewards) error {
	if h.weights != nil {
		h.weights()
	}
	return nil
}

func (h *benchHooks) LogResults(context.Context, *organic.Result[int, int]) error { return nil }

// floorIteration is what an iteration is without a library: an errgroup, the
// hooks, the time stamps and the result.
func floorIteration(
	ctx context.Context, queue organic.Queue[int], hooks organic.Hooks[int, int],
) (*organic.Result[int, int], error) {
	started := time.Now()
	lease, err := queue.Sample(ctx)
	if err != nil {
		return nil, err
	}
	result := &organic.Result[int, int]{Sample: lease.Sample, Started: started}
	result.Durations.Sample = time.Since(started)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		result.Responses, err = hooks.QueryMiners(groupCtx, result.Sample)
		result.Durations.Query = time.Since(started) - result.Durations.Sample
		return err
	})
	group.Go(func() (err error) {
		result.Reference, err = hooks.GenerateReference(groupCtx, result.Sample)
		result.Durations.Reference = time.Since(started) - result.Durations.Sample
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if result.Rewards, err = hooks.GenerateRewards(ctx, result.Sample, result.Responses,
		result.Reference); err != nil {
		return nil, err
	}
	result.Durations.Rewards = time.Since(started)
	if err := hooks.SetWeights(ctx, result.Sample, result.Rewards); err != nil {
		return nil, err
	}
	result.Durations.Total = time.Since(started)
	result.QueueSize = queue.Size()
	return result, hooks.LogResults(ctx, result)
}

func BenchmarkIterate(b *testing.B) {
	queue := endlessQueue{sample: organic.NewSample(1)}
	hooks := &benchHooks{}
	scorer, err := organic.New(hooks, organic.WithQueue(queue))
	require.NoError(b, err)
	ctx := b.Context()
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if result, _ := floorIteration(ctx, queue, hooks); result == nil {
				b.FailNow()
			}
		}
	})
	b.Run("organic", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if result, _ := scorer.Iterate(ctx); result == nil {
				b.FailNow()
			}
		}
	})
}

// iterateBesidePlain measures Iterate with options; the floor is Iterate without.
func iterateBesidePlain(b *testing.B, hooks *benchHooks, opts ...organic.Option) {
	b.Helper()
	queue := organic.WithQueue[int](endlessQueue{sample: organic.NewSample(1)})
	plain, err := organic.New(&benchHooks{}, queue)
	require.NoError(b, err)
	scorer, err := organic.New(hooks, append(opts, queue)...)
	require.NoError(b, err)
	for name, s := range map[string]*organic.OrganicScorer[int, int]{
		"floor":   plain,
		"organic": scorer,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = s.Iterate(b.Context())
			}
		})
	}
}

// BenchmarkIterate256 has 256 rewards to check.
func BenchmarkIterate256(b *testing.B) {
	rewards := make(organic.Rewards)
	for uid := range organic.UID(256) {
		rewards[uid] = float64(uid)
	}
	iterateBesidePlain(b, &benchHooks{rewards: rewards})
}

func BenchmarkIterateTimeouts(b *testing.B) {
	var opts []organic.Option
	for stage := organic.StageQuery; stage <= organic.StageWeights; stage++ {
		opts = append(opts, organic.WithStage(stage, organic.StagePolicy{Timeout: time.Minute}))
	}
	iterateBesidePlain(b, &benchHooks{}, opts...)
}

func BenchmarkIterateObservers(b *testing.B) {
	var opts []organic.Option
	var seen atomic.Int64
	for _, n := range []int{1, 3} {
		for len(opts) < n {
			opts = append(opts, organic.WithObserver(func(organic.Event) { seen.Add(1) }))
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) { iterateBesidePlain(b, &benchHooks{}, opts...) })
	}
}

// BenchmarkIdle reports what a scorer that waits holds; the floor is 64 KiB.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		before := heapInUse()
		scorer, err := organic.New(&benchHooks{})
		require.NoError(b, err)
		require.NoError(b, scorer.Start(b.Context()))
		b.ReportMetric(float64(heapInUse()-before), "B/scorer")
		require.NoError(b, scorer.Stop(b.Context()))
	}
}

func heapInUse() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse)
}

// BenchmarkLoop is BenchmarkIterate by way of the running loop.
func BenchmarkLoop(b *testing.B) {
	queue := endlessQueue{sample: organic.NewSample(1)}
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		hooks := &benchHooks{}
		for b.Loop() {
			_, _ = floorIteration(b.Context(), queue, hooks)
		}
	})
	b.Run("organic", func(b *testing.B) {
		b.ReportAllocs()
		runUntilScored(b, 1, int64(b.N), &benchHooks{}, queue)
	})
}

// runUntilScored runs a scorer with a trigger that is always due until it has
// scored n samples.
func runUntilScored(
	b *testing.B, concurrency int, n int64, hooks *benchHooks, queue organic.Queue[int],
) {
	b.Helper()
	var scored atomic.Int64
	enough := make(chan struct{})
	hooks.weights = func() {
		if scored.Add(1) == n {
			close(enough)
		}
	}
	scorer, err := organic.New(hooks, organic.WithQueue(queue),
		organic.WithConcurrency(concurrency), organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond}))
	require.NoError(b, err)
	b.ResetTimer()
	require.NoError(b, scorer.Start(b.Context()))
	<-enough
	b.StopTimer()
	require.NoError(b, scorer.Stop(b.Context()))
}

// BenchmarkInFlight keeps many iterations over hooks of 100 ms in flight; the
// floor is as many goroutines that each loop over the floor of an iteration.
func BenchmarkInFlight(b *testing.B) {
	for _, size := range []struct {
		name     string
		inFlight int
	}{{"100", 100}, {"1000", 1000}} {
		b.Run(size.name+"/floor", func(b *testing.B) { benchmarkFloorInFlight(b, size.inFlight) })
		b.Run(size.name+"/organic", func(b *testing.B) {
			iterations := int64(max(b.N, 10*size.inFlight))
			runUntilScored(b, size.inFlight, iterations, sleepingHooks(),
				endlessQueue{sample: organic.NewSample(1)})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(iterations), "ns/op")
		})
	}
}

func sleepingHooks() *benchHooks {
	return &benchHooks{query: func() { <-time.After(100 * time.Millisecond) }}
}

func benchmarkFloorInFlight(b *testing.B, inFlight int) {
	b.Helper()
	queue, hooks := endlessQueue{sample: organic.NewSample(1)}, sleepingHooks()
	iterations := int64(max(b.N, 10*inFlight))
	var left atomic.Int64
	left.Store(iterations)
	var group sync.WaitGroup
	for range inFlight {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				_, _ = floorIteration(b.Context(), queue, hooks)
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(iterations), "ns/op")
}

func BenchmarkIncrementStep(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		b.ReportAllocs()
		var steps atomic.Int64
		for b.Loop() {
			steps.Add(1)
		}
	})
	b.Run("organic", func(b *testing.B) {
		b.ReportAllocs()
		scorer, err := organic.New(&benchHooks{}, organic.WithTrigger(organic.Steps{Frequency: 1 << 62}))
		require.NoError(b, err)
		require.NoError(b, scorer.Start(b.Context()))
		for b.Loop() {
			scorer.IncrementStep()
		}
		require.NoError(b, scorer.Stop(b.Context()))
	})
}

// BenchmarkWake measures from a cause to QueryMiners of the iteration it starts
// in an idle scorer. The floor is what one writes by hand: a loop that waits on
// a channel and starts a goroutine with an errgroup. The figure is the median.
func BenchmarkWake(b *testing.B) {
	b.Run("step/floor", benchmarkWakeByHand)
	b.Run("step/organic", func(b *testing.B) {
		woken := make(chan time.Time)
		scorer := wakingScorer(b, woken, organic.WithTrigger(organic.Steps{Frequency: 1}))
		measureWake(b, woken, func() { _, _ = scorer.Enqueue(b.Context(), 1) }, scorer.IncrementStep)
		require.NoError(b, scorer.Stop(b.Context()))
	})
	b.Run("enqueue/floor", benchmarkWakeByHand)
	b.Run("enqueue/organic", func(b *testing.B) {
		woken := make(chan time.Time)
		scorer := wakingScorer(b, woken, organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond}))
		measureWake(b, woken, func() {}, func() { _, _ = scorer.Enqueue(b.Context(), 1) })
		require.NoError(b, scorer.Stop(b.Context()))
	})
}

func wakingScorer(
	b *testing.B, woken chan<- time.Time, trigger organic.Option,
) *organic.OrganicScorer[int, int] {
	b.Helper()
	scorer, err := organic.New(&benchHooks{query: func() { woken <- time.Now() }}, trigger)
	require.NoError(b, err)
	require.NoError(b, scorer.Start(b.Context()))
	return scorer
}

func benchmarkWakeByHand(b *testing.B) {
	woken, signal := make(chan time.Time), make(chan struct{}, 1)
	queue := endlessQueue{sample: organic.NewSample(1)}
	hooks := &benchHooks{query: func() { woken <- time.Now() }}
	var iterations sync.WaitGroup
	iterations.Go(func() {
		for range signal {
			iterations.Go(func() { _, _ = floorIteration(b.Context(), queue, hooks) })
		}
	})
	measureWake(b, woken, func() {}, func() { signal <- struct{}{} })
	close(signal)
	iterations.Wait()
}

// measureWake lets the other side park, causes a wake-up and takes its time.
func measureWake(b *testing.B, woken <-chan time.Time, prepare, cause func()) {
	b.Helper()
	var latencies []time.Duration
	for b.Loop() {
		prepare()
		<-time.After(50 * time.Microsecond)
		begun := time.Now()
		cause()
		latencies = append(latencies, (<-woken).Sub(begun))
	}
	slices.Sort(latencies)
	b.ReportMetric(float64(latencies[len(latencies)/2].Nanoseconds()), "ns/op")
}
