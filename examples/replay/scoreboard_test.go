package main

import (
	"math"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
)

func TestScoreboardCountsSampleOnce(t *testing.T) {
	t.Parallel()
	board := newScoreboard(2)
	board.add("a", organic.Rewards{0: 1, 1: 0})
	board.add("a", organic.Rewards{0: 1, 1: 0})
	board.add("b", organic.Rewards{0: 0.5})
	board.add("c", nil)
	require.Equal(t, 3, board.samples())
	scores := board.all()
	require.Equal(t, 2, scores[0].count)
	require.Equal(t, 1, scores[1].count)
	require.InDelta(t, 0.75, scores[0].mean(), 0)
	require.InDelta(t, 0, scores[1].mean(), 0)
}

func TestScoreMean(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		rewards []float64
		want    float64
	}{
		{"one", []float64{0.25}, 0.25},
		{"tenths", []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}, 0.55},
		{"what plain summation loses", []float64{1, 1e100, 1, -1e100}, 0.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s score
			for _, reward := range tt.rewards {
				s.add(reward)
			}
			require.InDelta(t, tt.want, s.mean(), 1e-16)
			require.Equal(t, len(tt.rewards), s.count)
		})
	}
	require.True(t, math.IsNaN((&score{}).mean()), "never rewarded")
}
