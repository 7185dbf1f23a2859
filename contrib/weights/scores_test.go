package weights_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// wide is a range that holds all rewards of tests that are not about ranges.
var wide = weights.Between(-math.MaxFloat32, math.MaxFloat32)

// newScores returns scores that know these hotkeys, without guards unless opts have some.
func newScores(tb testing.TB, average weights.Average, hotkeys []string, opts ...weights.ScoresOption) *weights.Scores {
	tb.Helper()
	scores, err := weights.NewScores(average, wide, append([]weights.ScoresOption{weights.WithGuards()}, opts...)...)
	require.NoError(tb, err)
	require.NoError(tb, scores.SetMetagraph(weights.Hotkeys(hotkeys...)))
	return scores
}

// update feeds a round in which the miners were asked just now.
func update(tb testing.TB, scores *weights.Scores, round weights.Round, rewards organic.Rewards) weights.Tally {
	tb.Helper()
	if round.Metagraph.Neurons == nil && round.Received.IsZero() {
		round.Received = time.Now()
	}
	tally, err := scores.Update(round, rewards)
	require.NoError(tb, err)
	return tally
}
