// Command simulate shows what cheating pays under the averaging rules and guards of
// contrib/weights. It simulates a subnet in which one miner cheats, and prints its share of the
// weights, where 1 is the share of an honest miner:
//
//	go run ./contrib/weights/internal/simulate
//	go run ./contrib/weights/internal/simulate -rules hold:0.05,window:512 -band 0.2,0.1
//
// The output depends on the flags alone. Run it with -help for them.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/organic-scoring/organic/contrib/weights"
)

func main() {
	settings, rules, guards := defaults()
	flags := flag.NewFlagSet("simulate", flag.ExitOnError)
	flags.IntVar(&settings.miners, "miners", settings.miners, "miners of the subnet")
	flags.IntVar(&settings.rounds, "rounds", settings.rounds, "rounds of a run")
	flags.IntVar(&settings.asked, "asked", settings.asked, "miners asked in a round")
	flags.IntVar(&settings.seeds, "seeds", settings.seeds, "runs that are averaged")
	flags.Float64Var(
		&settings.organics,
		"organics",
		settings.organics,
		"share of organic rounds by users",
	)
	flags.Float64Var(
		&settings.flood,
		"flood",
		settings.flood,
		"queries of a cheater for each query of users",
	)
	flags.Float64Var(&settings.noise, "noise", settings.noise, "standard deviation of a reward")
	flags.Float64Var(&settings.bad, "bad", settings.bad, "share of bad answers")
	flags.Float64Var(&settings.gap, "gap", settings.gap, "by how much the better miner is better")
	band := flags.String("band", "", "below,above of AroundSynthetic; the default guards otherwise")
	share := flags.Float64(
		"requester",
		0,
		"share of MaxRequesterShare; the default guards otherwise",
	)
	ruleList := flags.String("rules", "", "averages, as hold:0.1,decay:0.1,window:256")
	_ = flags.Parse(os.Args[1:]) // exits on an error
	var err error
	if *ruleList != "" {
		rules, err = parseRules(*ruleList)
	}
	if err == nil && *band != "" {
		var guard weights.Guard
		guard, err = parseBand(*band)
		guards = append(guards, guard)
	}
	if *share > 0 {
		guards = append(guards, weights.MaxRequesterShare(*share))
	}
	out := bufio.NewWriter(os.Stdout)
	if err == nil {
		err = report(out, settings, rules, guards)
	}
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

// defaults are the settings of the table in docs/weights.md.
func defaults() (settings, []weights.Average, []weights.Guard) {
	return settings{
			miners: 64, rounds: 3000, asked: 16, seeds: 3, users: 20,
			organics: 0.5, flood: 3, noise: 0.1, bad: 0.05, gap: 0.02,
		},
		[]weights.Average{
			weights.Hold(0.1), weights.Hold(0.01), weights.Decay(0.1), weights.Window(256, 0),
		},
		weights.DefaultGuards()
}

func parseBand(text string) (weights.Guard, error) {
	below, above, ok := strings.Cut(text, ",")
	b, errBelow := strconv.ParseFloat(below, 64)
	a, errAbove := strconv.ParseFloat(above, 64)
	if !ok || errBelow != nil || errAbove != nil {
		return weights.Guard{}, fmt.Errorf("-band %q: must be two numbers, as 0.1,0.1", text)
	}
	return weights.AroundSynthetic(b, a), nil
}

func parseRules(text string) (rules []weights.Average, err error) {
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, ":")
		number, err := strconv.ParseFloat(value, 64)
		switch {
		case err == nil && name == "hold":
			rules = append(rules, weights.Hold(number))
		case err == nil && name == "decay":
			rules = append(rules, weights.Decay(number))
		case err == nil && name == "window":
			rules = append(rules, weights.Window(int(number), 0))
		default:
			return nil, fmt.Errorf("-rules %q: must be as hold:0.1,decay:0.1,window:256", text)
		}
	}
	return rules, nil
}
