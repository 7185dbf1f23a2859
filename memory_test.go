package organic_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

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
	return organic.Sample[int]{
		ID: strconv.Itoa(n), Payload: n, Received: time.Unix(0, int64(n)),
		Attempt: 1,
	}
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
	for _, order := range []organic.Order{
		organic.OrderRandom, organic.OrderFIFO,
		organic.OrderNewest,
	} {
		for _, bound := range []organictest.Bound{organictest.DropsOldest, organictest.Refuses} {
			t.Run(fmt.Sprintf("%v %v", order, bound), func(t *testing.T) {
				t.Parallel()
				cfg := organic.MemoryConfig{Order: order, Refuse: bound == organictest.Refuses}
				organictest.TestQueue(t, func(t *testing.T, capacity int) organic.Queue[string] {
					t.Helper()
					return newQueue[string](t,
						organic.MemoryConfig{Order: cfg.Order, Refuse: cfg.Refuse, Capacity: capacity})
				}, organictest.QueueTraits{
					Order: order, Bound: bound,
					NewAged: func(t *testing.T, maxAge time.Duration) organic.Queue[string] {
						t.Helper()
						return newQueue[string](t,
							organic.MemoryConfig{Order: cfg.Order, Refuse: cfg.Refuse, MaxAge: maxAge})
					},
				})
			})
		}
	}
}

func TestFullQueueThatRefusesStaysAsItWas(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{
		organic.OrderRandom, organic.OrderFIFO,
		organic.OrderNewest,
	} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			queue := newQueue[int](t, organic.MemoryConfig{Capacity: 3, Order: order, Refuse: true})
			fill(t, queue, 10, 13)
			got := 0
			queue.Watch(organic.Watcher{Arrived: func() { got++ }, Dropped: func(organic.Dropped) { got++ }})

			for _, n := range []int{20, 1} { // the newest, and the oldest
				require.ErrorIs(t, queue.Add(t.Context(), numbered(n)), organic.ErrFull)
			}
			require.Zero(t, got)
			require.Equal(t, 3, queue.Size())
			require.Equal(t, []organic.Sample[int]{numbered(10), numbered(11), numbered(12)},
				queue.TakeAll())
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
	require.Equal(t, []organic.Sample[int]{
		numbered(13), numbered(14), numbered(15), numbered(16),
		numbered(17),
	}, saved)
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
			require.NoError(t, queue.Add(t.Context(), numbered(0)),
				"older than all in a full queue: given up itself")
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
	for _, order := range []organic.Order{
		organic.OrderRandom, organic.OrderFIFO,
		organic.OrderNewest,
	} {
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
			stop := queue.Watch(organic.Watcher{
				Arrived: func() {},
				Dropped: func(d organic.Dropped) { see(d.ID) },
			})
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

// TestMaximumAgeIsExact: at the maximum age a sample stays, and a nanosecond
// later it goes, wherever in the queue it stands and whatever its clock.
func TestMaximumAgeIsExact(t *testing.T) {
	t.Parallel()
	for _, maxAge := range []time.Duration{time.Nanosecond, time.Millisecond, time.Hour} {
		for _, order := range []organic.Order{
			organic.OrderRandom, organic.OrderFIFO,
			organic.OrderNewest,
		} {
			for _, younger := range []int{0, 3} {
				for _, stored := range []bool{false, true} {
					name := fmt.Sprintf("%v, %v, %d younger, stored %t", maxAge, order, younger, stored)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) { expireExactly(t, maxAge, order, younger, stored) })
					})
				}
			}
		}
	}
}

func expireExactly(
	t *testing.T, maxAge time.Duration, order organic.Order, younger int, stored bool,
) {
	t.Helper()
	for _, late := range []time.Duration{0, 1} {
		queue := newQueue[int](t, organic.MemoryConfig{MaxAge: maxAge, Order: order, Seed: 1})
		var dropped []organic.Dropped
		queue.Watch(organic.Watcher{
			Arrived: func() {},
			Dropped: func(d organic.Dropped) { dropped = append(dropped, d) },
		})
		old := organic.Sample[int]{ID: "old", Received: time.Now(), Attempt: 2}
		if stored {
			old.Received = old.Received.Round(0) // without the monotonic clock, as decoders do
		}
		time.Sleep(maxAge)
		for n := range younger { // stand before the old one, which is not the front that expires first
			require.NoError(t, queue.Add(t.Context(),
				organic.Sample[int]{ID: fmt.Sprint(n), Received: old.Received}))
		}
		require.NoError(t, queue.Add(t.Context(), old))
		time.Sleep(late)

		got := len(draw(t, queue, 100))
		if late == 0 {
			require.Equal(t, younger+1, got)
			require.Empty(t, dropped)
			continue
		}
		require.Zero(t, got)
		require.Len(t, dropped, younger+1)
		require.Contains(t, dropped,
			organic.Dropped{ID: "old", Attempt: 2, Received: old.Received, Reason: organic.DroppedExpired})
	}
}

