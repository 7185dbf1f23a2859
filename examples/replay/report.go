package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// row is one miner of the final table. What it does not have is NaN.
type row struct {
	uid     int
	model   string
	samples int
	mean    float64
	average float64 // moving, begins at 0
	weight  uint16  // for the chain, the largest is 65535
	rank    float64 // by mean
	winRate float64
	winRank float64
}

// newRows returns the miners, the highest mean first.
func newRows(
	miners []miner, scores []score, averages []float64, weights []uint16,
	ranking map[string]float64,
) []row {
	rows := make([]row, len(miners))
	means, winRates := make([]float64, len(miners)), make([]float64, len(miners))
	for uid, miner := range miners {
		means[uid], winRates[uid] = scores[uid].mean(), math.NaN()
		if rate, ok := ranking[miner.model]; ok {
			winRates[uid] = rate
		}
	}
	ranks, winRanks := recorded.Ranks(means), recorded.Ranks(winRates)
	for uid, miner := range miners {
		rows[uid] = row{
			uid: uid, model: miner.model, samples: scores[uid].count,
			mean: means[uid], average: averages[uid], weight: weights[uid], rank: ranks[uid],
			winRate: winRates[uid], winRank: winRanks[uid],
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.rank, b.rank) })
	return rows
}

// agreement is Spearman's correlation of means and win rates, over the miners
// that have both.
func agreement(rows []row) float64 {
	var means, winRates []float64
	for _, r := range rows {
		if !math.IsNaN(r.mean) && !math.IsNaN(r.winRate) {
			means, winRates = append(means, r.mean), append(winRates, r.winRate)
		}
	}
	return recorded.Spearman(means, winRates)
}

// writeTable writes the miners, beside the human ranking where there is one.
func writeTable(out io.Writer, rows []row, ranked bool) {
	width := len("miner")
	for _, r := range rows {
		width = max(width, utf8.RuneCountInString(r.model))
	}
	heading := fmt.Sprintf("%-*s  %3s  %7s  %8s  %8s  %6s  %4s",
		width, "miner", "uid", "samples", "mean", "average", "weight", "rank")
	if ranked {
		heading += fmt.Sprintf("  %8s  %10s", "win rate", "human rank")
	}
	_, _ = fmt.Fprintf(out, "%s\n%s\n", heading, strings.Repeat("-", utf8.RuneCountInString(heading)))
	for _, r := range rows {
		_, _ = fmt.Fprintf(out, "%-*s  %3d  %7d  %8s  %8s  %6d  %4s", width, r.model, r.uid, r.samples,
			number("%.6f", r.mean, r.mean), number("%.6f", r.average, r.mean), r.weight,
			number("%g", r.rank, r.mean))
		if ranked {
			_, _ = fmt.Fprintf(out, "  %8s  %10s",
				number("%.4f", r.winRate, r.winRate), number("%g", r.winRank, r.winRate))
		}
		_, _ = fmt.Fprintln(out)
	}
}

// correlation formats what agreement returns.
func correlation(value float64) string {
	if math.IsNaN(value) {
		return "undefined, there is no order to compare"
	}
	return fmt.Sprintf("%.3f", value)
}

// number formats a value, or writes a dash where what it rests on is missing.
func number(format string, value, basis float64) string {
	if math.IsNaN(basis) {
		return "-"
	}
	return fmt.Sprintf(format, value)
}
