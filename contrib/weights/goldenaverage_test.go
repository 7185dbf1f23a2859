package weights_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// TestGoldenAverages follows the moving averages of the Python validators,
// fed by organic and by synthetic rounds alone.
func TestGoldenAverages(t *testing.T) {
	t.Parallel()
	for _, sequence := range loadGolden(t).EMA {
		for _, origin := range []organic.Origin{organic.Organic, organic.Synthetic} {
			t.Run(sequence.Name+" "+origin.String(), func(t *testing.T) {
				t.Parallel()
				follow(t, sequence, origin)
			})
		}
	}
}

func follow(t *testing.T, sequence goldenSequence, origin organic.Origin) {
	t.Helper()
	rule := map[string]func(float64) weights.Average{"hold": weights.Hold, "decay": weights.Decay}[sequence.Rule]
	scores := startingAt(t, rule(number(t, sequence.Alpha)), sequence.Hotkeys, numbers(t, sequence.Initial), origin)
	neurons := sequence.Hotkeys
	for _, step := range sequence.Steps {
		switch step.Op {
		case "metagraph":
			neurons = step.Hotkeys
			require.NoError(t, scores.SetMetagraph(weights.Hotkeys(neurons...)))
		case "update":
			uids, ok := uidsOf(step.UIDs)
			rewards := make(organic.Rewards)
			for i := range min(len(uids), len(step.Rewards)) {
				rewards[uids[i]] = number(t, step.Rewards[i])
			}
			if !ok || len(rewards) != len(step.UIDs) {
				continue // a UID out of range, twice, or without reward cannot be expressed
			}
			_, err := scores.Update(weights.Round{Origin: origin, Asked: weights.Hotkeys(neurons...)}, rewards)
			require.ErrorIs(t, err, goldenErrors[step.ExpectedError])
		case "set_weights":
			vector, err := scores.Convert(weights.WithMinAllowed(step.Minimum), weights.WithMaxWeight(number(t, step.Limit)))
			require.NoError(t, err)
			require.Equal(t, step.EmitUIDs, vector.UIDs)
			for i, want := range step.EmitWeights {
				require.InDelta(t, want, vector.Weights[i], 1)
			}
			continue
		}
		require.InDeltaSlice(t, numbers(t, step.Scores), scores.Values(), 1e-6)
	}
}

// startingAt returns scores that have seen enough to stand at these values,
// by way of a snapshot.
func startingAt(t *testing.T, average weights.Average, hotkeys []string, initial []float64, origin organic.Origin) *weights.Scores {
	t.Helper()
	full := newScores(t, weights.Decay(1), hotkeys) // the newest reward is the score
	rewards := make(organic.Rewards)
	for uid, score := range initial {
		rewards[organic.UID(uid)] = score
	}
	update(t, full, weights.Round{Origin: origin}, rewards)
	path := t.TempDir() + "/scores.json"
	require.NoError(t, full.Save(path))
	scores := newScores(t, average, hotkeys)
	require.NoError(t, scores.Load(path))
	require.Equal(t, initial, scores.Values())
	return scores
}
