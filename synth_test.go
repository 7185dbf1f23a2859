package organic_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func newSlice[S any](t *testing.T, payloads []S, seed uint64) *organic.SliceDataset[S] {
	t.Helper()
	dataset, err := organic.NewSliceDataset(payloads, seed)
	require.NoError(t, err)
	return dataset
}

func TestDatasetsConform(t *testing.T) {
	t.Parallel()
	function := organic.SynthFunc[string](func(context.Context) (string, error) { return "a", nil })
	tests := []struct {
		name string
		make func(t *testing.T) organic.SynthDataset[string]
	}{
		{name: "slice", make: func(t *testing.T) organic.SynthDataset[string] { t.Helper(); return newSlice(t, []string{"a", "b"}, 0) }},
		{name: "slice of one", make: func(t *testing.T) organic.SynthDataset[string] { t.Helper(); return newSlice(t, []string{"a"}, 0) }},
		{name: "slice with seed", make: func(t *testing.T) organic.SynthDataset[string] {
			t.Helper()
			return newSlice(t, []string{"a", "b"}, 1)
		}},
		{name: "function", make: func(*testing.T) organic.SynthDataset[string] { return function }},
		{name: "named", make: func(*testing.T) organic.SynthDataset[string] { return organic.Named[string]("a", 2, function) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			organictest.TestSynthDataset(t, tt.make)
		})
	}
}

func TestSynthFuncPassesOnWhatTheFunctionReturns(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	type key struct{}
	function := organic.SynthFunc[any](func(ctx context.Context) (any, error) { return ctx.Value(key{}), own })
	for _, dataset := range []organic.SynthDataset[any]{function, organic.Named[any]("a", 1, function)} {
		payload, err := dataset.Sample(context.WithValue(t.Context(), key{}, "payload"))
		require.Equal(t, "payload", payload)
		require.ErrorIs(t, err, own)
	}
}

func TestSlicePicksAreUniform(t *testing.T) {
	t.Parallel()
	const payloads, draws = 50, 200_000
	numbers := make([]int, payloads)
	for n := range numbers {
		numbers[n] = n
	}
	dataset := newSlice(t, numbers, 1)
	counts := make([]int, payloads)
	for range draws {
		n, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		counts[n]++
	}
	require.Less(t, chiSquare(counts, draws), 134.0, "p = 1e-9 at 49 degrees of freedom: %v", counts)
}

func TestSeedRepeatsSlicePicks(t *testing.T) {
	t.Parallel()
	numbers := make([]int, 100)
	for n := range numbers {
		numbers[n] = n
	}
	picks := func(seed uint64) (picked []int) {
		dataset := newSlice(t, numbers, seed)
		for range 100 {
			n, err := dataset.Sample(t.Context())
			require.NoError(t, err)
			picked = append(picked, n)
		}
		return picked
	}
	seeded, unseeded := picks(7), picks(0)
	require.Equal(t, seeded, picks(7))
	require.NotEqual(t, seeded, picks(8))
	require.NotEqual(t, unseeded, picks(0))
}

func TestEmptySliceIsRefused(t *testing.T) {
	t.Parallel()
	for _, payloads := range [][]int{nil, {}} {
		dataset, err := organic.NewSliceDataset(payloads, 0)
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		require.Nil(t, dataset)
	}
}

// TestNamesAndWeightsDecideThePicks lets a scorer pick among datasets.
func TestNamesAndWeightsDecideThePicks(t *testing.T) {
	t.Parallel()
	const draws = 20_000
	give := organic.SynthFunc[string](func(context.Context) (string, error) { return "a", nil })
	counts := make(map[string]int)
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(_ context.Context, sample organic.Sample[string], _ organic.Rewards) error {
			counts[sample.Source]++
			require.Equal(t, organic.Synthetic, sample.Origin)
			return nil
		},
	}
	scorer, err := organic.New(hooks, organic.WithSeed(1), organic.WithSynth[string](
		organic.Named[string]("rare", 1, give), organic.Named[string]("common", 6, give), give,
	))
	require.NoError(t, err)
	for range draws {
		_, err := scorer.Iterate(t.Context())
		require.NoError(t, err)
	}
	require.Len(t, counts, 3)
	for name, share := range map[string]float64{"rare": 1. / 8, "common": 6. / 8, "synth-3": 1. / 8} {
		sigma := math.Sqrt(draws * share * (1 - share))
		require.InDelta(t, draws*share, counts[name], 6*sigma, name)
	}
}
