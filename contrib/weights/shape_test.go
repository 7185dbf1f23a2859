package weights_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func TestShapes(t *testing.T) {
	t.Parallel()
	scores := []float64{0, 1, 2, 4, 4}
	tests := []struct {
		name string
		opts []weights.ConvertOption
		want []uint16 // by UID
	}{
		{"none", nil, []uint16{0, 16384, 32768, 65535, 65535}},
		{
			"top 1 keeps what is equal",
			[]weights.ConvertOption{weights.WithTopK(1)},
			[]uint16{0, 0, 0, 65535, 65535},
		},
		{"top 3", []weights.ConvertOption{weights.WithTopK(3)}, []uint16{0, 0, 32768, 65535, 65535}},
		{
			"top of more than there are",
			[]weights.ConvertOption{weights.WithTopK(9)},
			[]uint16{0, 16384, 32768, 65535, 65535},
		},
		{"square", []weights.ConvertOption{weights.WithPower(2)}, []uint16{0, 4096, 16384, 65535, 65535}},
		{
			"root",
			[]weights.ConvertOption{weights.WithPower(0.5)},
			[]uint16{0, 32768, 46340, 65535, 65535},
		},
		{
			"floor lifts positive scores",
			[]weights.ConvertOption{weights.WithFloor(0.4)},
			[]uint16{0, 26214, 32768, 65535, 65535},
		},
		{
			"all three, in their order",
			[]weights.ConvertOption{weights.WithFloor(0.4), weights.WithPower(2), weights.WithTopK(3)},
			[]uint16{0, 0, 26214, 65535, 65535},
		},
	}
	for _, tt := range tests {
		for _, mode := range [][]weights.ConvertOption{nil, {weights.WithFloat64()}} {
			vector, err := weights.Convert(upTo(len(scores)), scores, len(scores),
				append(mode, tt.opts...)...)
			require.NoError(t, err, tt.name)
			got := make([]uint16, len(scores))
			for i, uid := range vector.UIDs {
				got[uid] = vector.Weights[i]
			}
			require.Equal(t, tt.want, got, tt.name)
		}
	}
}

func TestShapesOfExtremeScores(t *testing.T) {
	t.Parallel()
	for _, scores := range [][]float64{{0, 0}, {math.MaxFloat32, 1e-40}, {5e-324, 1}} {
		for _, opt := range []weights.ConvertOption{
			weights.WithPower(50), weights.WithPower(0.01),
			weights.WithFloor(1), weights.WithTopK(1),
		} {
			vector, err := weights.Convert(upTo(2), scores, 2, opt)
			require.NoError(t, err)
			require.EqualValues(t, 65535, max(vector.Weights[0], vector.Weights[len(vector.Weights)-1]))
		}
	}
}

func TestBadShapesAndBurnsAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := weights.Convert(upTo(2), []float64{1, 1}, 2, weights.WithTopK(-1), weights.WithPower(0),
		weights.WithFloor(1.5), weights.WithBurnTo(0.5, "a"))
	for _, want := range []string{
		"WithTopK(-1)", "WithPower(0)", "WithFloor(1.5)",
		`hotkey "a" is not registered`,
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestBurnByHotkeyFollowsTheHotkey(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"burn", "a", "b"})
	rewards := organic.Rewards{0: 1, 1: 1, 2: 1}
	update(t, scores, weights.Round{Origin: organic.Synthetic}, rewards)
	vector, err := scores.Convert(weights.WithBurnTo(0.5, "burn"))
	require.NoError(t, err)
	require.InDelta(t, 0.5, vector.Rows[0].Share, 1e-9)

	require.NoError(t, scores.SetMetagraph(weights.Hotkeys("x", "a", "burn")))
	update(t, scores, weights.Round{Origin: organic.Synthetic}, rewards)
	vector, err = scores.Convert(weights.WithBurnTo(0.6, "burn", "x"))
	require.NoError(t, err)
	require.InDelta(t, 0.3, vector.Rows[0].Share, 1e-9)
	require.InDelta(t, 0.4, vector.Rows[1].Share, 1e-9)
	require.InDelta(t, 0.3, vector.Rows[2].Share, 1e-9)
	_, err = scores.Convert(weights.WithBurnTo(0.6, "gone"))
	require.ErrorIs(t, err, weights.ErrInvalidOption)
}
