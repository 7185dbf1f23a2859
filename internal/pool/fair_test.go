package pool_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/pool"
)

// fairModel is a fair pool as a plain slice of values and their parties, sorted
// by key.
type fairModel struct {
	t    *testing.T
	fair *pool.Fair[entry]
	want []fairEntry
}

type fairEntry struct {
	entry

	party string
}

func (m *fairModel) add(party string, key int64, number int) {
	e := fairEntry{entry{key, number}, party}
	at, _ := slices.BinarySearchFunc(m.want, key+1, func(e fairEntry, key int64) int {
		return cmp.Compare(e.key, key)
	})
	m.want = slices.Insert(m.want, at, e)
	m.fair.Add(party, key, &e.entry)
}

// took checks that a value which was taken was the oldest of its party, and
// returns that party.
func (m *fairModel) took(got entry) (party string) {
	m.t.Helper()
	at := slices.IndexFunc(m.want, func(e fairEntry) bool { return e.entry == got })
	require.GreaterOrEqual(m.t, at, 0, "a value that is in the pool")
	party = m.want[at].party
	first := slices.IndexFunc(m.want, func(e fairEntry) bool { return e.party == party })
	require.Equal(m.t, m.want[first].key, got.key, "the oldest of its party")
	m.want = slices.Delete(m.want, at, at+1)
	return party
}

func (m *fairModel) counts() map[string]int {
	counts := make(map[string]int)
	for _, e := range m.want {
		counts[e.party]++
	}
	return counts
}

func TestFairAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			m := &fairModel{t: t, fair: pool.NewFair[entry]()}
			for number := range 2000 {
				var got entry
				switch op := rng.IntN(10); {
				case len(m.want) == 0 || op < 5:
					m.add(string(rune('a'+rng.IntN(6))), int64(rng.IntN(300)), number)
				case op == 5:
					m.fair.TakeOldest(&got)
					require.Equal(t, m.want[0].key, got.key)
					m.took(got)
				case op == 6:
					m.fair.TakeNewest(&got)
					last := m.want[len(m.want)-1]
					require.Equal(t, last.key, got.key)
					m.want = slices.DeleteFunc(m.want, func(e fairEntry) bool { return e.entry == got })
				case op == 7:
					before := m.counts()
					m.fair.TakeOldestOfLargest(&got)
					party := m.took(got)
					for _, count := range before {
						require.LessOrEqual(t, count, before[party])
					}
				default:
					m.fair.TakeOldestOf(rng.IntN(m.fair.Parties()), &got)
					m.took(got)
				}
				require.Equal(t, len(m.want), m.fair.Len())
				require.Equal(t, len(m.counts()), m.fair.Parties())
				if len(m.want) > 0 {
					require.Equal(t, m.want[0].key, m.fair.OldestKey())
					require.Equal(t, m.want[len(m.want)-1].key, m.fair.NewestKey())
				}
			}
		})
	}
}
