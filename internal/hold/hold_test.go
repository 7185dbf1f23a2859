package hold_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/hold"
)

const noLimit = 1 << 30

var start = time.Unix(1_000_000, 0)

// at is so many seconds after the start.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestZeroHoldIsEmpty(t *testing.T) {
	t.Parallel()
	var h hold.Hold[string]
	require.Zero(t, h.Len())
	_, ok := h.Next()
	require.False(t, ok)
	value, ok := h.TakeDue(at(0), 0)
	require.False(t, ok)
	require.Empty(t, value)
}

func TestValuesComeOutWhenDue(t *testing.T) {
	t.Parallel()
	var h hold.Hold[int]
	for _, due := range []int{30, 10, 20} {
		h.Push(at(due), due)
	}
	_, ok := h.TakeDue(at(10).Add(-1), noLimit)
	require.False(t, ok, "a nanosecond too early")
	value, ok := h.TakeDue(at(10), noLimit)
	require.True(t, ok, "exactly then")
	require.Equal(t, 10, value)
	_, ok = h.TakeDue(at(10), noLimit)
	require.False(t, ok)

	due, ok := h.Next()
	require.True(t, ok)
	require.Equal(t, at(20), due)
	for _, want := range []int{20, 30} {
		value, ok = h.TakeDue(at(99), noLimit)
		require.True(t, ok)
		require.Equal(t, want, value)
	}
}

func TestBeyondTheLimitTheFirstComesOutEarly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		limit int
		want  []int
	}{
		{name: "no limit", limit: noLimit, want: nil},
		{name: "just enough room", limit: 4, want: nil},
		{name: "one too many", limit: 3, want: []int{1}},
		{name: "three too many", limit: 1, want: []int{1, 2, 3}},
		{name: "no room at all", limit: 0, want: []int{1, 2, 3, 4}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var h hold.Hold[int]
			for _, n := range []int{3, 1, 4, 2} {
				h.Push(at(n), n)
			}
			var got []int
			for {
				n, ok := h.TakeDue(time.Time{}, tt.limit)
				if !ok {
					break
				}
				got = append(got, n)
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestTakenValuesCountUntilDone(t *testing.T) {
	t.Parallel()
	var h hold.Hold[int]
	h.Push(at(1), 1)
	h.Push(at(2), 2)
	_, ok := h.TakeDue(at(1), noLimit)
	require.True(t, ok)
	require.Equal(t, 2, h.Len(), "one waits, one is on its way")
	_, ok = h.TakeDue(at(2), noLimit)
	require.True(t, ok)
	require.Equal(t, 2, h.Len())
	_, ok = h.Next()
	require.False(t, ok, "none waits")

	h.Push(at(3), 1) // found no place
	h.Done()
	require.Equal(t, 2, h.Len())
	h.Done()
	require.Equal(t, 1, h.Len())
}

func TestHoldAgainstModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var h hold.Hold[int]
	var model []int // seconds until due, which are the values
	for range 20_000 {
		if rng.IntN(2) == 0 {
			due := rng.IntN(1000)
			h.Push(at(due), due)
			model = append(model, due)
			slices.Sort(model)
		} else {
			now, limit := rng.IntN(1000), rng.IntN(100)
			got, ok := h.TakeDue(at(now), limit)
			want := len(model) > 0 && (model[0] <= now || len(model) > limit)
			require.Equal(t, want, ok)
			if ok {
				require.Equal(t, model[0], got)
				model = model[1:]
				h.Done()
			}
		}
		require.Equal(t, len(model), h.Len())
		if due, ok := h.Next(); ok {
			require.Equal(t, at(model[0]), due)
		}
	}
}

type heavy [64]byte

func TestHoldForgetsWhatItHandsOut(t *testing.T) {
	t.Parallel()
	var h hold.Hold[*heavy]
	var all []weak.Pointer[heavy]
	for n := range 50 {
		value := new(heavy)
		all = append(all, weak.Make(value))
		h.Push(at(n), value)
	}
	for range 20 {
		_, ok := h.TakeDue(at(99), noLimit)
		require.True(t, ok)
		h.Done()
	}
	runtime.GC()
	alive := slices.DeleteFunc(all, func(p weak.Pointer[heavy]) bool { return p.Value() == nil })
	require.Len(t, alive, h.Len())
	runtime.KeepAlive(&h)
}

func TestHoldIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	const goroutines, each = 8, 1000
	var h hold.Hold[int]
	var group sync.WaitGroup
	taken := make([]int, goroutines)
	for g := range goroutines {
		group.Go(func() {
			for n := range each {
				h.Push(at(n), n)
				h.Next()
				if _, ok := h.TakeDue(at(n), noLimit); ok {
					taken[g]++
					h.Done()
				}
			}
		})
	}
	group.Wait()
	left := goroutines * each
	for _, n := range taken {
		left -= n
	}
	require.Equal(t, left, h.Len())
}
