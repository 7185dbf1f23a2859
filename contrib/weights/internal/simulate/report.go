package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/organic-scoring/organic/contrib/weights"
)

// column is an averaging rule with and without guards.
type column struct {
	rule   weights.Average
	guards []weights.Guard
}

// row is one line of the table: a number for each column.
type row struct {
	name string
	of   func(s settings, c column) (float64, error)
}

// rows are the cheaters, and then what honest miners have where none cheats.
func rows(s settings) (all []row) {
	for _, c := range cheaters() {
		all = append(all, row{c.name, func(s settings, col column) (float64, error) {
			o, err := simulate(s, col, c)
			return o.cheater, err
		}})
	}
	honest := func(of func(outcome) float64) func(settings, column) (float64, error) {
		return func(s settings, col column) (float64, error) {
			o, err := simulate(s, col, cheater{})
			return of(o), err
		}
	}
	return append(
		all,
		row{
			"lowest honest miner, none cheats",
			honest(func(o outcome) float64 { return o.lowest }),
		},
		row{
			"highest honest miner, none cheats",
			honest(func(o outcome) float64 { return o.highest }),
		},
		row{fmt.Sprintf("better by %v ranks higher, %%", s.gap), ranked},
	)
}

// columns are those of the table, two for each rule.
func columns(rules []weights.Average, guards []weights.Guard) (all []column) {
	for _, rule := range rules {
		all = append(all, column{rule, nil}, column{rule, guards})
	}
	return all
}

// table computes all numbers, as many at the same time as there are processors. They do not depend
// on the order.
func table(s settings, all []row, cols []column) ([][]float64, error) {
	numbers := make([][]float64, len(all))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, r := range all {
		numbers[i] = make([]float64, len(cols))
		for j, col := range cols {
			group.Go(func() (err error) {
				numbers[i][j], err = r.of(s, col)
				return err
			})
		}
	}
	return numbers, group.Wait()
}

// report prints the table.
func report(out io.Writer, s settings, rules []weights.Average, guards []weights.Guard) error {
	numbers, err := table(s, rows(s), columns(rules, guards))
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, format(s, rules, numbers))
	return err
}

func format(s settings, rules []weights.Average, numbers [][]float64) string {
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"%d miners, %d rounds, %d miners asked in each, %d seeds; rewards %v ± %v, %v %% bad\n",
		s.miners,
		s.rounds,
		s.asked,
		s.seeds,
		quality,
		s.noise,
		100*s.bad,
	)
	fmt.Fprintf(
		&b,
		"%v %% of the rounds are organic; a cheater sends %v queries for each of those\n\n",
		100*s.organics,
		s.flood,
	)
	fmt.Fprintf(&b, "%-36s", "share of an honest miner = 1")
	for _, rule := range rules {
		fmt.Fprintf(&b, "%14s", strings.Replace(rule.String(), ", 0s)", ")", 1))
	}
	fmt.Fprintf(&b, "\n%-36s%s\n", "", strings.Repeat("   none guards", len(rules)))
	for i, r := range rows(s) {
		fmt.Fprintf(&b, "%-36s", r.name)
		for _, number := range numbers[i] {
			fmt.Fprintf(&b, "%7.2f", number)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// outcome is what a cheater has, and what the honest miners have beside it.
type outcome struct {
	cheater         float64 // its share, where the mean of the honest ones is 1
	lowest, highest float64 // share of an honest one
}

// simulate runs all seeds.
func simulate(s settings, col column, c cheater) (outcome, error) {
	shares := make([]float64, s.miners)
	for seed := range s.seeds {
		n, err := newSubnet(s, seed+1, col, c)
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
		cheater: shares[cheaterUID] / mean,
		lowest:  slices.Min(honest) / mean, highest: slices.Max(honest) / mean,
	}, nil
}

// rankedSeeds is how many runs ranked looks at, with one pair of miners for each two.
const rankedSeeds = 10

// ranked returns in how many of 100 pairs the better miner has the higher score at the end.
func ranked(s settings, col column) (float64, error) {
	pairs, right := 0, 0
	for seed := range rankedSeeds {
		n, err := newSubnet(s, 100+seed, col, cheater{})
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
