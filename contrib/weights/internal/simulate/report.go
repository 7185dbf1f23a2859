package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/organic-scoring/organic/contrib/weights"
)

// outcome is what a cheater has, and what the honest miners have beside it.
type outcome struct {
	cheater         float64 // its share, where the mean of the honest ones is 1
	lowest, highest float64 // the lowest and the highest share of an honest one
}

// report prints the tables.
func report(out io.Writer, s settings, rules []weights.Average, guards []weights.Guard) error {
	p := &printer{out: out}
	p.printf("%d miners, %d rounds, %d miners asked in each, %d seeds; rewards %v ± %v, %v %% bad\n",
		s.miners, s.rounds, s.asked, s.seeds, quality, s.noise, 100*s.bad)
	p.printf("%v %% of the rounds are organic; a cheater sends %v queries for each of those\n\n",
		100*s.organics, s.flood)
	p.printf("%-36s", "share of an honest miner = 1")
	for _, rule := range rules {
		p.printf("%16s", strings.TrimSuffix(rule.String(), ", 0s)"))
	}
	p.printf("\n%-36s%s\n", "", strings.Repeat("    none guards", len(rules)))
	for _, c := range cheaters() {
		p.printf("%-36s", c.name)
		for _, rule := range rules {
			for _, set := range [][]weights.Guard{nil, guards} {
				o, err := simulate(s, rule, set, c)
				if err != nil {
					return err
				}
				p.printf("%8.2f", o.cheater)
			}
		}
		p.printf("\n")
	}
	honest := simulateHonest
	for _, row := range []struct {
		name string
		of   func(settings, weights.Average, []weights.Guard) (float64, error)
	}{
		{"lowest honest miner, none cheats", honest(func(o outcome) float64 { return o.lowest })},
		{"highest honest miner, none cheats", honest(func(o outcome) float64 { return o.highest })},
		{fmt.Sprintf("the better by %v ranks higher, %%", s.gap), ranked},
	} {
		p.printf("%-36s", row.name)
		for _, rule := range rules {
			for _, set := range [][]weights.Guard{nil, guards} {
				value, err := row.of(s, rule, set)
				if err != nil {
					return err
				}
				p.printf("%8.2f", value)
			}
		}
		p.printf("\n")
	}
	return p.err
}

// printer keeps the first error.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

// simulate runs all seeds.
func simulate(s settings, rule weights.Average, guards []weights.Guard, c cheater) (outcome, error) {
	shares := make([]float64, s.miners)
	for seed := range s.seeds {
		n, err := newSubnet(s, seed+1, rule, guards, c)
		if err == nil {
			err = n.run()
		}
		if err != nil {
			return outcome{}, err
		}
		for uid, share := range n.shares {
			shares[uid] += share
		}
	}
	honest := shares[cheaterUID+1:]
	mean := 0.0
	for _, share := range honest {
		mean += share / float64(len(honest))
	}
	return outcome{
		cheater: shares[cheaterUID] / mean, lowest: slices.Min(honest) / mean, highest: slices.Max(honest) / mean,
	}, nil
}

// simulateHonest returns a number of a subnet in which no miner cheats.
func simulateHonest(of func(outcome) float64) func(settings, weights.Average, []weights.Guard) (float64, error) {
	return func(s settings, rule weights.Average, guards []weights.Guard) (float64, error) {
		o, err := simulate(s, rule, guards, cheater{})
		return of(o), err
	}
}

// rankedSeeds is how many runs ranked looks at, with one pair of miners for each two.
const rankedSeeds = 10

// ranked returns in how many of 100 pairs the better miner has the higher score at the end.
func ranked(s settings, rule weights.Average, guards []weights.Guard) (float64, error) {
	pairs, right := 0, 0
	for seed := range rankedSeeds {
		n, err := newSubnet(s, 100+seed, rule, guards, cheater{})
		if err != nil {
			return 0, err
		}
		n.better = true
		if err := n.run(); err != nil {
			return 0, err
		}
		values := n.scores.Values()
		for uid := 0; uid+1 < len(values); uid += 2 {
			pairs++
			if values[uid+1] > values[uid] {
				right++
			}
		}
	}
	return 100 * float64(right) / float64(pairs), nil
}
