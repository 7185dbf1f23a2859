package weights_test

import (
	"errors"
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
			if sequence.Rule == "decay" && origin == organic.Organic {
				continue // organic rounds lower no miner that was not asked
			}
			t.Run(sequence.Name+" "+origin.String(), func(t *testing.T) {
				t.Parallel()
				follow(t, sequence, origin)
			})
		}
	}
}

func follow(t *testing.T, sequence goldenSequence, origin organic.Origin) {
	t.Helper()
	rule := map[string]func(float64) weights.Average{
		"hold":  weights.Hold,
		"decay": weights.Decay,
	}[sequence.Rule]
	scores := startingAt(t, rule(number(t, sequence.Alpha)), sequence.Hotkeys,
		numbers(t, sequence.Initial), origin)
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
			if errors.Is(goldenErrors[step.ExpectedError], weights.ErrNotFinite) {
				continue // Python stops, and here an infinite reward is clamped
			}
			_, err := scores.Update(weights.Round{Origin: origin, Metagraph: weights.Hotkeys(neurons...)},
				rewards)
			require.ErrorIs(t, err, goldenErrors[step.ExpectedError])
		case "set_weights":
			vector, err := convertAsPython(scores.Values(), weights.WithMinAllowed(step.Minimum),
				weights.WithMaxWeight(number(t, step.Limit)))
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
func startingAt(
	t *testing.T, average weights.Average, hotkeys []string, initial []float64, origin organic.Origin,
) *weights.Scores {
	t.Helper()
	full := newScores(t, weights.Decay(1), hotkeys) // the newest reward is the score
	rewards := make(organic.Rewards)
	for uid, score := range initial {
		rewards[organic.UID(uid)] = score
	}
	update(t, full, weights.Round{Origin: origin}, rewards)
	scores := newScores(t, average, hotkeys)
	load(t, snapshot(t, full), scores)
	require.Equal(t, initial, scores.Values())
	return scores
}

// convertAsPython divides scores by their sum, and leaves out what is not positive.
func convertAsPython(scores []float64, opts ...weights.ConvertOption) (weights.Vector, error) {
	total := 0.0
	for uid := range scores {
		scores[uid] = max(scores[uid], 0)
		total += scores[uid]
	}
	for uid := range scores {
		scores[uid] /= total
	}
	return weights.Convert(upTo(len(scores)), scores, len(scores), opts...)
}