// TestOldSampleBehindYoungerOnesIsNotHandedOut: one that came back is not at
// the front when an older one was there before.
func TestOldSampleBehindYoungerOnesIsNotHandedOut(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{
		organic.OrderRandom, organic.OrderFIFO,
		organic.OrderNewest,
	} {
		for _, late := range []time.Duration{0, 1} {
			t.Run(fmt.Sprintf("%v, %v late", order, late), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					queue := newQueue[int](t, organic.MemoryConfig{MaxAge: time.Minute, Order: order})
					now := time.Now()
					for n, age := range []int{
						10, 0, 50, 20, 30,
						40,
					} { // in seconds; all after the one of 50 s stand behind it
						received := now.Add(-time.Duration(age) * time.Second)
						require.NoError(t, queue.Add(t.Context(),
							organic.Sample[int]{ID: fmt.Sprint(n), Payload: n, Received: received}))
					}
					time.Sleep(20*time.Second + late)
					want := []int{0, 1, 3, 4}
					if late == 0 {
						want = append(want, 5)
					}
					require.ElementsMatch(t, want, draw(t, queue, 100))
				})
			})
		}
	}
}

// TestExpiredSamplesDoNotCountAsDroppedForRoom: what is too old goes as too
// old, also out of a full queue, and makes room.
func TestExpiredSamplesDoNotCountAsDroppedForRoom(t *testing.T) {
	t.Parallel()
	expired := func(ids ...string) (reasons map[string]organic.DropReason) {
		reasons = make(map[string]organic.DropReason)
		for _, id := range ids {
			reasons[id] = organic.DroppedExpired
		}
		return reasons
	}
	tests := []struct {
		name   string
		refuse bool
		ages   []int // of the samples waiting, in seconds
		age    int   // of the one added
		want   map[string]organic.DropReason
		ids    []string // that wait afterwards
	}{
		{
			name: "one makes room", ages: []int{61, 5, 4}, want: expired("0"),
			ids: []string{"1", "2", "new"},
		},
		{
			name: "all make room", ages: []int{63, 62, 61}, want: expired("0", "1", "2"),
			ids: []string{"new"},
		},
		{
			name: "one makes room where it would be refused", refuse: true,
			ages: []int{61, 5, 4}, want: expired("0"), ids: []string{"1", "2", "new"},
		},
		{
			name: "none is too old", ages: []int{60, 5, 4},
			want: map[string]organic.DropReason{"0": organic.DroppedFull}, ids: []string{"1", "2", "new"},
		},
		{
			name: "the one put back is too old", ages: []int{6, 5, 4}, age: 61, want: expired("new"),
			ids: []string{"0", "1", "2"},
		},
		{
			name: "the one put back is only the oldest", ages: []int{6, 5, 4}, age: 60,
			want: map[string]organic.DropReason{"new": organic.DroppedFull}, ids: []string{"0", "1", "2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newQueue[int](t, organic.MemoryConfig{
					Refuse: tt.refuse, Capacity: 3,
					MaxAge: time.Minute,
				})
				seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
				for n, age := range tt.ages { // none is too old as yet
					received := time.Now().Add(seconds(10 - age))
					require.NoError(t, queue.Add(t.Context(),
						organic.Sample[int]{ID: fmt.Sprint(n), Received: received}))
				}
				got := make(map[string]organic.DropReason)
				queue.Watch(organic.Watcher{
					Arrived: func() {},
					Dropped: func(d organic.Dropped) { got[d.ID] = d.Reason },
				})
				time.Sleep(10 * time.Second)
				require.NoError(t, queue.Add(t.Context(),
					organic.Sample[int]{ID: "new", Received: time.Now().Add(seconds(-tt.age))}))
				require.Equal(t, tt.want, got)
				var ids []string
				for _, sample := range queue.TakeAll() {
					ids = append(ids, sample.ID)
				}
				require.Equal(t, tt.ids, ids)
			})
		})
	}
}

