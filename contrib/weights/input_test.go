package weights_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func TestAnEmptyMetagraphOfARoundIsNone(t *testing.T) {
	scores := newScores(t, weights.Hold(0.5), []string{"a", "b"})
	round := weights.Round{Metagraph: weights.Hotkeys(), Received: time.Now()}
	tally, err := scores.Update(round, organic.Rewards{1: 1})
	require.NoError(t, err)
	require.Equal(t, 1, tally.Counted)
	round.Received = time.Time{}
	_, err = scores.Update(round, organic.Rewards{1: 1})
	require.ErrorIs(t, err, weights.ErrWhenAsked)
}

func TestHotkeysThatASnapshotCannotHoldAreRefused(t *testing.T) {
	scores := newScores(t, weights.Hold(0.5), []string{"a"})
	raw := weights.Hotkeys(strings.Repeat("\xff", 32), strings.Repeat("\xfe", 32)) // no SS58
	require.ErrorIs(t, scores.SetMetagraph(raw), weights.ErrMetagraph)
}

func TestNoneIsNoNumberOfHighestScores(t *testing.T) {
	for _, k := range []int{0, -1} {
		_, err := weights.Convert([]organic.UID{0}, []float64{1}, 1, weights.WithTopK(k))
		require.ErrorIs(t, err, weights.ErrInvalidOption, k)
	}
	_, err := weights.Convert([]organic.UID{0}, []float64{1}, 1, weights.WithFloor(0))
	require.ErrorIs(t, err, weights.ErrInvalidOption)
}

func TestSharesOfRowsAddUpToOne(t *testing.T) {
	uids, scores := []organic.UID{0, 1, 2}, []float64{3, 1, 4}
	for _, opts := range [][]weights.ConvertOption{
		nil,
		{weights.WithFloat64()},
		{weights.WithFloat64(), weights.WithMaxWeight(0.4)},
		{weights.WithFloat64(), weights.WithBurn(0.5, 2)},
		{weights.WithFloat64(), weights.WithTopK(2)},
	} {
		vector, err := weights.Convert(uids, scores, 3, opts...)
		require.NoError(t, err)
		total := 0.0
		for _, row := range vector.Rows {
			total += row.Share
		}
		require.InDelta(t, 1, total, 1e-6)
	}
}

// TestNoScoreIsPaidUnderACap: where too little is below the cap to take what is cut off, SDK 11
// pays all the same, those without a score too.
func TestNoScoreIsPaidUnderACap(t *testing.T) {
	uids, scores := []organic.UID{0, 1, 2, 3}, []float64{1, 0, 0, 0}
	vector, err := weights.Convert(uids, scores, 4, weights.WithFloat64(), weights.WithMaxWeight(0.5))
	require.NoError(t, err)
	require.Equal(t, []uint16{65535, 65535, 65535, 65535}, vector.Weights, "as in Python")
	require.Equal(t, weights.UniformCap, vector.Path, "a Setter does not send it")
}
