package weights_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// TestWindowKeepsTheNewest: one hand-written window dropped the newest and
// kept the oldest.
func TestWindowKeepsTheNewest(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Window(3, 0), []string{"a", "b"})
	means := []float64{1, 1.5, 2, 3, 4} // of 1; 1 2; 1 2 3; 2 3 4; 3 4 5
	for n, mean := range means {
		update(t, scores, weights.Round{}, organic.Rewards{0: float64(n + 1)})
		require.Equal(t, []float64{mean, 0}, scores.Values())
	}
	standing := scores.Standings()[0]
	require.Equal(t, 3, standing.Organic.Count)
	require.InDelta(t, 4, standing.Organic.Mean, 1e-12)
}

// TestWindowForgetsWhatIsTooOld: one hand-written filter kept what was older
// than the window, and dropped what was in it.
func TestWindowForgetsWhatIsTooOld(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		age  time.Duration
		want []float64 // the score when so old, of rewards 1 and, a minute later, 3
	}{
		{name: "both fresh", age: time.Minute, want: []float64{2}},
		{name: "first exactly at the limit", age: time.Hour, want: []float64{2}},
		{name: "first a nanosecond older", age: time.Hour + 1, want: []float64{3}},
		{name: "second exactly at the limit", age: time.Hour + time.Minute, want: []float64{3}},
		{name: "both older", age: time.Hour + time.Minute + 1, want: []float64{0}},
		{name: "much older", age: 1000 * time.Hour, want: []float64{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				scores := newScores(t, weights.Window(24, time.Hour), []string{"a"})
				update(t, scores, weights.Round{}, organic.Rewards{0: 1})
				time.Sleep(time.Minute)
				update(t, scores, weights.Round{}, organic.Rewards{0: 3})
				time.Sleep(tt.age - time.Minute)
				require.Equal(t, tt.want, scores.Values())
			})
		})
	}
}

func TestWindowsOfBothOriginsFillSeparately(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Window(2, 0), []string{"a"})
	for range 5 {
		update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{0: 1})
	}
	update(t, scores, weights.Round{Origin: organic.Organic}, organic.Rewards{0: 4})
	require.Equal(t, []float64{2}, scores.Values(), "half a window counts half")
	update(t, scores, weights.Round{Origin: organic.Organic}, organic.Rewards{0: 4})
	require.Equal(t, []float64{2.5}, scores.Values())
}

// TestShorterWindowTakesTheNewestOfALongerOne changes the rule at a restart.
func TestShorterWindowTakesTheNewestOfALongerOne(t *testing.T) {
	t.Parallel()
	long := newScores(t, weights.Window(5, 0), []string{"a"})
	for n := range 5 {
		update(t, long, weights.Round{}, organic.Rewards{0: float64(n)})
	}
	short := newScores(t, weights.Window(2, 0), []string{"a"})
	load(t, snapshot(t, long), short)
	require.Equal(t, []float64{3.5}, short.Values())
	update(t, short, weights.Round{}, organic.Rewards{0: 5})
	require.Equal(t, []float64{4.5}, short.Values())
}
