package organic_test

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// floorQueue is the smallest queue that keeps a bound and picks at random: one
// mutex and swap-remove. It does not know which sample is the oldest.
type floorQueue[S any] struct {
	mu      sync.Mutex
	waiting []organic.Sample[S]
	bound   int
	next    int
}

func (q *floorQueue[S]) Add(_ context.Context, sample organic.Sample[S]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) < q.bound {
		q.waiting = append(q.waiting, sample)
		return nil
	}
	q.next = (q.next + 1) % q.bound
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

const benchmarkSize = 10_000

// benchmarkQueues runs a benchmark on the floor and on a MemoryQueue, each
// full and churned by five times its size first.
func benchmarkQueues(b *testing.B, run func(b *testing.B, queue organic.Queue[int], sample organic.Sample[int])) {
	b.Helper()
	memory, err := organic.NewMemoryQueue[int](organic.MemoryConfig{Capacity: benchmarkSize})
	require.NoError(b, err)
	sample := organic.NewSample(1)
	for _, candidate := range []struct {
		name  string
		queue organic.Queue[int]
	}{
		{"floor", &floorQueue[int]{waiting: make([]organic.Sample[int], 0, benchmarkSize), bound: benchmarkSize}},
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

func BenchmarkQueueAddWhenFull(b *testing.B) {
	benchmarkQueues(b, func(b *testing.B, queue organic.Queue[int], sample organic.Sample[int]) {
		b.Helper()
		ctx := b.Context()
		for b.Loop() {
			_ = queue.Add(ctx, sample)
		}
	})
}

func BenchmarkQueueSampleAndAdd(b *testing.B) {
	benchmarkQueues(b, func(b *testing.B, queue organic.Queue[int], sample organic.Sample[int]) {
		b.Helper()
		ctx := b.Context()
		for b.Loop() {
			_, _ = queue.Sample(ctx)
			_ = queue.Add(ctx, sample)
		}
	})
}
