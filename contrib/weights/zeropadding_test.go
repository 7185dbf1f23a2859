package weights_test

import (
	"context"
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
		tooFew      bool
	}{
		{
			name: "all is burnt", scores: []float64{1, 2, 3, 4}, without: 1,
			opts:     []weights.ConvertOption{weights.WithMinAllowed(3), weights.WithBurn(1, 1)},
			wantUIDs: []organic.UID{1, 0, 2}, wantWeights: []uint16{65535, 0, 0},
		},
		{
			name: "all is burnt in a small subnet, for what it has", scores: []float64{1, 2}, without: 1,
			opts:     []weights.ConvertOption{weights.WithMinAllowed(3), weights.WithBurn(1, 0)},
			wantUIDs: []organic.UID{0, 1}, wantWeights: []uint16{65535, 0}, tooFew: true,
		},
		{
			name: "rounded away", scores: []float64{1, 1e6, 1}, without: 1, opts: []weights.ConvertOption{weights.WithMinAllowed(2)},
			wantUIDs: []organic.UID{1, 0}, wantWeights: []uint16{65535, 0},
		},
		{
			name: "lost beside raw scores", scores: []float64{0, 0, 1000}, without: 1, opts: []weights.ConvertOption{weights.WithMinAllowed(3)},
			wantUIDs: []organic.UID{2, 0, 1}, wantWeights: []uint16{65535, 0, 0},
		},
		{
			name: "enough", scores: []float64{1, 0, 1}, without: 2, opts: []weights.ConvertOption{weights.WithMinAllowed(2)},
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
			vector, err := weights.Convert(upTo(n), tt.scores, n, append(tt.opts, weights.WithZeroPadding())...)
			require.NoError(t, err)
			require.Equal(t, tt.wantUIDs, vector.UIDs)
			require.Equal(t, tt.wantWeights, vector.Weights)
			require.Equal(t, tt.tooFew, vector.TooFew)
			require.Equal(t, short.Rows, vector.Rows, "nobody's pay changes")
		})
	}
}

// TestBurningAllCanBeSet: without zeros a setter fails for ever.
func TestBurningAllCanBeSet(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(0.1), []string{"owner", "a", "b"})
	for _, padding := range [][]weights.ConvertOption{nil, {weights.WithZeroPadding()}} {
		var sent []organic.UID
		chain := weights.ChainFunc(func(_ context.Context, vector weights.Vector) error {
			sent = vector.UIDs
			return nil
		})
		setter, err := weights.NewSetter(chain, func(context.Context) (weights.Vector, error) {
			return scores.Convert(append(padding, weights.WithMinAllowed(2), weights.WithBurn(1, 0))...)
		}, weights.Interval{Every: 1})
		require.NoError(t, err)
		err = setter.Set(t.Context())
		if padding == nil {
			require.ErrorIs(t, err, weights.ErrTooFew)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []organic.UID{0, 1}, sent)
	}
}
