package weights_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/weights"
)

// numpySum is the order in which numpy adds float32 values, written down a
// second time and as plainly as can be.
func numpySum(values []float32) (total float32) {
	n := len(values)
	switch {
	case n > 8192:
		blocks := n / 8192 * 8192
		if blocks == n {
			blocks -= 8192
		}
		for i := 0; i < blocks; i += 8192 {
			total += numpySum(values[i : i+8192])
		}
		return total + numpySum(values[blocks:])
	case n > 128:
		half := n / 16 * 8
		return numpySum(values[:half]) + numpySum(values[half:])
	}
	whole := 0
	if n >= 8 {
		whole = n / 8 * 8
		var t [8]float32
		for i, v := range values[:whole] {
			t[i%8] += v
		}
		total = ((t[0] + t[1]) + (t[2] + t[3])) + ((t[4] + t[5]) + (t[6] + t[7]))
	}
	for _, v := range values[whole:] {
		total += v
	}
	return total
}

// TestSumsAreInTheOrderOfNumpy looks at more lengths than the golden cases
// have: each digit of the shares depends on the sum.
func TestSumsAreInTheOrderOfNumpy(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{
		1, 7, 8, 9, 15, 127, 128, 129, 130, 136, 143, 255, 256, 257, 300, 1000,
		8191, 8192, 8193, 16384, 16385, 20_001,
	} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			values := make([]float32, n)
			for range 20 {
				for i := range values {
					values[i] = random.Float32() * random.Float32()
				}
				shares, err := weights.Capped32(values, 1)
				require.NoError(t, err)
				total := numpySum(values)
				for i, share := range shares {
					if share != values[i]/total {
						require.Fail(t, "another sum", "share %d is %v, not %v", i, share, values[i]/total)
					}
				}
			}
		})
	}
}
