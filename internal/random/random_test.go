package random_test

import (
	"math"
	"math/bits"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/random"
)

func sources() map[string]*random.Source {
	seed := uint64(1)
	return map[string]*random.Source{"global": random.New(nil), "seeded": random.New(&seed)}
}

func TestNumbersStayInRange(t *testing.T) {
	t.Parallel()
	for name, source := range sources() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 100_000 {
				if f := source.Float64(); f < 0 || f >= 1 {
					require.Fail(t, "out of range", "Float64 %v", f)
				}
				if n := source.IntN(3); n < 0 || n > 2 {
					require.Fail(t, "out of range", "IntN %d", n)
				}
			}
			require.Zero(t, source.IntN(1))
		})
	}
}

// TestNumbersAreUniform has a limit that chance passes once in 10⁹ runs.
func TestNumbersAreUniform(t *testing.T) {
	t.Parallel()
	const cells, draws, limit = 50, 500_000, 134.0 // 49 degrees of freedom
	for name, source := range sources() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ints, floats [cells]int
			for range draws {
				ints[source.IntN(cells)]++
				floats[int(source.Float64()*cells)]++
			}
			require.Less(t, chiSquare(ints[:], draws), limit, "%v", ints)
			require.Less(t, chiSquare(floats[:], draws), limit, "%v", floats)
		})
	}
}

func chiSquare(counts []int, total int) (sum float64) {
	want := float64(total) / float64(len(counts))
	for _, count := range counts {
		sum += (float64(count) - want) * (float64(count) - want) / want
	}
	return sum
}

func TestSeedRepeatsTheNumbers(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) (numbers [100]uint64) {
		source := random.New(&seed)
		for i := range numbers {
			numbers[i] = source.Uint64()
		}
		return numbers
	}
	one := draw(1)
	require.Equal(t, one, draw(1))
	require.NotEqual(t, one, draw(2))
	require.NotEqual(t, draw(0), draw(math.MaxUint64))

	var a, b random.Source
	require.NotEqual(t, [2]uint64{a.Uint64(), a.Uint64()}, [2]uint64{b.Uint64(), b.Uint64()},
		"without a seed they differ")
}

func TestReduceCoversItsRange(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 7, 100, math.MaxInt32, math.MaxInt64} {
		require.Zero(t, random.Reduce(0, n))
		require.Equal(t, n-1, random.Reduce(math.MaxUint64, n))
		require.Equal(t, n/2, random.Reduce(1<<63, n))
	}
	last := 0
	for i := range uint64(1000) {
		got := random.Reduce(i<<54, 1000) // from 0 almost to the largest
		require.GreaterOrEqual(t, got, last, "it keeps the order")
		last = got
	}
}

func TestSourceIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	for name, source := range sources() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var group sync.WaitGroup
			ones := make([]int, 8)
			for i := range ones {
				group.Go(func() {
					for range 1000 {
						ones[i] += bits.OnesCount64(source.Uint64())
					}
				})
			}
			group.Wait()
			for _, n := range ones {
				require.InDelta(t, 32_000, n, 2000, "16 standard deviations")
			}
		})
	}
}
