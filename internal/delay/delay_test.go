package delay_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/delay"
)

func TestValuesComeInTheOrderInWhichTheyAreDue(t *testing.T) {
	t.Parallel()
	var heap delay.Heap[int]
	start := time.Unix(1000, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range rng.Perm(1000) {
		heap.Push(start.Add(time.Duration(n)*time.Second), n)
	}
	_, _, ok := heap.Take(start.Add(-time.Nanosecond), 1000)
	require.False(t, ok, "none is due")
	due, waiting, ok := heap.Next()
	require.True(t, ok)
	require.Equal(t, []any{start, 1000}, []any{due, waiting})
	var taken []int
	for now := start; len(taken) < 1000; now = now.Add(time.Second) {
		value, early, ok := heap.Take(now, 1000)
		require.True(t, ok)
		require.Zero(t, early)
		taken = append(taken, value)
	}
	require.True(t, slices.IsSorted(taken))
	_, _, ok = heap.Next()
	require.False(t, ok)
}

func TestBeyondTheLimitTheFirstComesEarly(t *testing.T) {
	t.Parallel()
	var heap delay.Heap[string]
	now := time.Unix(1000, 0)
	heap.Push(now.Add(3*time.Hour), "later")
	heap.Push(now.Add(2*time.Hour), "sooner")
	_, _, ok := heap.Take(now, 2)
	require.False(t, ok)
	value, early, ok := heap.Take(now, 1)
	require.True(t, ok)
	require.Equal(t, []any{"sooner", 2 * time.Hour}, []any{value, early})
	require.Equal(t, 2, heap.Len(), "what was taken counts until Done")
	heap.Done()
	require.Equal(t, 1, heap.Len())
}
