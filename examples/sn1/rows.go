package main

import (
	"math"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/sn1/report"
)

// rows returns the miners, by UID.
func (s *subnet) rows() []report.Miner {
	ranks := s.humanRanks()
	scores := s.current().scores.Values()
	counts := s.tally.all()
	rows := make([]report.Miner, len(s.miners))
	for uid, m := range s.miners {
		counted := counts[uid]
		rows[uid] = report.Miner{
			UID:       uint16(uid),
			Name:      m.name,
			Kind:      string(m.kind),
			Answers:   counted.answers,
			Organic:   counted.rewards[organic.Organic].value(),
			Synthetic: counted.rewards[organic.Synthetic].value(),
			Average:   scores[uid],
			Weight:    s.history.weightOf(organic.UID(uid)),
			HumanRank: ranks[m.name],
		}
	}
	return rows
}

// humanRanks returns the place of each model among those that were ranked.
func (s *subnet) humanRanks() map[string]int {
	var names []string
	var rates []float64
	for _, m := range s.honest() {
		if rate, ok := s.ranking[s.miners[m].name]; ok {
			names, rates = append(names, s.miners[m].name), append(rates, rate)
		}
	}
	ranks := make(map[string]int, len(names))
	for i, rank := range recorded.Ranks(rates) {
		ranks[names[i]] = int(rank)
	}
	return ranks
}

// honest returns the places of the honest miners.
func (s *subnet) honest() []int {
	var places []int
	for place, m := range s.miners {
		if m.kind == honest {
			places = append(places, place)
		}
	}
	return places
}

// agreement is Spearman's correlation of what honest miners' answers to users
// were worth, without penalties, and of the human win rates.
func (s *subnet) agreement() float64 {
	counts := s.tally.all()
	var worth, rates []float64
	for _, place := range s.honest() {
		value := counts[place].quality[organic.Organic].value()
		rate, ok := s.ranking[s.miners[place].name]
		if ok && !math.IsNaN(value) {
			worth, rates = append(worth, value), append(rates, rate)
		}
	}
	return recorded.Spearman(worth, rates)
}

// fates is what became of the samples. The gauges are those of the end.
func (s *subnet) fates() []report.Fate {
	stats := s.stats()
	return []report.Fate{
		{Name: "scored", Count: stats.Scored},
		{Name: "synthetic scored", Count: stats.SyntheticScored},
		{Name: "synthetic failed", Count: stats.SyntheticFailed},
		{Name: "retried", Count: stats.Retried},
		{Name: "dead", Count: stats.Dead},
		{Name: "discarded", Count: stats.Discarded},
		{Name: "dropped", Count: stats.Dropped},
		{Name: "expired", Count: stats.Expired},
		{Name: "lost", Count: s.lost.Load()},
	}
}
