package sim

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"time"
)

// Flags binds the flags of a simulation to the fields.
func (c *Config) Flags(f *flag.FlagSet) {
	f.StringVar(&c.Data, "data", "",
		"JSON lines `file` of prompts, answers and references (default "+DefaultData+")")
	f.StringVar(&c.Ranking, "ranking", "", "JSON `file` of each model's human win rate")
	f.IntVar(&c.Queries, "queries", 0,
		"how many `queries` the users ask (default: each prompt of -data once)")
	f.IntVar(&c.Synthetic, "synthetic", 0,
		"how many `queries` the validator asks (default: each prompt of -data once)")
	f.Float64Var(&c.Rate, "rate", 10, "`queries` of users per second")
	f.Float64Var(&c.Hangup, "hangup", 0.2,
		"`share` of the users' queries whose user hangs up half way")
	f.DurationVar(&c.Word, "word", 2*time.Millisecond, "`time` that a word takes a miner")
	f.DurationVar(&c.Block, "block", 250*time.Millisecond,
		"`time` between two blocks of the simulated chain")
}

// Fill sets what the flags leave open.
func (c *Config) Fill() {
	if c.Data != "" {
		return
	}
	c.Data, c.Ranking = DefaultData, cmp.Or(c.Ranking, DefaultRanking)
	c.Queries, c.Synthetic = cmp.Or(c.Queries, DefaultQueries), cmp.Or(c.Synthetic, DefaultQueries)
}

// Check lists all that is wrong, by the names of the flags.
func (c *Config) Check() error {
	var errs []error
	require := func(right bool, format string, args ...any) {
		if !right {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(c.Queries >= 0, "-queries %d: must not be negative", c.Queries)
	require(c.Synthetic >= 0, "-synthetic %d: must not be negative", c.Synthetic)
	require(c.Rate >= 0.01 && c.Rate <= 100, "-rate %v: must be from 0.01 to 100", c.Rate)
	require(c.Hangup >= 0 && c.Hangup <= 1, "-hangup %v: must be from 0 to 1", c.Hangup)
	require(c.Word >= 0, "-word %v: must not be negative", c.Word)
	require(c.Block >= 50*time.Millisecond, "-block %v: must be at least 50ms", c.Block)
	return errors.Join(errs...)
}
