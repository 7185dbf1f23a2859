package organic_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// TestMaximumAgeIsExact: at the maximum age a sample stays, and a nanosecond
// later it goes, wherever in the queue it stands and whatever its clock.
func TestMaximumAgeIsExact(t *testing.T) {
	t.Parallel()
	for _, maxAge := range []time.Duration{time.Nanosecond, time.Millisecond, time.Hour} {
		for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
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

func expireExactly(t *testing.T, maxAge time.Duration, order organic.Order, younger int, stored bool) {
	t.Helper()
	for _, late := range []time.Duration{0, 1} {
		queue := newQueue[int](t, organic.MemoryConfig{MaxAge: maxAge, Order: order, Seed: 1})
		var told []organic.Dropped
		queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(d organic.Dropped) { told = append(told, d) }})
		old := organic.Sample[int]{ID: "old", Received: time.Now(), Attempt: 2}
		if stored {
			old.Received = old.Received.Round(0) // without the monotonic clock, as decoders do
		}
		time.Sleep(maxAge)
		for n := range younger { // stand before the old one, which is not the front that expires first
			require.NoError(t, queue.Add(t.Context(), organic.Sample[int]{ID: fmt.Sprint(n), Received: old.Received}))
		}
		require.NoError(t, queue.Add(t.Context(), old))
		time.Sleep(late)

		got := len(draw(t, queue, 100))
		if late == 0 {
			require.Equal(t, younger+1, got)
			require.Empty(t, told)
			continue
		}
		require.Zero(t, got)
		require.Len(t, told, younger+1)
		require.Contains(t, told, organic.Dropped{ID: "old", Attempt: 2, Received: old.Received, Reason: organic.DroppedExpired})
	}
}

// TestOldSampleBehindYoungerOnesIsNotHandedOut: one that came back is not at
// the front when an older one was there before.
func TestOldSampleBehindYoungerOnesIsNotHandedOut(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFIFO, organic.OrderNewest} {
		for _, late := range []time.Duration{0, 1} {
			t.Run(fmt.Sprintf("%v, %v late", order, late), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					queue := newQueue[int](t, organic.MemoryConfig{MaxAge: time.Minute, Order: order})
					now := time.Now()
					for n, age := range []int{10, 0, 50, 20, 30, 40} { // in seconds; all after the one of 50 s stand behind it
						received := now.Add(-time.Duration(age) * time.Second)
						require.NoError(t, queue.Add(t.Context(), organic.Sample[int]{ID: fmt.Sprint(n), Payload: n, Received: received}))
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
		{name: "one makes room", ages: []int{61, 5, 4}, want: expired("0"), ids: []string{"1", "2", "new"}},
		{name: "all make room", ages: []int{63, 62, 61}, want: expired("0", "1", "2"), ids: []string{"new"}},
		{
			name: "one makes room where it would be refused", refuse: true,
			ages: []int{61, 5, 4}, want: expired("0"), ids: []string{"1", "2", "new"},
		},
		{
			name: "none is too old", ages: []int{60, 5, 4},
			want: map[string]organic.DropReason{"0": organic.DroppedFull}, ids: []string{"1", "2", "new"},
		},
		{name: "the one put back is too old", ages: []int{6, 5, 4}, age: 61, want: expired("new"), ids: []string{"0", "1", "2"}},
		{
			name: "the one put back is only the oldest", ages: []int{6, 5, 4}, age: 60,
			want: map[string]organic.DropReason{"new": organic.DroppedFull}, ids: []string{"0", "1", "2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newQueue[int](t, organic.MemoryConfig{Refuse: tt.refuse, Capacity: 3, MaxAge: time.Minute})
				seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
				for n, age := range tt.ages { // none is too old as yet
					received := time.Now().Add(seconds(10 - age))
					require.NoError(t, queue.Add(t.Context(), organic.Sample[int]{ID: fmt.Sprint(n), Received: received}))
				}
				got := make(map[string]organic.DropReason)
				queue.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(d organic.Dropped) { got[d.ID] = d.Reason }})
				time.Sleep(10 * time.Second)
				require.NoError(t, queue.Add(t.Context(), organic.Sample[int]{ID: "new", Received: time.Now().Add(seconds(-tt.age))}))
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
