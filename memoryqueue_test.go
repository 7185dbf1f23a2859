package organic_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

var _ organic.Watched = (*organic.MemoryQueue[string])(nil)

func newQueue[S any](t *testing.T, cfg organic.MemoryConfig) *organic.MemoryQueue[S] {
	t.Helper()
	queue, err := organic.NewMemoryQueue[S](cfg)
	require.NoError(t, err)
	return queue
}

// numbered makes a sample whose payload says when it comes in.
func numbered(n int) organic.Sample[int] {
	return organic.Sample[int]{ID: strconv.Itoa(n), Payload: n, Received: time.Unix(0, int64(n)), Attempt: 1}
}

func fill(t *testing.T, queue *organic.MemoryQueue[int], from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		require.NoError(t, queue.Add(t.Context(), numbered(n)))
	}
}

// draw takes samples out until the queue is empty, or n of them.
func draw(t *testing.T, queue *organic.MemoryQueue[int], n int) (payloads []int) {
	t.Helper()
	for range n {
		lease, err := queue.Sample(t.Context())
		if errors.Is(err, organic.ErrEmpty) {
			return payloads
		}
		require.NoError(t, err)
		require.Nil(t, lease.Settle)
		payloads = append(payloads, lease.Sample.Payload)
	}
	return payloads
}

func TestMemoryQueueConforms(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
		for _, bound := range []organictest.Bound{organictest.DropsOldest, organictest.Refuses} {
			t.Run(fmt.Sprintf("%v %v", order, bound), func(t *testing.T) {
				t.Parallel()
				cfg := organic.MemoryConfig{Order: order, Refuse: bound == organictest.Refuses}
				organictest.TestQueue(t, func(t *testing.T, capacity int) organic.Queue[string] {
					t.Helper()
					return newQueue[string](t, organic.MemoryConfig{Order: cfg.Order, Refuse: cfg.Refuse, Capacity: capacity})
				}, organictest.QueueTraits{
					Order: order, Bound: bound,
					NewAged: func(t *testing.T, maxAge time.Duration) organic.Queue[string] {
						t.Helper()
						return newQueue[string](t, organic.MemoryConfig{Order: cfg.Order, Refuse: cfg.Refuse, MaxAge: maxAge})
					},
				})
			})
		}
	}
}

func TestFullQueueThatRefusesStaysAsItWas(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			queue := newQueue[int](t, organic.MemoryConfig{Capacity: 3, Order: order, Refuse: true})
			fill(t, queue, 10, 13)
			told := 0
			queue.Watch(organic.Watcher{Arrived: func() { told++ }, Dropped: func(organic.Dropped) { told++ }})

			for _, n := range []int{20, 1} { // the newest, and the oldest
				require.ErrorIs(t, queue.Add(t.Context(), numbered(n)), organic.ErrFull)
			}
			require.Zero(t, told)
			require.Equal(t, 3, queue.Size())
			require.Equal(t, []organic.Sample[int]{numbered(10), numbered(11), numbered(12)}, queue.TakeAll())
		})
	}
}

func TestMemoryQueueIgnoresEndedContexts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	queue := newQueue[int](t, organic.MemoryConfig{})
	require.NoError(t, queue.Add(ctx, numbered(1)))
	lease, err := queue.Sample(ctx)
	require.NoError(t, err)
	require.Equal(t, numbered(1), lease.Sample)
}

func TestSampleWithoutTimeIsReceivedWhenAdded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newQueue[int](t, organic.MemoryConfig{MaxAge: time.Minute})
		require.NoError(t, queue.Add(t.Context(), organic.Sample[int]{ID: "1"}))
		lease, err := queue.Sample(t.Context())
		require.NoError(t, err)
		require.True(t, lease.Sample.Received.Equal(time.Now()))
	})
}

func TestSamplesCanBeSavedAndAddedAgain(t *testing.T) {
	t.Parallel()
	queue := newQueue[int](t, organic.MemoryConfig{Capacity: 5})
	require.Empty(t, queue.TakeAll())
	fill(t, queue, 10, 18) // drops three
	require.NoError(t, queue.Add(t.Context(), numbered(1)))
	saved := queue.TakeAll()
	require.Equal(t, []organic.Sample[int]{numbered(13), numbered(14), numbered(15), numbered(16), numbered(17)}, saved)
	require.Zero(t, queue.Size())

	for _, sample := range saved {
		require.NoError(t, queue.Add(t.Context(), sample))
	}
	require.Equal(t, saved, queue.TakeAll())
}

