package sim

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"slices"
	"time"

	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// byServer is the kind of reference that a server makes.
const byServer = "openai"

// Bind binds the flags of a simulation to the fields.
func (c *Config) Bind(f *flag.FlagSet) {
	f.StringVar(&c.Data, "data", "",
		"JSON lines `file` of prompts, answers and references (default "+DefaultData+")")
	f.StringVar(&c.Reference, "reference", recorded.ByModel,
		"what answers are compared with: model or human of the data, or openai for the "+
			"server that OPENAI_BASE_URL, OPENAI_MODEL and OPENAI_API_KEY name")
	f.StringVar(&c.Join, "join", "", "`URL` of the simulated chain of another process, which has "+
		"printed it, for -role scorer")
	f.BoolVar(&c.Stay, "serve", false,
		"keep the demo running until an interrupt, for the status page")
	f.Uint64Var(&c.Seed, "seed", 0, "`seed` of what is asked and when users ask")
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

// fill sets what the flags leave open.
func (c *Config) fill() {
	if c.Data != "" {
		return
	}
	c.Data, c.Ranking = DefaultData, cmp.Or(c.Ranking, DefaultRanking)
	c.Queries, c.Synthetic = cmp.Or(c.Queries, DefaultQueries), cmp.Or(c.Synthetic, DefaultQueries)
}

// check lists all that is wrong, by the names of the flags.
func (c *Config) check() error {
	var errs []error
	require := func(right bool, format string, args ...any) {
		if !right {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(slices.Contains([]string{recorded.ByModel, recorded.ByHuman, byServer}, c.Reference),
		"-reference %q: must be model, human or openai", c.Reference)
	require(c.Scorer == (c.Join != ""), "-join: must be given with -role scorer, and only then")
	require(c.Patience >= 50*time.Millisecond, "-patience %v: must be at least 50ms", c.Patience)
	require(c.Queries >= 0, "-queries %d: must not be negative", c.Queries)
	require(c.Synthetic >= 0, "-synthetic %d: must not be negative", c.Synthetic)
	require(c.Rate >= 0.01 && c.Rate <= 100, "-rate %v: must be from 0.01 to 100", c.Rate)
	require(c.Hangup >= 0 && c.Hangup <= 1, "-hangup %v: must be from 0 to 1", c.Hangup)
	require(c.Word >= 0, "-word %v: must not be negative", c.Word)
	require(c.Block >= 50*time.Millisecond, "-block %v: must be at least 50ms", c.Block)
	return errors.Join(errs...)
}