// TestMemoryQueueKeepsTheOrderOfReceiptWhateverTheOrderOfAdd adds samples that
// are numbered by when they were received.
func TestMemoryQueueKeepsTheOrderOfReceiptWhateverTheOrderOfAdd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		capacity int
		order    organic.Order
		added    []int
		want     []int
		dropped  []string
	}{
		{
			name: "those put back stand before those received later", capacity: 9, order: organic.OrderFIFO,
			added: []int{3, 1, 2}, want: []int{1, 2, 3},
		},
		{
			name: "into the middle", capacity: 9, order: organic.OrderFIFO, added: []int{1, 5, 9, 4, 6},
			want: []int{1, 4, 5, 6, 9},
		},
		{
			name: "backwards", capacity: 9, order: organic.OrderFIFO, added: []int{5, 4, 3, 2, 1},
			want: []int{1, 2, 3, 4, 5},
		},
		{
			name: "the newest first", capacity: 9, order: organic.OrderNewest,
			added: []int{7, 8, 9, 2, 5, 10}, want: []int{10, 9, 8, 7, 5, 2},
		},
		{
			name: "the oldest are dropped first", capacity: 3, order: organic.OrderFIFO,
			added: []int{3, 1, 2, 4, 5},
			want:  []int{3, 4, 5}, dropped: []string{"1", "2"},
		},
		{
			name: "one that is put back into a full queue drops those older than it", capacity: 3,
			order: organic.OrderFIFO, added: []int{1, 2, 5, 3, 4},
			want: []int{3, 4, 5}, dropped: []string{"1", "2"},
		},
		{
			name: "one that is older than all gives up itself", capacity: 3, order: organic.OrderNewest,
			added: []int{4, 6, 5, 3, 7},
			want:  []int{7, 6, 5}, dropped: []string{"3", "4"},
		},
		{
			name: "a queue of one", capacity: 1, order: organic.OrderFIFO, added: []int{2, 1, 3},
			want: []int{3}, dropped: []string{"1", "2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			queue := newQueue[int](t, organic.MemoryConfig{Capacity: tt.capacity, Order: tt.order})
			var dropped []string
			queue.Watch(organic.Watcher{
				Arrived: func() {},
				Dropped: func(d organic.Dropped) { dropped = append(dropped, d.ID) },
			})
			for _, n := range tt.added {
				require.NoError(t, queue.Add(t.Context(), numbered(n)))
			}
			require.Equal(t, tt.dropped, dropped)
			require.Equal(t, len(tt.want), queue.Size())
			require.Equal(t, tt.want, draw(t, queue, len(tt.added)))
		})
	}
}

func TestMemoryQueueKeepsSamplesOfTheSameTimeInTheOrderOfAdd(t *testing.T) {
	t.Parallel()
	queue := newQueue[int](t, organic.MemoryConfig{Order: organic.OrderFIFO})
	received := time.Unix(0, 0)
	for _, n := range []int{1, 2, 9, 3, 4} {
		sample := numbered(n)
		if n < 9 {
			sample.Received = received
		}
		require.NoError(t, queue.Add(t.Context(), sample))
	}
	require.Equal(t, []int{1, 2, 3, 4, 9}, draw(t, queue, 5))
}

func TestPutBackSamplesDoNotHideExpiredOnes(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{
		organic.OrderRandom, organic.OrderFIFO,
		organic.OrderNewest,
	} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newQueue[int](t, organic.MemoryConfig{MaxAge: time.Hour, Order: order})
				expired := 0
				queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(organic.Dropped) { expired++ }})
				begun := time.Now()
				for _, minutes := range []int{50, 30, 40, 10, 20} {
					sample := numbered(minutes)
					sample.Received = begun.Add(time.Duration(minutes) * time.Minute)
					require.NoError(t, queue.Add(t.Context(), sample))
				}
				for passed := 1; passed <= 5; passed++ {
					time.Sleep(time.Until(begun.Add(time.Hour + time.Duration(passed)*10*time.Minute + time.Second)))
					fresh := numbered(1000 + passed)
					fresh.Received = time.Now()
					require.NoError(t, queue.Add(t.Context(), fresh))
					require.Equal(t, passed, expired)
					require.Equal(t, 5, queue.Size(), "those that wait, and as many that are new")
				}
				require.Len(t, draw(t, queue, 9), 5)
			})
		})
	}
}

