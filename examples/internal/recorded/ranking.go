package recorded

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

// ReadRanking reads each model's human win rate. At least two of the models
// must have one, else there is nothing to compare.
func ReadRanking(path string, models []string) (map[string]float64, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user says which file
	if err != nil {
		return nil, err
	}
	var ranking struct {
		HumanWinRate map[string]float64 `json:"human_win_rate"`
	}
	if err := json.Unmarshal(data, &ranking); err != nil {
		return nil, fmt.Errorf("%s:%d: not a ranking: %w", path, lineOf(data, err), err)
	}
	known := 0
	for _, model := range slices.Sorted(maps.Keys(ranking.HumanWinRate)) {
		if rate := ranking.HumanWinRate[model]; rate < 0 || rate > 1 {
			return nil, fmt.Errorf("%s: human_win_rate of %q is %v, must be from 0 to 1", path, model, rate)
		}
		if slices.Contains(models, model) {
			known++
		}
	}
	if known < 2 {
		return nil, fmt.Errorf("%s: human_win_rate has %d of the models %q, must have at least 2",
			path, known, models)
	}
	return ranking.HumanWinRate, nil
}

// lineOf finds the line that an error of encoding/json is about.
func lineOf(data []byte, err error) int {
	offset := int64(len(data))
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset = syntax.Offset
	} else if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		offset = mismatch.Offset
	}
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}

// Ranks gives the highest value rank 1. Equal values share the average of
// their ranks.
func Ranks(values []float64) []float64 {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[b], values[a]) })
	ranks := make([]float64, len(values))
	for first := 0; first < len(order); {
		next := first + 1
		for next < len(order) && values[order[next]] == values[order[first]] {
			next++
		}
		for _, i := range order[first:next] {
			ranks[i] = float64(first+1+next) / 2
		}
		first = next
	}
	return ranks
}

// Spearman is the correlation of the ranks of two series: 1 for the same
// order, -1 for the opposite one, NaN where all values of one are equal.
func Spearman(a, b []float64) float64 {
	a, b = Ranks(a), Ranks(b)
	middle := float64(len(a)+1) / 2
	var both, squaresA, squaresB float64
	for i := range a {
		both += (a[i] - middle) * (b[i] - middle)
		squaresA += (a[i] - middle) * (a[i] - middle)
		squaresB += (b[i] - middle) * (b[i] - middle)
	}
	return both / math.Sqrt(squaresA*squaresB)
}
