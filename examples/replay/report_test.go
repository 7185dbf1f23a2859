package main

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// scored is the score of a miner with these rewards.
func scored(rewards ...float64) score {
	var s score
	for _, reward := range rewards {
		s.add(reward)
	}
	return s
}

func TestTable(t *testing.T) {
	t.Parallel()
	miners := []miner{{model: "alder"}, {model: "birch-7b"}, {model: "cedar"}, {model: "dogwood"}}
	scores := []score{scored(0.25), scored(1, 0), scored(), scored(0.25, 0.25)}
	rows := newRows(miners, scores, []float64{0.025, 0.09, 0, 0.0475},
		[]uint16{18204, 65535, 0, 34588}, map[string]float64{
			"alder": 0.5, "birch-7b": 0.75,
			"cedar": 0.9,
		})
	var out strings.Builder
	writeTable(&out, rows, true)
	require.Equal(t, strings.TrimLeft(`
miner     uid  samples      mean   average  weight  rank  win rate  human rank
------------------------------------------------------------------------------
birch-7b    1        2  0.500000  0.090000   65535     1    0.7500           2
alder       0        1  0.250000  0.025000   18204   2.5    0.5000           3
dogwood     3        2  0.250000  0.047500   34588   2.5         -           -
cedar       2        0         -         -       0     -    0.9000           1
`, "\n"), out.String())
	require.InDelta(t, 1, agreement(rows), 1e-15, "over those that have both")
}

func TestTableWithoutRanking(t *testing.T) {
	t.Parallel()
	rows := newRows([]miner{{model: "a"}}, []score{scored(0.5)}, []float64{0.05}, []uint16{65535}, nil)
	var out strings.Builder
	writeTable(&out, rows, false)
	require.NotContains(t, out.String(), "human")
	require.True(t, math.IsNaN(agreement(rows)))
	require.Equal(t, "undefined, there is no order to compare", correlation(agreement(rows)))
}