// TestWatchersAreNotifiedOutsideLocks: a watcher may use the queue.
func TestWatchersAreNotifiedOutsideLocks(t *testing.T) {
	t.Parallel()
	queue := newQueue[int](t, organic.MemoryConfig{Capacity: 2, Order: organic.OrderFIFO})
	busy := false
	arrived, dropped := 0, []string{}
	use := func() {
		if busy {
			return
		}
		busy = true
		defer func() { busy = false }()
		require.NoError(t, queue.Add(t.Context(), numbered(100)))
		require.Len(t, draw(t, queue, 1), 1)
		require.LessOrEqual(t, queue.Size(), 2)
		queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(organic.Dropped) {}})()
	}
	queue.Watch(organic.Watcher{
		Arrived: func() { arrived++; use() },
		Dropped: func(d organic.Dropped) { dropped = append(dropped, d.ID); use() },
	})
	fill(t, queue, 1, 6)
	require.Equal(t, 10, arrived, "five of the test, five of the watcher")
	require.NotEmpty(t, dropped)
}

func TestAllWatchersAreNotifiedUntilTheyStop(t *testing.T) {
	t.Parallel()
	queue := newQueue[int](t, organic.MemoryConfig{Capacity: 1})
	var first, second []string
	watch := func(got *[]string) (stop func()) {
		return queue.Watch(organic.Watcher{
			Arrived: func() { *got = append(*got, "arrived") },
			Dropped: func(d organic.Dropped) { *got = append(*got, d.Reason.String()+" "+d.ID) },
		})
	}
	stopFirst, stopSecond := watch(&first), watch(&second)
	fill(t, queue, 1, 2)
	stopFirst()
	fill(t, queue, 2, 3)
	stopFirst() // changes nothing
	stopSecond()
	fill(t, queue, 3, 4)
	require.Equal(t, []string{"arrived"}, first)
	require.Equal(t, []string{"arrived", "full 1", "arrived"}, second)
}

type heavy [64]byte

// remember adds samples whose payloads it knows only by weak pointers.
func remember(
	t *testing.T, queue *organic.MemoryQueue[*heavy], n int,
) (payloads []weak.Pointer[heavy]) {
	t.Helper()
	for range n {
		payload := new(heavy)
		payloads = append(payloads, weak.Make(payload))
		require.NoError(t, queue.Add(t.Context(), organic.NewSample(payload)))
	}
	return payloads
}

func alive(payloads []weak.Pointer[heavy]) (n int) {
	runtime.GC()
	for _, payload := range payloads {
		if payload.Value() != nil {
			n++
		}
	}
	return n
}

// TestQueueKeepsAliveWhatItHolds and nothing else: freed slots are zeroed.
func TestQueueKeepsAliveWhatItHolds(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{
		organic.OrderRandom, organic.OrderFIFO,
		organic.OrderNewest,
	} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			queue := newQueue[*heavy](t, organic.MemoryConfig{Capacity: 100, Order: order})
			payloads := remember(t, queue, 60)
			require.Equal(t, 60, alive(payloads))
			payloads = append(payloads, remember(t, queue, 240)...)
			require.Equal(t, 100, alive(payloads), "the dropped ones are free")
			for left := 99; left >= 30; left-- {
				_, err := queue.Sample(t.Context())
				require.NoError(t, err)
			}
			require.Equal(t, 30, alive(payloads), "those handed out are free")
			require.Len(t, queue.TakeAll(), 30)
			require.Zero(t, alive(payloads), "Samples forgets what it hands out")
			payloads = remember(t, queue, 3)
			require.Equal(t, queue.Size(), alive(payloads))
			runtime.KeepAlive(queue)
		})
	}
}

// TestSteadyQueueDoesNotAllocate is not parallel: it counts allocations.
func TestSteadyQueueDoesNotAllocate(t *testing.T) {
	for _, watched := range []bool{false, true} {
		for _, order := range []organic.Order{
			organic.OrderRandom, organic.OrderFIFO,
			organic.OrderNewest,
		} {
			name := order.String()
			if watched {
				name += " watched"
			}
			t.Run(name, func(t *testing.T) {
				queue := newQueue[int](t, organic.MemoryConfig{Capacity: 1000, Order: order})
				drops := 0
				if watched {
					queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(organic.Dropped) { drops++ }})
				}
				fill(t, queue, 0, 2000)
				ctx, sample := t.Context(), numbered(5000)
				require.Zero(t, testing.AllocsPerRun(1000, func() { _ = queue.Add(ctx, sample) }),
					"Add to a full queue")
				require.Zero(t, testing.AllocsPerRun(1000, func() {
					lease, _ := queue.Sample(ctx)
					_ = queue.Add(ctx, lease.Sample)
				}), "Sample and Add")
				require.Equal(t, watched, drops > 0)
			})
		}
	}
}

