package pool_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/pool"
)

// FuzzPool plays operations that bytes describe: the capacity, a seed for the
// picks, and then one operation for each byte.
func FuzzPool(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 3, 0, 4, 0, 5})
	f.Add([]byte{2, 1, 0, 2, 5, 0, 2, 5, 5, 0, 0, 3, 4})
	f.Add([]byte{6, 9, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 2, 2, 4, 3, 5, 5, 5, 5})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		capacity, rng := 1+int(data[0]%32), rand.New(rand.NewPCG(uint64(data[1]), 0))
		p := pool.New[int](capacity / 2)
		var model []int
		for next, op := range data[2:] {
			operate(t, int(op%7), &p, &model, capacity, next, rng)
			require.Equal(t, len(model), p.Len())
		}
		for _, want := range model {
			require.Equal(t, want, take(&p, p.OldestIndex()))
		}
		require.Zero(t, p.Len())
	})
}
