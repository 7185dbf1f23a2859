package weights_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func TestZerosFillUpToTheMinimum(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		scores      []float64
		opts        []weights.ConvertOption
		without     int // entries
		wantUIDs    []organic.UID
		wantWeights []uint16
	}{
		{
			name: "all is burnt", scores: []float64{1, 2, 3, 4}, without: 1,
			opts:     []weights.ConvertOption{weights.WithMinAllowed(3), weights.WithBurn(1, 1)},
			wantUIDs: []organic.UID{1, 0, 2}, wantWeights: []uint16{65535, 0, 0},
		},
		{
			name: "all is burnt in a small subnet, for what it has", scores: []float64{1, 2}, without: 1,
			opts:     []weights.ConvertOption{weights.WithMinAllowed(3), weights.WithBurn(1, 0)},
			wantUIDs: []organic.UID{0, 1}, wantWeights: []uint16{65535, 0},
		},
		{
			name: "rounded away", scores: []float64{1, 1e6, 1}, without: 1,
			opts:     []weights.ConvertOption{weights.WithMinAllowed(2)},
			wantUIDs: []organic.UID{1, 0}, wantWeights: []uint16{65535, 0},
		},
		{
			name: "one score", scores: []float64{0, 0, 1000}, without: 1,
			opts:     []weights.ConvertOption{weights.WithMinAllowed(3)},
			wantUIDs: []organic.UID{2, 0, 1}, wantWeights: []uint16{65535, 0, 0},
		},
		{
			name: "enough", scores: []float64{1, 0, 1}, without: 2,
			opts:     []weights.ConvertOption{weights.WithMinAllowed(2)},
			wantUIDs: []organic.UID{0, 2}, wantWeights: []uint16{65535, 65535},
		},
		{
			name: "no minimum", scores: []float64{1, 0, 1}, without: 2,
			wantUIDs: []organic.UID{0, 2}, wantWeights: []uint16{65535, 65535},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := len(tt.scores)
			short, err := weights.Convert(upTo(n), tt.scores, n, tt.opts...)
			require.NoError(t, err)
			require.Len(t, short.UIDs, tt.without)
			vector, err := weights.Convert(upTo(n), tt.scores, n,
				append(tt.opts, weights.WithZeroPadding())...)
			require.NoError(t, err)
			require.Equal(t, tt.wantUIDs, vector.UIDs)
			require.Equal(t, tt.wantWeights, vector.Weights)
			require.False(t, vector.TooFew)
			require.NotEqual(t, weights.Padded, vector.Path)
		})
	}
}

func TestScoresAreFilledUpWithZerosAndNotWithPay(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(0.1), []string{"owner", "a", "b", "c"})
	update(t, scores, weights.Round{ID: "1", Origin: organic.Synthetic}, organic.Rewards{1: 1, 2: 0.5})
	tests := []struct {
		name    string
		opts    []weights.ConvertOption
		uids    []organic.UID
		weights []uint16
	}{
		{"no minimum", nil, []organic.UID{1, 2}, []uint16{65535, 32768}},
		{
			"a minimum",
			[]weights.ConvertOption{weights.WithMinAllowed(3)},
			[]organic.UID{1, 2, 0},
			[]uint16{65535, 32768, 0},
		},
		{
			"a minimum above the subnet's size",
			[]weights.ConvertOption{weights.WithMinAllowed(8)},
			[]organic.UID{1, 2, 0, 3},
			[]uint16{65535, 32768, 0, 0},
		},
		{
			"all is burnt",
			[]weights.ConvertOption{weights.WithMinAllowed(8), weights.WithBurnTo(1, "owner")},
			[]organic.UID{0, 1, 2, 3},
			[]uint16{65535, 0, 0, 0},
		},
		{
			"in float64",
			[]weights.ConvertOption{weights.WithMinAllowed(8), weights.WithFloat64()},
			[]organic.UID{1, 2, 0, 3},
			[]uint16{65535, 32768, 0, 0},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vector, err := scores.Convert(tt.opts...)
			require.NoError(t, err)
			require.Equal(t, tt.uids, vector.UIDs)
			require.Equal(t, tt.weights, vector.Weights)
			require.False(t, vector.TooFew)
			require.Equal(t, weights.Normal, vector.Path)
		})
	}
}
