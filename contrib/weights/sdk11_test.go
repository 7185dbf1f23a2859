package weights_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// sdk11Case is what the Python SDK 11 has made of an input.
type sdk11Case struct {
	Name     string        `json:"name"`
	UIDs     []organic.UID `json:"uids"`
	Weights  []float64     `json:"weights"`
	Limit    float64       `json:"max_weight_limit"`
	Minimum  int           `json:"min_allowed_weights"`
	Own      organic.UID   `json:"own_uid"`
	Expected struct {
		UIDs   []organic.UID `json:"uids"`
		Values []uint16      `json:"values"`
		Error  string        `json:"error"`
		N      int           `json:"n"`
	} `json:"expected"`
}

func TestFloat64EqualsSDK11(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/weights_v11.json")
	require.NoError(t, err)
	var golden struct {
		Cases []sdk11Case `json:"cases"`
	}
	require.NoError(t, json.Unmarshal(data, &golden))
	require.NotEmpty(t, golden.Cases)
	for _, c := range golden.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			vector, err := weights.Convert(c.UIDs, c.Weights, 1024, weights.WithFloat64(),
				weights.WithMaxWeight(c.Limit/65535), weights.WithMinAllowed(c.Minimum), weights.WithOwnUID(c.Own))
			switch c.Expected.Error {
			case "all zero", "zero":
				require.ErrorIs(t, err, weights.ErrNoScores)
				return
			case "below min_allowed_weights":
				require.NoError(t, err)
				require.True(t, vector.TooFew)
				require.Len(t, vector.UIDs, c.Expected.N)
				return
			}
			require.NoError(t, err)
			require.False(t, vector.TooFew)
			require.Equal(t, c.Expected.UIDs, vector.UIDs)
			require.Equal(t, c.Expected.Values, vector.Weights)
		})
	}
}

func TestFloat64NamesAUniformVectorAndRefusesWhatSDK11DoesNotHave(t *testing.T) {
	t.Parallel()
	vector, err := weights.Convert(upTo(4), []float64{10, 0, 1, 1}, 4, weights.WithFloat64(),
		weights.WithMaxWeight(0.2))
	require.NoError(t, err)
	require.Equal(t, weights.UniformCap, vector.Path)
	_, err = weights.Convert(upTo(4), []float64{10, 0, 1, 1}, 4, weights.WithFloat64(),
		weights.WithExcludeQuantile(1))
	require.ErrorIs(t, err, weights.ErrInvalidOption)
	require.ErrorContains(t, err, "must not be given with WithFloat64")
}
