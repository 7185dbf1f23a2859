package pool_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/pool"
)

// entry is a value of the model: its key, and a number that tells values of the
// same key apart.
type entry struct {
	key    int64
	number int
}

// model is a pool as a plain sorted slice.
type model struct {
	t      *testing.T
	sorted *pool.Sorted[entry]
	want   []entry
	next   int
}

func newModel(t *testing.T) *model {
	t.Helper()
	return &model{t: t, sorted: pool.NewSorted[entry]()}
}

func (m *model) insert(e entry) {
	at, _ := slices.BinarySearchFunc(m.want, e.key+1,
		func(e entry, key int64) int { return cmp.Compare(e.key, key) })
	m.want = slices.Insert(m.want, at, e)
}

// play does one operation, chosen by op, with a key.
func (m *model) play(op byte, key int64, index int) {
	m.t.Helper()
	e := entry{key: key, number: m.next}
	m.next++
	var got entry
	switch {
	case len(m.want) == 0 || op < 100:
		m.sorted.Add(key, &e)
		m.insert(e)
	case op < 140:
		added := m.sorted.ReplaceOldest(key, &e, &got)
		require.Equal(m.t, key >= m.want[0].key, added)
		if added {
			require.Equal(m.t, m.want[0], got)
			m.want = m.want[1:]
			m.insert(e)
		}
	case op < 170:
		m.sorted.TakeOldest(&got)
		require.Equal(m.t, m.want[0], got)
		m.want = m.want[1:]
	case op < 200:
		m.sorted.TakeNewest(&got)
		require.Equal(m.t, m.want[len(m.want)-1], got)
		m.want = m.want[:len(m.want)-1]
	default:
		m.sorted.Take(index%m.sorted.Len(), &got)
		at := slices.Index(m.want, got)
		require.GreaterOrEqual(m.t, at, 0, "took a value that is not there")
		m.want = slices.Delete(m.want, at, at+1)
	}
	require.Equal(m.t, len(m.want), m.sorted.Len())
	if len(m.want) > 0 {
		require.Equal(m.t, m.want[0].key, m.sorted.OldestKey())
		require.Equal(m.t, m.want[len(m.want)-1].key, m.sorted.NewestKey())
	}
}

func TestSortedAgainstModel(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		key  func(rng *rand.Rand, step int) int64
	}{
		{"in order", func(_ *rand.Rand, step int) int64 { return int64(step) }},
		{"backwards", func(_ *rand.Rand, step int) int64 { return int64(-step) }},
		{"any order, few keys", func(rng *rand.Rand, _ int) int64 { return rng.Int64N(5) }},
		{"mostly in order", func(
			rng *rand.Rand, step int,
		) int64 {
			return int64(step) - rng.Int64N(3)*rng.Int64N(50)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2))
			m := newModel(t)
			for step := range 20_000 {
				m.play(byte(rng.IntN(256)), test.key(rng, step), rng.IntN(1<<20))
			}
			for len(m.want) > 0 {
				m.play(150, 0, 0)
			}
		})
	}
}

func FuzzSorted(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 2, 0, 150, 0, 0, 210, 0, 7})
	f.Fuzz(func(t *testing.T, operations []byte) {
		m := newModel(t)
		for len(operations) >= 3 {
			m.play(operations[0], int64(int8(operations[1])), int(operations[2]))
			operations = operations[3:]
		}
	})
}

func TestTakenValuesAreNotKeptAlive(t *testing.T) {
	t.Parallel()
	sorted := pool.NewSorted[*int]()
	for key := range int64(50) {
		late, inOrder := new(int), new(int)
		sorted.Add(100+key, &inOrder)
		sorted.Add(key, &late)
	}
	var taken *int
	for sorted.Len() > 0 {
		sorted.Take(sorted.Len()-1, &taken)
		require.NotNil(t, taken)
	}
}
