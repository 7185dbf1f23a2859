package recorded

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRanksOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		values, want []float64
	}{
		{"none", nil, []float64{}},
		{"one", []float64{7}, []float64{1}},
		{"highest first", []float64{0.2, 0.9, 0.5}, []float64{3, 1, 2}},
		{"a tie shares its ranks", []float64{10, 20, 20, 30}, []float64{4, 2.5, 2.5, 1}},
		{"all equal", []float64{5, 5, 5}, []float64{2, 2, 2}},
		{"negative and zero", []float64{0, -1, 1}, []float64{2, 3, 1}},
		{"missing ones come last", []float64{math.NaN(), 1, 2}, []float64{3, 2, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, Ranks(tt.values))
		})
	}
}

func TestSpearman(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"same order", []float64{1, 2, 3}, []float64{10, 200, 3000}, 1},
		{"opposite order", []float64{1, 2, 3}, []float64{3, 2, 1}, -1},
		{"neighbours swapped among five", []float64{5, 4, 3, 2, 1}, []float64{5, 3, 4, 2, 1}, 0.9},
		{"four with one far off", []float64{1, 2, 3, 4}, []float64{2, 3, 4, 1}, -0.2},
		// Ranks 1.5 1.5 3 and 1 2 3: 1.5 / sqrt(1.5 * 2).
		{"tie in one", []float64{9, 9, 1}, []float64{3, 2, 1}, 1.5 / math.Sqrt(3)},
		// Ranks 1 2.5 2.5 4 and 1.5 1.5 3 4: 3.75 / 4.5.
		{"ties in both", []float64{4, 3, 3, 1}, []float64{8, 8, 7, 6}, 3.75 / 4.5},
		{"all of one equal", []float64{1, 1, 1}, []float64{1, 2, 3}, math.NaN()},
		{"a single miner", []float64{1}, []float64{1}, math.NaN()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if math.IsNaN(tt.want) {
				require.True(t, math.IsNaN(Spearman(tt.a, tt.b)))
				return
			}
			require.InDelta(t, tt.want, Spearman(tt.a, tt.b), 1e-15)
			require.InDelta(t, tt.want, Spearman(tt.b, tt.a), 1e-15)
		})
	}
}

func TestReadRanking(t *testing.T) {
	t.Parallel()
	ranking, err := ReadRanking("../../../testdata/replay-ranking.json",
		[]string{"alder", "birch", "cedar", "dogwood"})
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"alder": 0.84, "birch": 0.61, "cedar": 0.37, "dogwood": 0.18},
		ranking)
}

func TestReadRankingRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, content, want string
	}{
		{"bad JSON", "{\n\n \"human_win_rate\": {,}}", ":3: not a ranking: invalid character ','"},
		{"cut off", "{\n\"human_win_rate\"", ":2: not a ranking: unexpected end of JSON input"},
		{"empty", "", ":1: not a ranking: unexpected end of JSON input"},
		{
			"wrong type", "{\n\"human_win_rate\": {\"a\": \"high\"}}",
			":2: not a ranking: json: cannot unmarshal string",
		},
		{"no rates", "{}", ": human_win_rate has 0 of the models"},
		{
			"one model", `{"human_win_rate": {"a": 0.5, "z": 0.1}}`,
			": human_win_rate has 1 of the models [\"a\" \"b\"], must have at least 2",
		},
		{
			"no share", `{"human_win_rate": {"a": 0.5, "b": 1.5}}`,
			": human_win_rate of \"b\" is 1.5, must be from 0 to 1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "ranking.json", tt.content)
			_, err := ReadRanking(path, []string{"a", "b"})
			require.ErrorContains(t, err, path+tt.want)
		})
	}
}
