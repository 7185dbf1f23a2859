package sim

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// Table writes the miners, those that are paid most first.
func (s *Subnet) Table(out io.Writer, standings []weights.Standing, paid map[organic.UID]uint16) {
	width, total := len("miner"), 0.0
	for _, m := range s.Miners {
		width = max(width, utf8.RuneCountInString(m.Name))
		total += float64(paid[m.UID])
	}
	heading := fmt.Sprintf("%3s  %-*s  %-7s  %7s  %7s  %9s  %6s  %6s  %10s",
		"uid", width, "miner", "kind", "rewards", "organic", "synthetic",
		"weight", "share", "human rank")
	_, _ = fmt.Fprintf(out, "%s\n%s\n", heading, strings.Repeat("-", len(heading)))
	ranks := s.humanRanks()
	miners := slices.Clone(s.Miners)
	slices.SortStableFunc(miners, func(a, b *Miner) int {
		return int(paid[b.UID]) - int(paid[a.UID])
	})
	for _, m := range miners {
		standing := standings[m.UID]
		rank := "-"
		if ranks[m.Name] > 0 {
			rank = fmt.Sprint(ranks[m.Name])
		}
		organics, synthetics := standing.Organic, standing.Synthetic
		_, _ = fmt.Fprintf(out, "%3d  %-*s  %-7s  %7d  %7s  %9s  %6d  %5.1f%%  %10s\n",
			m.UID, width, m.Name, m.Kind,
			organics.Count+synthetics.Count, mean(organics), mean(synthetics),
			paid[m.UID], 100*float64(paid[m.UID])/max(total, 1), rank)
	}
}

// mean is a dash where there were no rewards.
func mean(track weights.Track) string {
	if track.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", track.Mean)
}

// humanRanks returns the rank of each model among those that human judges have ranked.
func (s *Subnet) humanRanks() map[string]int {
	var names []string
	var rates []float64
	for _, m := range s.Honest() {
		if rate, ok := s.ranking[m.Name]; ok {
			names, rates = append(names, m.Name), append(rates, rate)
		}
	}
	ranks := make(map[string]int, len(names))
	for i, rank := range recorded.Ranks(rates) {
		ranks[names[i]] = int(rank)
	}
	return ranks
}

// Honest returns the honest miners.
func (s *Subnet) Honest() (honest []*Miner) {
	for _, m := range s.Miners {
		if m.Kind == Honest {
			honest = append(honest, m)
		}
	}
	return honest
}

// Agreement is Spearman's rank correlation of what honest miners are paid and of the human win
// rates; NaN without a ranking.
func (s *Subnet) Agreement(paid map[organic.UID]uint16) float64 {
	var worth, rates []float64
	for _, m := range s.Honest() {
		if rate, ok := s.ranking[m.Name]; ok {
			worth, rates = append(worth, float64(paid[m.UID])), append(rates, rate)
		}
	}
	if len(rates) == 0 {
		return math.NaN()
	}
	return recorded.Spearman(worth, rates)
}