// queueRules is how a MemoryQueue is configured.
type queueRules struct {
	capacity int
	order    organic.Order
	refuses  bool
	maxAge   time.Duration
}

func (r queueRules) String() string {
	return fmt.Sprintf("capacity %d, %v, refuses %t, maximum age %v", r.capacity, r.order, r.refuses,
		r.maxAge)
}

// queuePlayer plays operations on a MemoryQueue and on a plain slice.
type queuePlayer struct {
	t     *testing.T
	rules queueRules
	queue *organic.MemoryQueue[int]
	model []organic.Sample[int] // by when they were received, the oldest first
	taken []organic.Sample[int] // not yet put back
	next  int                   // payload of the next new sample

	dropped  []organic.Dropped // in this operation
	arrivals int               // in this operation
}

func newQueuePlayer(t *testing.T, rules queueRules) *queuePlayer {
	t.Helper()
	queue, err := organic.NewMemoryQueue[int](organic.MemoryConfig{
		Capacity: rules.capacity, Order: rules.order, Refuse: rules.refuses, MaxAge: rules.maxAge,
		Seed: 1,
	})
	require.NoError(t, err)
	p := &queuePlayer{t: t, rules: rules, queue: queue}
	queue.Watch(organic.Watcher{
		Arrived: func() { p.arrivals++ },
		Dropped: func(d organic.Dropped) { p.dropped = append(p.dropped, d) },
	})
	return p
}

// play does one operation, which two bytes describe, and compares.
func (p *queuePlayer) play(op, arg byte) {
	p.t.Helper()
	p.dropped, p.arrivals = p.dropped[:0], 0
	switch op % 16 {
	case 0, 1, 2, 3, 4: // a new sample
		p.add(p.sample(time.Now()))
	case 5: // a new sample that has been on the way for long
		p.add(p.sample(time.Now().Add(-time.Duration(arg) * time.Millisecond)))
	case 6, 7, 8: // a sample comes back
		if len(p.taken) > 0 {
			i := int(arg) % len(p.taken)
			sample := p.taken[i]
			sample.Attempt++
			p.taken = slices.Delete(p.taken, i, i+1)
			p.add(sample)
		}
	case 9:
		time.Sleep(time.Duration(arg) * time.Millisecond)
	case 10:
		if arg == 0 {
			p.takeAll()
		}
	default:
		p.take()
	}
	p.same(p.queue.Size(), len(p.model), "size")
}

func (p *queuePlayer) sample(received time.Time) organic.Sample[int] {
	p.next++
	return organic.Sample[int]{ID: fmt.Sprint(p.next), Payload: p.next, Received: received, Attempt: 1}
}

func (p *queuePlayer) tooOld(s organic.Sample[int]) bool {
	return p.rules.maxAge > 0 && time.Since(s.Received) > p.rules.maxAge
}

// expire removes what is too old from the front of the model.
func (p *queuePlayer) expire() (want []organic.Dropped) {
	for len(p.model) > 0 && p.tooOld(p.model[0]) {
		want = append(want, droppedAs(p.model[0], organic.DroppedExpired))
		p.model = p.model[1:]
	}
	return want
}

func droppedAs(s organic.Sample[int], reason organic.DropReason) organic.Dropped {
	return organic.Dropped{
		ID: s.ID, Origin: s.Origin, Attempt: s.Attempt, Received: s.Received,
		Reason: reason,
	}
}

func (p *queuePlayer) add(sample organic.Sample[int]) {
	p.t.Helper()
	want := p.expire()
	full := len(p.model) == p.rules.capacity
	first := len(p.model) > 0 && sample.Received.Before(p.model[0].Received)
	var wantErr error
	switch {
	case full && p.rules.refuses:
		wantErr = organic.ErrFull
	case full && first && p.tooOld(sample):
		want = append(want, droppedAs(sample, organic.DroppedExpired))
	case full && first:
		want = append(want, droppedAs(sample, organic.DroppedFull))
	case full:
		want = append(want, droppedAs(p.model[0], organic.DroppedFull))
		p.model = p.model[1:]
		p.insert(sample)
	default:
		p.insert(sample)
	}
	p.same(p.queue.Add(p.t.Context(), sample), wantErr, "error of Add")
	if !slices.Equal(want, p.dropped) {
		require.Equal(p.t, want, p.dropped)
	}
	p.same(p.arrivals == 0, wantErr != nil, "watcher not notified of an arrival")
}

// insert puts a sample behind the last one that was not received after it.
func (p *queuePlayer) insert(sample organic.Sample[int]) {
	at := len(p.model)
	for at > 0 && p.model[at-1].Received.After(sample.Received) {
		at--
	}
	p.model = slices.Insert(p.model, at, sample)
}

