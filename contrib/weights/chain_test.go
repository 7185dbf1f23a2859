package weights_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func TestChainErrorHasItsKindItsDataAndItsCause(t *testing.T) {
	err := error(&weights.ChainError{
		Kind: weights.ErrTooSoon, Pallet: "SubtensorModule", Name: "SettingWeightsTooFast",
		Blocks: 12, Err: io.ErrUnexpectedEOF,
	})
	require.ErrorIs(t, err, weights.ErrTooSoon)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, err, weights.ErrRetry)
	var refused *weights.ChainError
	require.ErrorAs(t, errors.Join(err), &refused)
	require.EqualValues(t, 12, refused.Blocks)
	require.EqualError(t, err, "weights: too soon after the last weights: "+
		"SubtensorModule.SettingWeightsTooFast: wait 12 blocks: unexpected EOF")
	require.EqualError(t, &weights.ChainError{Kind: weights.ErrVersionKey, Want: 7},
		"weights: version key is too old: at least 7 is required")
	require.NotPanics(t, func() { _ = (&weights.ChainError{}).Error() })
}

func TestSubmissionSurvivesJSON(t *testing.T) {
	submission := weights.Submission{
		State: weights.Committed, Hash: "0xab", Signed: 100, Expires: 164, Digest: "cd", Block: 101,
		BlockHash: "0xef", Commit: "0x12", RevealRound: 9, RevealBlock: 460, Evidence: "an event",
	}
	data, err := json.Marshal(submission)
	require.NoError(t, err)
	var back weights.Submission
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, submission, back)
	require.True(t, back.Timelocked())
}

func TestOnlyIncludedAndRevealedMeanSet(t *testing.T) {
	for state, want := range map[weights.State]struct {
		name       string
		set, final bool
	}{
		weights.None:      {"none", false, false},
		weights.Submitted: {"submitted", false, false},
		weights.Included:  {"included", true, true},
		weights.Committed: {"committed", false, false},
		weights.Revealed:  {"revealed", true, true},
		weights.Lost:      {"lost", false, true},
	} {
		require.Equal(t, want.name, state.String())
		require.Equal(t, want.set, state.Set(), state)
		require.Equal(t, want.final, state.Final(), state)
	}
	require.Equal(t, "unknown", weights.State(99).String())
}

func TestDigestTellsVectorsApart(t *testing.T) {
	vector := weights.Vector{UIDs: []organic.UID{0, 7}, Weights: []uint16{65535, 120}}
	other := weights.Vector{UIDs: []organic.UID{7, 0}, Weights: []uint16{120, 65535}}
	require.Equal(t, "70db1301ae", vector.Digest()[:10])
	require.NotEqual(t, vector.Digest(), other.Digest())
}

// send sends a vector and returns the error.
func send(ctx context.Context, chain weights.Chain, vector weights.Vector) error {
	_, err := chain.SetWeights(ctx, vector, func(weights.Submission) {})
	return err
}

func someWeights(context.Context) (weights.Vector, error) {
	return weights.Convert(upTo(2), []float64{1, 3}, 2)
}