func TestPutBackSamplesStandFirst(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		order organic.Order
		want  []int
	}{
		{name: "fifo", order: organic.OrderFIFO, want: []int{1, 11, 12}},
		{name: "newest", order: organic.OrderNewest, want: []int{12, 11, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			queue := newQueue[int](t, organic.MemoryConfig{Capacity: 3, Order: tt.order})
			fill(t, queue, 11, 13)
			require.NoError(t, queue.Add(t.Context(), numbered(1)))
			require.NoError(t, queue.Add(t.Context(), numbered(0)), "older than all in a full queue: given up itself")
			require.Equal(t, tt.want, draw(t, queue, 4))
		})
	}
}

// TestSeedRepeatsThePicks also shows that without a seed they differ: the odds
// that they do not are below 1 in 10¹⁰⁰.
func TestSeedRepeatsThePicks(t *testing.T) {
	t.Parallel()
	picks := func(seed uint64) []int {
		queue := newQueue[int](t, organic.MemoryConfig{Seed: seed})
		fill(t, queue, 0, 100)
		first := draw(t, queue, 50)
		fill(t, queue, 100, 150)
		return append(first, draw(t, queue, 100)...)
	}
	seeded, unseeded := picks(7), picks(0)
	require.Equal(t, seeded, picks(7))
	require.NotEqual(t, seeded, picks(8))
	require.NotEqual(t, unseeded, picks(0))
}

// TestRandomPicksAreUniformInAge draws from a queue that is churned all the
// time, and counts how old the drawn sample was among those waiting.
func TestRandomPicksAreUniformInAge(t *testing.T) {
	t.Parallel()
	const (
		ranks = 50
		draws = 500_000
		limit = 134 // of χ² with 49 degrees of freedom, for p = 1e-9
	)
	queue := newQueue[int](t, organic.MemoryConfig{Capacity: ranks, Seed: 1})
	fill(t, queue, 0, ranks)
	waiting := make([]int, ranks) // the oldest first
	for n := range waiting {
		waiting[n] = n
	}
	var counts [ranks]int
	next := ranks
	add := func() {
		if len(waiting) == ranks {
			waiting = slices.Delete(waiting, 0, 1)
		}
		waiting = append(waiting, next)
		require.NoError(t, queue.Add(t.Context(), numbered(next)))
		next++
	}
	for n := range draws {
		lease, err := queue.Sample(t.Context())
		require.NoError(t, err)
		rank := slices.Index(waiting, lease.Sample.Payload)
		require.GreaterOrEqual(t, rank, 0)
		counts[rank]++
		waiting = slices.Delete(waiting, rank, rank+1)
		for range 1 + n%3 { // one to fill up, more to push the oldest out
			add()
		}
	}
	require.Less(t, chiSquare(counts[:], draws), float64(limit), "%v", counts)
}

// chiSquare compares counts with a uniform distribution of the total.
func chiSquare(counts []int, total int) (sum float64) {
	want := float64(total) / float64(len(counts))
	for _, count := range counts {
		sum += (float64(count) - want) * (float64(count) - want) / want
	}
	return sum
}

// TestManyProducersAndConsumersLoseNothing is for the race detector too.
func TestManyProducersAndConsumersLoseNothing(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 2000
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			queue := newQueue[int](t, organic.MemoryConfig{Capacity: 64, Order: order, MaxAge: time.Hour})
			var mu sync.Mutex // guards seen
			seen := make(map[string]int)
			see := func(id string) {
				mu.Lock()
				defer mu.Unlock()
				seen[id]++
			}
			stop := queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(d organic.Dropped) { see(d.ID) }})
			defer stop()

			var group sync.WaitGroup
			for g := range goroutines {
				group.Go(func() {
					for n := range each {
						_ = queue.Add(t.Context(), organic.Sample[int]{ID: strconv.Itoa(g*each + n)})
					}
				})
				group.Go(func() {
					for range each {
						if lease, err := queue.Sample(t.Context()); err == nil {
							see(lease.Sample.ID)
						}
						queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(organic.Dropped) {}})()
						_ = queue.Size()
					}
				})
			}
			group.Wait()
			for _, sample := range queue.TakeAll() {
				see(sample.ID)
			}
			require.Len(t, seen, goroutines*each)
			for id, times := range seen {
				require.Equal(t, 1, times, id)
			}
		})
	}
}
