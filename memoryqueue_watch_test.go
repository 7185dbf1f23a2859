package organic_test

import (
	"runtime"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// TestWatchersAreToldOutsideLocks: a watcher may use the queue.
func TestWatchersAreToldOutsideLocks(t *testing.T) {
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

func TestAllWatchersAreToldUntilTheyStop(t *testing.T) {
	t.Parallel()
	queue := newQueue[int](t, organic.MemoryConfig{Capacity: 1})
	var first, second []string
	watch := func(told *[]string) (stop func()) {
		return queue.Watch(organic.Watcher{
			Arrived: func() { *told = append(*told, "arrived") },
			Dropped: func(d organic.Dropped) { *told = append(*told, d.Reason.String()+" "+d.ID) },
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
func remember(t *testing.T, queue *organic.MemoryQueue[*heavy], n int) (payloads []weak.Pointer[heavy]) {
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
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
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
		for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
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
				require.Zero(t, testing.AllocsPerRun(1000, func() { _ = queue.Add(ctx, sample) }), "Add to a full queue")
				require.Zero(t, testing.AllocsPerRun(1000, func() {
					lease, _ := queue.Sample(ctx)
					_ = queue.Add(ctx, lease.Sample)
				}), "Sample and Add")
				require.Equal(t, watched, drops > 0)
			})
		}
	}
}
