package pool_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/pool"
)

// TestPoolAgainstModel plays random operations on a pool and on a plain slice
// in order of arrival. The values are unique, so a value tells its place.
func TestPoolAgainstModel(t *testing.T) {
	t.Parallel()
	for _, capacity := range []int{1, 2, 3, 7, 100} {
		rng := rand.New(rand.NewPCG(1, uint64(capacity)))
		p := pool.New[int](0)
		var model []int
		for next := range 20_000 {
			operate(t, rng.IntN(7), &p, &model, capacity, next, rng)
			require.Equal(t, len(model), p.Len())
			if len(model) > 0 {
				require.Equal(t, model[0], *p.At(p.OldestIndex()))
			}
		}
		for len(model) > 0 {
			require.Equal(t, model[0], take(&p, p.OldestIndex()))
			model = model[1:]
		}
	}
}

func operate(t *testing.T, op int, p *pool.Pool[int], model *[]int, capacity, next int, rng *rand.Rand) {
	t.Helper()
	full, empty := len(*model) == capacity, len(*model) == 0
	switch {
	case op <= 1 && full:
		p.Rotate(&next)
		*model = append((*model)[1:], next)
	case op <= 1:
		p.PushNewest(&next)
		*model = append(*model, next)
	case op == 2 && !full:
		first := rng.IntN(len(*model) + 1)
		insert(p, *model, first, next)
		*model = slices.Insert(*model, first, next)
	case op == 3 && !empty:
		require.Equal(t, (*model)[0], take(p, p.OldestIndex()))
		*model = (*model)[1:]
	case op == 4 && !empty:
		require.Equal(t, (*model)[len(*model)-1], take(p, p.NewestIndex()))
		*model = (*model)[:len(*model)-1]
	case op >= 5 && !empty:
		value := take(p, rng.IntN(p.Len()))
		at := slices.Index(*model, value)
		require.GreaterOrEqual(t, at, 0, "took a value that is not in the model")
		*model = slices.Delete(*model, at, at+1)
	}
}

// insert adds a value behind the first ones of the model.
func insert(p *pool.Pool[int], model []int, first, value int) {
	if first == len(model) {
		p.PushNewest(&value)
		return
	}
	index := p.NewestIndex()
	for range len(model) - first - 1 {
		index = p.Previous(index)
	}
	p.PushBefore(index, &value)
}

func take(p *pool.Pool[int], index int) (value int) {
	p.Take(index, &value)
	return value
}
