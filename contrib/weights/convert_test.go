package weights_test

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// upTo returns the UIDs below n.
func upTo(n int) []organic.UID {
	uids := make([]organic.UID, n)
	for uid := range uids {
		uids[uid] = organic.UID(uid)
	}
	return uids
}

func TestInputThatPythonWouldSendIsRefused(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	limit := weights.WithMaxWeight(0)
	tests := []struct {
		name   string
		uids   []organic.UID
		scores []float64
		opts   []weights.ConvertOption
		want   error
		text   string
	}{
		{
			name: "length before all", uids: upTo(1), scores: []float64{nan, -1},
			opts: []weights.ConvertOption{limit}, want: weights.ErrLength,
		},
		{name: "empty", want: weights.ErrEmpty, opts: []weights.ConvertOption{limit}},
		{
			name: "UID range before duplicates", uids: []organic.UID{9, 9}, scores: []float64{nan, -1},
			want: weights.ErrUIDRange, text: "9 of 3",
		},
		{
			name: "duplicate before NaN", uids: []organic.UID{0, 0}, scores: []float64{nan, -1},
			want: weights.ErrDuplicateUID, text: "0",
		},
		{
			name: "NaN before negative", uids: upTo(2), scores: []float64{-1, nan},
			want: weights.ErrNotFinite, text: "NaN for UID 1",
		},
		{
			name: "minus infinity is not finite", uids: upTo(1), scores: []float64{-inf},
			want: weights.ErrNotFinite,
		},
		{
			name: "beyond float32", uids: upTo(1), scores: []float64{math.MaxFloat32 + 0x1p103},
			want: weights.ErrNotFinite,
		},
		{
			name: "negative before limit", uids: upTo(3), scores: []float64{0, 1, -1e-300},
			opts: []weights.ConvertOption{limit}, want: weights.ErrNegative, text: "UID 2",
		},
		{
			name: "limit before overflow", uids: upTo(2), scores: []float64{3e38, 3e38},
			opts: []weights.ConvertOption{limit}, want: weights.ErrInvalidOption,
		},
		{
			name: "overflow of the sum", uids: upTo(2), scores: []float64{3e38, 3e38},
			want: weights.ErrNotFinite,
		},
		{
			name: "overflow where all would be equal", uids: upTo(2), scores: []float64{3e38, 3e38},
			opts: []weights.ConvertOption{weights.WithMaxWeight(0.5)}, want: weights.ErrNotFinite,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vector, err := weights.Convert(tt.uids, tt.scores, 3, tt.opts...)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
			require.Zero(t, vector)
		})
	}
}

func TestSubnetsWithMoreNeuronsThanUIDsAreRefused(t *testing.T) {
	t.Parallel()
	for _, neurons := range []int{-1, 0, 65537} {
		_, err := weights.Convert(upTo(1), []float64{1}, neurons)
		require.ErrorIs(t, err, weights.ErrUIDRange)
	}
	vector, err := weights.Convert([]organic.UID{65535}, []float64{1}, 65536)
	require.NoError(t, err)
	require.Equal(t, []organic.UID{65535}, vector.UIDs)
}

func TestLargestFloat32Converts(t *testing.T) {
	t.Parallel()
	vector, err := weights.Convert(upTo(2), []float64{math.Nextafter(math.MaxFloat32+0x1p103, 0), 0},
		2)
	require.NoError(t, err)
	require.Equal(t, []uint16{65535}, vector.Weights)
}

func TestBadConvertOptionsAreReportedTogether(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opt  weights.ConvertOption
		want string
	}{
		{name: "minimum", opt: weights.WithMinAllowed(-1), want: "WithMinAllowed(-1)"},
		{
			name: "limit above 1", opt: weights.WithMaxWeight(65535),
			want: "WithMaxWeight(65535): must be above 0 and at most 1; divide",
		},
		{name: "limit NaN", opt: weights.WithMaxWeight(math.NaN()), want: "WithMaxWeight(NaN)"},
		{name: "burn above 1", opt: weights.WithBurn(1.1, 0), want: "share must be from 0 to 1"},
		{name: "burn NaN", opt: weights.WithBurn(math.NaN(), 0), want: "share must be from 0 to 1"},
		{name: "burn to no UID", opt: weights.WithBurn(0.5), want: "must have a UID"},
		{
			name: "burn to no neuron", opt: weights.WithBurn(0.5, 3),
			want: "UID 3 must be one of the 3 neurons",
		},
		{name: "burn twice to one", opt: weights.WithBurn(0.5, 1, 1), want: "and there once"},
		{name: "nil", opt: nil, want: "option 1 must not be nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := weights.Convert(upTo(3), []float64{1, 1, 1}, 3, tt.opt)
			require.ErrorIs(t, err, weights.ErrInvalidOption)
			require.ErrorContains(t, err, tt.want)
		})
	}
	_, err := weights.Convert(upTo(3), []float64{1, 1, 1}, 3, weights.WithMinAllowed(-1),
		weights.WithMaxWeight(0), weights.WithBurn(2))
	for _, want := range []string{"WithMinAllowed", "WithMaxWeight", "WithBurn"} {
		require.ErrorContains(t, err, want)
	}
}

