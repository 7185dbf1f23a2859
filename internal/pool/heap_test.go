package pool_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/pool"
)

func TestIndexHeapAgainstModel(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	values := make([]int, 64)
	heap := pool.IndexHeap{Less: func(a, b int32) bool { return values[a] < values[b] }}
	var in []int32 // indices that are in the heap
	for range 50_000 {
		index := int32(rng.IntN(len(values)))
		at := slices.Index(in, index)
		switch {
		case at < 0:
			values[index] = rng.IntN(100)
			heap.Push(index)
			in = append(in, index)
		case rng.IntN(3) == 0:
			heap.Remove(index)
			in = slices.Delete(in, at, at+1)
		case rng.IntN(2) == 0:
			values[index] = rng.IntN(100)
			heap.Fix(index)
		default:
			to := int32(rng.IntN(len(values)))
			if slices.Contains(in, to) {
				continue
			}
			values[to] = values[index]
			heap.Rename(index, to)
			in[at] = to
		}
		if len(in) == 0 {
			continue
		}
		first := slices.MinFunc(in, func(a, b int32) int { return cmp.Compare(values[a], values[b]) })
		require.Equal(t, values[first], values[heap.Top()])
	}
}
