package weights_test

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// goldenErrors are the names that the golden cases have for errors.
var goldenErrors = map[string]error{
	"empty": weights.ErrEmpty, "length_mismatch": weights.ErrLength,
	"uid_out_of_range": weights.ErrUIDRange,
	"duplicate_uid":    weights.ErrDuplicateUID, "not_finite": weights.ErrNotFinite,
	"negative_weight": weights.ErrNegative,
	"invalid_limit":   weights.ErrInvalidOption,
}

var goldenPaths = map[string]weights.Path{
	"normal": weights.Normal, "padded": weights.Padded,
	"uniform_no_weights": weights.UniformNoScores, "uniform_small_subnet": weights.UniformSmallSubnet,
}

// golden is testdata/weights.json: what the functions of the Python SDK
// returned.
type golden struct {
	Cases []goldenCase     `json:"cases"`
	EMA   []goldenSequence `json:"ema"`
}

type goldenCase struct {
	Name     string `json:"name"`
	Function string `json:"function"`
	Inputs   struct {
		Dtype    string   `json:"dtype"`
		UIDs     []int    `json:"uids"`
		Weights  []string `json:"weights"`
		Neurons  int      `json:"num_neurons"`
		Minimum  int      `json:"min_allowed_weights"`
		Limit    string   `json:"max_weight_limit"`
		Quantile uint16   `json:"exclude_quantile"`
	} `json:"inputs"`
	Expected struct {
		Normalized  []string      `json:"normalized"`
		UIDs        []organic.UID `json:"uids"`
		EmitUIDs    []organic.UID `json:"emit_uids"`
		EmitWeights []uint16      `json:"emit_weights"`
		Path        string        `json:"path"`
		TooFew      bool          `json:"below_min_allowed"`
	} `json:"expected"`
	ExpectedError string `json:"expected_error"`
}

type goldenSequence struct {
	Name    string   `json:"name"`
	Rule    string   `json:"rule"`
	Alpha   string   `json:"alpha"`
	Hotkeys []string `json:"hotkeys"`
	Initial []string `json:"initial_scores"`
	Steps   []struct {
		Op            string        `json:"op"`
		UIDs          []int         `json:"uids"`
		Rewards       []string      `json:"rewards"`
		Hotkeys       []string      `json:"hotkeys"`
		Minimum       int           `json:"min_allowed_weights"`
		Limit         string        `json:"max_weight_limit"`
		Scores        []string      `json:"expected_scores"`
		EmitUIDs      []organic.UID `json:"expected_emit_uids"`
		EmitWeights   []uint16      `json:"expected_emit_weights"`
		ExpectedError string        `json:"expected_error"`
	} `json:"steps"`
}

func loadGolden(tb testing.TB) (g golden) {
	tb.Helper()
	data, err := os.ReadFile("testdata/weights.json")
	require.NoError(tb, err)
	require.NoError(tb, json.Unmarshal(data, &g))
	require.Len(tb, g.Cases, 87)
	require.Len(tb, g.EMA, 11)
	return g
}

// number reads a float64; a decimal beyond it is an infinity.
func number(tb testing.TB, text string) float64 {
	tb.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if !errors.Is(err, strconv.ErrRange) {
		require.NoError(tb, err)
	}
	return v
}

func numbers(tb testing.TB, texts []string) []float64 {
	tb.Helper()
	values := make([]float64, len(texts))
	for i, text := range texts {
		values[i] = number(tb, text)
	}
	return values
}

// uidsOf returns ok = false where a UID cannot be expressed.
func uidsOf(numbers []int) (uids []organic.UID, ok bool) {
	for _, n := range numbers {
		if n < 0 || n > math.MaxUint16 {
			return nil, false
		}
		uids = append(uids, organic.UID(n))
	}
	return uids, true
}

// outcome is what a golden case is compared with.
type outcome struct {
	path        weights.Path
	uids        []organic.UID
	normalized  []float64
	emitUIDs    []organic.UID
	emitWeights []uint16
	tooFew      bool
}