func TestBurnIsExactAndComesAfterTheCap(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		scores  []float64
		burn    weights.ConvertOption
		uids    []organic.UID
		weights []uint16
	}{
		{
			name: "to a miner that scored", scores: []float64{1, 1}, burn: weights.WithBurn(0.5, 0),
			uids: []organic.UID{0, 1}, weights: []uint16{65535, 65535},
		},
		{
			name: "to a miner that scored most", scores: []float64{8, 1, 1}, burn: weights.WithBurn(0.7, 0),
			uids: []organic.UID{0, 1, 2}, weights: []uint16{65535, 14043, 14043},
		},
		{
			name: "to the only one that scored", scores: []float64{0, 1}, burn: weights.WithBurn(0.2, 1),
			uids: []organic.UID{1}, weights: []uint16{65535},
		},
		{
			name: "to one without a score", scores: []float64{0, 1, 1}, burn: weights.WithBurn(0.5, 0),
			uids: []organic.UID{1, 2, 0}, weights: []uint16{32768, 32768, 65535},
		},
		{
			name: "to two", scores: []float64{0, 1, 0}, burn: weights.WithBurn(0.5, 0, 2),
			uids: []organic.UID{1, 0, 2}, weights: []uint16{65535, 32768, 32768},
		},
		{
			name: "all", scores: []float64{1, 3}, burn: weights.WithBurn(1, 0), uids: []organic.UID{0},
			weights: []uint16{65535},
		},
		{
			name: "all, and no miner scored", scores: []float64{0, 0}, burn: weights.WithBurn(1, 1),
			uids: []organic.UID{1}, weights: []uint16{65535},
		},
		{
			name: "none", scores: []float64{1, 2}, burn: weights.WithBurn(0), uids: []organic.UID{0, 1},
			weights: []uint16{32768, 65535},
		},
		{
			name: "little resolution", scores: slices.Repeat([]float64{1}, 256),
			burn: weights.WithBurn(0.99, 0), uids: upTo(256),
			weights: append([]uint16{65535}, slices.Repeat([]uint16{3}, 255)...),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vector, err := weights.Convert(upTo(len(tt.scores)), tt.scores, len(tt.scores),
				weights.WithMaxWeight(0.9), tt.burn)
			require.NoError(t, err)
			require.Equal(t, tt.uids, vector.UIDs)
			require.Equal(t, tt.weights, vector.Weights)
			total := 0.0
			for _, row := range vector.Rows {
				total += row.Share
			}
			require.InDelta(t, 1, total, 1e-5)
		})
	}
}

func TestVectorLogsRowByRow(t *testing.T) {
	t.Parallel()
	vector, err := weights.Convert(upTo(2), []float64{1, 3}, 2)
	require.NoError(t, err)
	core, logs := observer.New(zap.InfoLevel)
	require.NoError(t, send(t.Context(), weights.LogOnly(zap.New(core)), vector))
	require.Len(t, logs.All(), 1)
	fields := logs.All()[0].ContextMap()
	require.Equal(t, "normal", fields["path"])
	require.Equal(t, []any{
		map[string]any{"uid": uint16(0), "score": 1.0, "share": 0.25, "weight": uint16(21845)},
		map[string]any{"uid": uint16(1), "score": 3.0, "share": 0.75, "weight": uint16(65535)},
	}, fields["rows"])
}

func TestPathsHaveNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "uniform, no scores; uniform, small subnet; padded; normal; unknown",
		fmt.Sprintf("%v; %v; %v; %v; %v",
			weights.UniformNoScores, weights.UniformSmallSubnet, weights.Padded, weights.Normal, weights.Path(9)))
}

// TestAllUIDsConvert has more scores than numpy adds in one block.
func TestAllUIDsConvert(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	c := conversionCase{
		uids: upTo(65536), scores: make([]float64, 65536), neurons: 65536, limit: 2e-5,
		quantile: 6553, minimum: 8, tolerance: 1.2e-5,
	}
	for uid := range c.scores {
		c.scores[uid] = random.Float64()
	}
	vector, err := c.convert()
	require.NoError(t, err)
	require.NoError(t, broken(c, vector))
	require.InDelta(t, 58_982, len(vector.UIDs), 2)
}

// conversionCase is one call of Convert.
type conversionCase struct {
	uids     []organic.UID
	scores   []float64
	neurons  int
	minimum  int
	limit    float64
	quantile uint16

	tolerance float64 // how far rounding may leave a share above the cap, relative to it
}

func (c conversionCase) convert() (weights.Vector, error) {
	return weights.Convert(c.uids, c.scores, c.neurons, weights.WithMinAllowed(c.minimum),
		weights.WithMaxWeight(c.limit), weights.WithExcludeQuantile(c.quantile))
}