func (p *queuePlayer) take() {
	p.t.Helper()
	want := p.expire()
	lease, err := p.queue.Sample(p.t.Context())
	require.GreaterOrEqual(p.t, len(p.dropped), len(want), "dropped: %v", p.dropped)
	if !slices.Equal(want, p.dropped[:len(want)]) {
		require.Equal(p.t, want, p.dropped[:len(want)])
	}
	for _, d := range p.dropped[len(want):] { // drawn, and found to be too old
		old := p.remove(d.ID)
		p.same(p.tooOld(old), true, "dropped in its turn")
		p.same(d, droppedAs(old, organic.DroppedExpired), "drop")
	}
	if err != nil {
		p.same(err, organic.ErrEmpty, "error of Sample")
		p.same(len(p.model), 0, "samples that should have been handed out")
		return
	}
	sample := p.remove(lease.Sample.ID)
	p.same(lease.Sample, sample, "sample")
	p.same(p.tooOld(sample), false, "handed out too old")
	p.taken = append(p.taken, sample)
}

// remove takes a sample from the model, from where the order wants it.
func (p *queuePlayer) remove(id string) organic.Sample[int] {
	p.t.Helper()
	at := slices.IndexFunc(p.model, func(s organic.Sample[int]) bool { return s.ID == id })
	require.GreaterOrEqual(p.t, at, 0, "%s is not in the queue", id)
	switch p.rules.order {
	case organic.OrderFIFO:
		p.same(at, 0, "place of the one handed out")
	case organic.OrderNewest:
		p.same(at, len(p.model)-1, "place of the one handed out")
	case organic.OrderRandom, organic.OrderFair:
	}
	sample := p.model[at]
	p.model = slices.Delete(p.model, at, at+1)
	return sample
}

func (p *queuePlayer) takeAll() {
	p.t.Helper()
	p.dropped = p.dropped[:0]
	got := p.queue.TakeAll()
	if !slices.Equal(p.model, got) {
		require.Equal(p.t, p.model, got)
	}
	p.same(len(p.dropped), 0, "drops reported by TakeAll")
	p.taken = append(p.taken, got...)
	p.model = nil
}

// same is require.Equal for values that are compared very often.
func (p *queuePlayer) same(got, want any, what string) {
	p.t.Helper()
	if got != want {
		require.Equal(p.t, want, got, what)
	}
}

func TestMemoryQueueAgainstModel(t *testing.T) {
	t.Parallel()
	for _, capacity := range []int{1, 2, 3, 7, 100} {
		for _, order := range []organic.Order{
			organic.OrderRandom, organic.OrderFIFO,
			organic.OrderNewest,
		} {
			for _, refuses := range []bool{false, true} {
				for _, maxAge := range []time.Duration{0, 500 * time.Millisecond} {
					rules := queueRules{capacity: capacity, order: order, refuses: refuses, maxAge: maxAge}
					t.Run(rules.String(), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) { playAtRandom(t, rules, 4000) })
					})
				}
			}
		}
	}
}

func playAtRandom(t *testing.T, rules queueRules, steps int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(rules.capacity), uint64(rules.order)))
	p := newQueuePlayer(t, rules)
	for range steps {
		p.play(byte(rng.Uint32()), byte(rng.Uint32()))
	}
	p.takeAll()
}

func FuzzMemoryQueue(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 11, 0, 0, 0, 6, 0, 11, 0})
	f.Add([]byte{0, 7, 0, 0, 9, 255, 9, 255, 5, 200, 0, 0, 11, 0, 6, 0})
	f.Add([]byte{255, 3, 5, 9, 5, 200, 0, 0, 11, 0, 9, 100, 6, 0, 10, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		rules := queueRules{
			capacity: 1 + int(data[0]>>4),
			order:    organic.Order(data[1] % 3),
			refuses:  data[0]&1 > 0,
			maxAge:   time.Duration(data[1]/3) * 10 * time.Millisecond,
		}
		synctest.Test(t, func(t *testing.T) {
			p := newQueuePlayer(t, rules)
			for i := 2; i+1 < len(data); i += 2 {
				p.play(data[i], data[i+1])
			}
			p.takeAll()
		})
	})
}

// requested makes a sample of a requester.
func requested(n int, requester string) organic.Sample[int] {
	sample := numbered(n)
	sample.Requester = requester
	return sample
}