func run(t *testing.T, c goldenCase, uids []organic.UID) (out outcome, err error) {
	t.Helper()
	values := numbers(t, c.Inputs.Weights)
	switch c.Function {
	case "convert_and_normalize_weights_and_uids":
		for i, v := range values {
			values[i] = float64(float32(v))
		}
		out.emitUIDs, out.emitWeights, err = weights.Quantize(uids, values)
	case "convert_weights_and_uids_for_emit":
		out.emitUIDs, out.emitWeights, err = weights.Quantize(uids, values)
	case "process_weights":
		var v weights.Vector
		v, err = weights.Convert(uids, values, c.Inputs.Neurons, weights.WithMinAllowed(c.Inputs.Minimum),
			weights.WithMaxWeight(number(t, c.Inputs.Limit)), weights.WithExcludeQuantile(c.Inputs.Quantile))
		out = outcome{path: v.Path, emitUIDs: v.UIDs, emitWeights: v.Weights, tooFew: v.TooFew}
		for _, row := range v.Rows {
			out.uids, out.normalized = append(out.uids, row.UID), append(out.normalized, row.Share)
		}
	default:
		require.Fail(t, "unknown function", c.Function)
	}
	return out, err
}

// TestGoldenConversions compares every digit with what the Python SDK made of
// the same input.
func TestGoldenConversions(t *testing.T) {
	t.Parallel()
	for _, c := range loadGolden(t).Cases {
		if c.Function == "normalize_max_weight" {
			continue // below
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			uids, ok := uidsOf(c.Inputs.UIDs)
			if !ok {
				t.Skip("this UID cannot be expressed")
			}
			out, err := run(t, c, uids)
			if c.ExpectedError != "" {
				require.ErrorIs(t, err, goldenErrors[c.ExpectedError])
				require.Zero(t, out, "no partial result")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.Expected.EmitUIDs, out.emitUIDs)
			require.Equal(t, c.Expected.EmitWeights, out.emitWeights)
			// The chain asks for no more entries than there are neurons; Python does not say so.
			require.Equal(t, c.Expected.TooFew && c.Inputs.Neurons >= c.Inputs.Minimum, out.tooFew)
			require.Equal(t, goldenPaths[c.Expected.Path], out.path)
			require.Equal(t, c.Expected.UIDs, out.uids)
			require.Len(t, out.normalized, len(c.Expected.Normalized))
			for i, want := range numbers(t, c.Expected.Normalized) {
				require.Equal(t, math.Float64bits(want), math.Float64bits(out.normalized[i]), "share %d", i)
			}
		})
	}
}

// TestGoldenCaps looks at the step in between alone. What Convert checks
// before it calls it is left out.
func TestGoldenCaps(t *testing.T) {
	t.Parallel()
	checked := map[string]bool{
		"norm-nan": true, "norm-negative": true, "norm-limit-zero": true,
		"norm-limit-raw-u16": true,
	}
	for _, c := range loadGolden(t).Cases {
		if c.Function != "normalize_max_weight" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			values, limit := numbers(t, c.Inputs.Weights), number(t, c.Inputs.Limit)
			if checked[c.Name] {
				uids := make([]organic.UID, len(values))
				for i := range uids {
					uids[i] = organic.UID(i)
				}
				_, err := weights.Convert(uids, values, len(uids), weights.WithMaxWeight(limit))
				require.ErrorIs(t, err, goldenErrors[c.ExpectedError])
				return
			}
			shares, err := capped(values, limit, c.Inputs.Dtype)
			if c.ExpectedError != "" {
				require.ErrorIs(t, err, goldenErrors[c.ExpectedError])
				return
			}
			require.NoError(t, err)
			require.Equal(t, numbers(t, c.Expected.Normalized), shares)
		})
	}
}

func capped(values []float64, limit float64, dtype string) ([]float64, error) {
	if dtype == "float64" {
		return weights.Capped64(values, limit)
	}
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	narrow, err := weights.Capped32(narrow, limit)
	shares := make([]float64, len(narrow))
	for i, share := range narrow {
		shares[i] = float64(share)
	}
	return shares, err
}