// randomCase draws from what subnets have and from what is at the edges of it:
// ties, zeros, few or many neurons, scores of very different sizes.
func randomCase(random *rand.Rand) conversionCase {
	c := conversionCase{neurons: 1 + random.IntN(32), limit: 1, tolerance: 1.2e-5}
	if random.IntN(50) == 0 {
		c.neurons = 1 + random.IntN(1024)
	}
	for _, uid := range random.Perm(c.neurons)[:1+random.IntN(c.neurons)] {
		c.uids = append(c.uids, organic.UID(uid))
	}
	kind := random.IntN(5)
	for range c.uids {
		score := random.Float64()
		switch kind {
		case 1:
			score = float64(random.IntN(4))
		case 2:
			score = math.Pow(10, -40+70*random.Float64())
		case 3:
			score = random.ExpFloat64()
		}
		if kind > 2 && random.IntN(3) == 0 {
			score = 0
		}
		c.scores = append(c.scores, score)
	}
	if random.IntN(2) == 0 {
		c.minimum = random.IntN(c.neurons + 2)
	}
	if random.IntN(2) == 0 {
		c.limit = math.Nextafter(random.Float64(), 1)
	}
	if random.IntN(2) == 0 {
		c.quantile = uint16(random.UintN(65536))
	}
	return c
}

// TestConversionKeepsItsPromises checks 20 000 random cases for what every one must be.
func TestConversionKeepsItsPromises(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	paths := make(map[weights.Path]int)
	for n := range 20_000 {
		c := randomCase(random)
		given := slices.Clone(c.scores)
		vector, err := c.convert()
		require.NoError(t, err, "case %d: %+v", n, c)
		require.Equal(t, given, c.scores, "the input is not changed")
		require.NoError(t, broken(c, vector), "case %d: %+v: %+v", n, c, vector)
		paths[vector.Path]++
	}
	for path := weights.UniformNoScores; path <= weights.Normal; path++ {
		require.Greater(t, paths[path], 200, "%v", paths)
	}
}

// broken says which promise a vector does not keep.
func broken(c conversionCase, vector weights.Vector) error {
	byUID, seen := make([]float64, c.neurons), make([]bool, c.neurons)
	for i, uid := range c.uids {
		byUID[uid] = c.scores[i]
	}
	total := 0.0
	var entries []organic.UID
	for _, row := range vector.Rows {
		switch {
		case seen[row.UID]:
			return fmt.Errorf("UID %d is there twice", row.UID)
		case row.Score != byUID[row.UID]:
			return fmt.Errorf("UID %d has another score", row.UID)
		case !(row.Share >= 0 && row.Share <= 1+1e-5): // also NaN
			return fmt.Errorf("share of UID %d is out of bounds", row.UID)
		case row.Weight > 0:
			entries = append(entries, row.UID)
		}
		seen[row.UID] = true
		total += row.Share
	}
	switch {
	case !(math.Abs(total-1) < 1e-4):
		return fmt.Errorf("the shares add up to %v", total)
	case !slices.Equal(entries, vector.UIDs) || len(vector.UIDs) != len(vector.Weights):
		return errors.New("the lists are not the rows that are not 0")
	case slices.Max(vector.Weights) != 65535:
		return errors.New("the largest weight is not 65535")
	case vector.TooFew != (len(vector.UIDs) < min(c.minimum, c.neurons)):
		return errors.New("TooFew is wrong")
	}
	return cmp.Or(brokenOrder(vector), brokenCap(c, vector), brokenChoice(c, vector, byUID, seen))
}

// brokenOrder checks that no miner has more than one with a higher score.
func brokenOrder(vector weights.Vector) error {
	rows := slices.SortedFunc(slices.Values(vector.Rows),
		func(a, b weights.Row) int { return cmp.Compare(a.Score, b.Score) })
	for i := 1; i < len(rows); i++ {
		if rows[i-1].Share > rows[i].Share || rows[i-1].Weight > rows[i].Weight {
			return errors.New("the order is not kept")
		}
	}
	uniform := vector.Path == weights.UniformNoScores || vector.Path == weights.UniformSmallSubnet
	if uniform && rows[0].Weight != 65535 {
		return errors.New("pay is not uniform")
	}
	return nil
}

// brokenCap allows what rounding leaves above the cap in Python too.
func brokenCap(c conversionCase, vector weights.Vector) error {
	if vector.Path != weights.Normal && vector.Path != weights.Padded {
		return nil
	}
	bound := max(c.limit, 1/float64(len(vector.Rows))) * (1 + c.tolerance)
	for _, row := range vector.Rows {
		if row.Share > bound {
			return fmt.Errorf("share of UID %d is above the cap", row.UID)
		}
	}
	return nil
}

// brokenChoice looks that zero stays zero, that only the lowest are excluded,
// and not too many.
func brokenChoice(c conversionCase, vector weights.Vector, byUID []float64, kept []bool) error {
	if vector.Path != weights.Normal {
		return nil
	}
	lowest := float32(math.Inf(1))
	for _, row := range vector.Rows {
		lowest = min(lowest, float32(row.Score))
	}
	if !(lowest > 0) || len(vector.Rows) < c.minimum {
		return errors.New("a zero was paid, or too many were excluded")
	}
	for uid, score := range byUID {
		if !kept[uid] && float32(score) > lowest {
			return fmt.Errorf("UID %d is excluded and a lower one is not", uid)
		}
	}
	return nil
}
