package organic_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

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
		{name: "those put back stand before those received later", capacity: 9, order: organic.OrderFIFO, added: []int{3, 1, 2}, want: []int{1, 2, 3}},
		{name: "into the middle", capacity: 9, order: organic.OrderFIFO, added: []int{1, 5, 9, 4, 6}, want: []int{1, 4, 5, 6, 9}},
		{name: "backwards", capacity: 9, order: organic.OrderFIFO, added: []int{5, 4, 3, 2, 1}, want: []int{1, 2, 3, 4, 5}},
		{name: "the newest first", capacity: 9, order: organic.OrderNewest, added: []int{7, 8, 9, 2, 5, 10}, want: []int{10, 9, 8, 7, 5, 2}},
		{
			name: "the oldest are dropped first", capacity: 3, order: organic.OrderFIFO, added: []int{3, 1, 2, 4, 5},
			want: []int{3, 4, 5}, dropped: []string{"1", "2"},
		},
		{
			name: "one that is put back into a full queue drops those older than it", capacity: 3, order: organic.OrderFIFO, added: []int{1, 2, 5, 3, 4},
			want: []int{3, 4, 5}, dropped: []string{"1", "2"},
		},
		{
			name: "one that is older than all gives up itself", capacity: 3, order: organic.OrderNewest, added: []int{4, 6, 5, 3, 7},
			want: []int{7, 6, 5}, dropped: []string{"3", "4"},
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
			queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(d organic.Dropped) { dropped = append(dropped, d.ID) }})
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
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
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