func TestFairQueueDropsFromTheRequesterWhoHoldsMost(t *testing.T) {
	t.Parallel()
	queue := newQueue[int](t, organic.MemoryConfig{Capacity: 100, Order: organic.OrderFair, Seed: 1})
	dropped := map[string]int{}
	queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(d organic.Dropped) {
		n, err := strconv.Atoi(d.ID)
		require.NoError(t, err)
		if n < 20 {
			dropped["others"]++
		} else {
			dropped["greedy"]++
		}
	}})
	for n := range 20 {
		require.NoError(t, queue.Add(t.Context(), requested(n, fmt.Sprint("other ", n%5))))
	}
	for n := range 1000 {
		require.NoError(t, queue.Add(t.Context(), requested(20+n, "greedy")))
	}
	require.Equal(t, map[string]int{"greedy": 920}, dropped)
	require.Equal(t, 100, queue.Size())
}

func TestFairQueueServesRequestersAlike(t *testing.T) {
	t.Parallel()
	queue := newQueue[int](t, organic.MemoryConfig{Order: organic.OrderFair, Seed: 1})
	for n := range 900 {
		require.NoError(t, queue.Add(t.Context(), requested(n, "many")))
	}
	for n := range 50 {
		require.NoError(t, queue.Add(t.Context(), requested(1000+n, "few")))
		require.NoError(t, queue.Add(t.Context(), requested(2000+n, "")))
	}
	served, last := map[string]int{}, map[string]int{"many": -1, "few": -1, "": -1}
	for range 60 {
		lease, err := queue.Sample(t.Context())
		require.NoError(t, err)
		requester := lease.Sample.Requester
		require.Greater(t, lease.Sample.Payload, last[requester], "the oldest of a requester first")
		served[requester]++
		last[requester] = lease.Sample.Payload
	}
	for requester, n := range served {
		require.InDelta(t, 20, n, 12, "requester %q", requester)
	}
}

func TestFairQueueAgainstModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		queue := newQueue[int](t, organic.MemoryConfig{
			Capacity: 30, Order: organic.OrderFair,
			MaxAge: time.Minute, Seed: 1,
		})
		holds := map[string][]organic.Sample[int]{}
		remove := func(id string) {
			for requester, samples := range holds {
				holds[requester] = slices.DeleteFunc(samples,
					func(s organic.Sample[int]) bool { return s.ID == id })
			}
		}
		queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(d organic.Dropped) {
			if d.Reason == organic.DroppedFull {
				most := 0
				for _, samples := range holds {
					most = max(most, len(samples))
				}
				for _, samples := range holds {
					if slices.ContainsFunc(samples, func(s organic.Sample[int]) bool { return s.ID == d.ID }) {
						require.Len(t, samples, most)
						require.False(t, slices.ContainsFunc(samples, func(s organic.Sample[int]) bool {
							return s.Received.Before(d.Received)
						}), "the oldest of the requester")
					}
				}
			}
			remove(d.ID)
		}})
		for n := range 20_000 {
			time.Sleep(time.Duration(rng.IntN(3)) * time.Second)
			if rng.IntN(5) < 3 {
				sample := requested(n, fmt.Sprint(rng.IntN(7)))
				sample.Received = time.Now().Add(-time.Duration(rng.IntN(20)) * time.Second)
				holds[sample.Requester] = append(holds[sample.Requester], sample)
				require.NoError(t, queue.Add(t.Context(), sample))
				continue
			}
			lease, err := queue.Sample(t.Context())
			if err != nil {
				require.ErrorIs(t, err, organic.ErrEmpty)
				continue
			}
			require.LessOrEqual(t, time.Since(lease.Sample.Received), time.Minute)
			remove(lease.Sample.ID)
		}
		left := 0
		for _, samples := range holds {
			left += len(samples)
		}
		require.Equal(t, left, queue.Size())
	})
}

// TestLateSamplesKeepTheirOrder loads a backlog behind newer samples, from both
// ends, and takes some out meanwhile.
func TestLateSamplesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	const n = 20_000
	queue := newQueue[int](t, organic.MemoryConfig{Capacity: 4 * n, Order: organic.OrderFIFO})
	for i := range n {
		require.NoError(t, queue.Add(t.Context(), numbered(3*n+i)))
	}
	for i := range n {
		require.NoError(t, queue.Add(t.Context(), numbered(i)))
		require.NoError(t, queue.Add(t.Context(), numbered(3*n-1-i)))
	}
	for want := range n {
		lease, err := queue.Sample(t.Context())
		require.NoError(t, err)
		if lease.Sample.Payload != want {
			require.Equal(t, want, lease.Sample.Payload)
		}
	}
	payloads := make([]int, 0, 2*n)
	for _, sample := range queue.TakeAll() {
		payloads = append(payloads, sample.Payload)
	}
	require.Len(t, payloads, 2*n)
	require.True(t, slices.IsSorted(payloads))
}

func TestExpiryOfManySamplesIsSpreadOverCalls(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{
		organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest,
		organic.OrderFair,
	} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const old = 5000
				queue := newQueue[int](t, organic.MemoryConfig{
					Capacity: 2 * old, Order: order,
					MaxAge: time.Minute, Seed: 1,
				})
				expired, arrived := 0, 0
				queue.Watch(organic.Watcher{
					Arrived: func() { arrived++ },
					Dropped: func(d organic.Dropped) {
						require.Equal(t, organic.DroppedExpired, d.Reason)
						expired++
					},
				})
				for n := range old {
					sample := requested(n, fmt.Sprint(n%3))
					sample.Received = time.Now()
					require.NoError(t, queue.Add(t.Context(), sample))
				}
				time.Sleep(2 * time.Minute)
				for n := range 3 {
					sample := requested(old+n, fmt.Sprint(n%3))
					sample.Received = time.Now()
					before := expired
					require.NoError(t, queue.Add(t.Context(), sample))
					require.LessOrEqual(t, expired-before, 1000, "one call does not do it all")
				}
				for range 3 {
					before := expired
					lease, err := queue.Sample(t.Context())
					require.NoError(t, err)
					require.GreaterOrEqual(t, lease.Sample.Payload, old, "never an expired one")
					require.LessOrEqual(t, expired-before, 1000)
				}
				before := arrived
				for queue.Size() > 0 {
					_, err := queue.Sample(t.Context())
					require.ErrorIs(t, err, organic.ErrEmpty)
				}
				require.Equal(t, old, expired)
				require.Greater(t, arrived, before, "a scorer looks again while there is more to expire")
			})
		})
	}
}

func TestWatcherThatMisbehavesKeepsNoSample(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		end    func()
		others int // Goexit is contained if there are other watchers
	}{
		{name: "panic of the only watcher", end: func() { panic("at the watch") }},
		{name: "panic beside another", end: func() { panic("at the watch") }, others: 1},
		{name: "goexit beside another", end: runtime.Goexit, others: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newMemory(t, organic.MemoryConfig{Capacity: 2, MaxAge: time.Minute})
				queue.Watch(organic.Watcher{Arrived: tt.end, Dropped: func(organic.Dropped) { tt.end() }})
				arrived, dropped := 0, 0
				for range tt.others {
					queue.Watch(organic.Watcher{
						Arrived: func() { arrived++ },
						Dropped: func(organic.Dropped) { dropped++ },
					})
				}
				for n := range 3 { // the third drops the first
					require.NoError(t, queue.Add(t.Context(),
						promptSample{ID: strconv.Itoa(n), Received: time.Now()}))
					time.Sleep(40 * time.Second)
				}
				lease, err := queue.Sample(t.Context())
				require.NoError(t, err)
				require.Equal(t, "2", lease.Sample.ID, "the second has expired")
				require.Equal(t, []int{3 * tt.others, 2 * tt.others}, []int{arrived, dropped})
			})
		})
	}
}

func TestScorerLosesNoSampleToAnotherWatcher(t *testing.T) {
	t.Parallel()
	for _, end := range []func(){func() { panic("at the watch") }, runtime.Goexit} {
		synctest.Test(t, func(t *testing.T) {
			queue := newMemory(t, organic.MemoryConfig{MaxAge: time.Minute})
			queue.Watch(organic.Watcher{Arrived: end, Dropped: func(organic.Dropped) { end() }})
			s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue))
			s.enqueue("old")
			time.Sleep(59 * time.Second)
			s.enqueue("young")
			time.Sleep(2 * time.Second)
			stats := s.runFor(10 * time.Second)
			require.Equal(t, []uint64{1, 1}, []uint64{stats.Scored, stats.Expired})
		})
	}
}

func TestSampleOfLongAgoExpires(t *testing.T) {
	t.Parallel()
	queue := newMemory(t, organic.MemoryConfig{MaxAge: time.Minute})
	for _, year := range []int{1678, 1700, 1969} { // the first can hardly be told in nanoseconds
		require.NoError(t, queue.Add(t.Context(),
			promptSample{Received: time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)}))
	}
	_, err := queue.Sample(t.Context())
	require.ErrorIs(t, err, organic.ErrEmpty)
	require.Zero(t, queue.Size())
}
