package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// What is replayed without -data, relative to the folder of the examples.
const (
	defaultData    = "../testdata/replay.jsonl"
	defaultRanking = "../testdata/replay-ranking.json"
)

// The values of -trigger.
const (
	triggerSeconds = "seconds"
	triggerSteps   = "steps"
)

// config is what the flags say.
type config struct {
	data        string
	ranking     string
	reference   string
	trigger     string
	rate        float64 // queries per second
	concurrency int
	seed        uint64
	fail        float64 // share of the hooks that fail
	latency     time.Duration
	timeout     time.Duration
}

// parseFlags reads the command line. Asked for help, it writes it to stdout
// and returns flag.ErrHelp.
func parseFlags(args []string, stdout io.Writer) (config, error) {
	var cfg config
	err := program.Parse(cfg.flagSet(), args, stdout, "the file of prompts is given with -data")
	if err != nil {
		return config{}, err
	}
	if cfg.data == "" {
		cfg.data = defaultData
		if cfg.ranking == "" {
			cfg.ranking = defaultRanking
		}
	}
	return cfg, cfg.check()
}

// flagSet binds the flags to the fields.
func (c *config) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet("replay", flag.ContinueOnError)
	flags.StringVar(&c.data, "data", "", "JSONL `file` of prompts, answers and references "+
		"(default "+defaultData+" with its ranking)")
	flags.StringVar(&c.ranking, "ranking", "", "JSON `file` with each model's human win rate")
	flags.StringVar(&c.reference, "reference", recorded.ByModel,
		"what answers are compared with, of this `kind`: model or human")
	flags.StringVar(&c.trigger, "trigger", triggerSeconds,
		"what starts iterations, of this `kind`: seconds or steps")
	flags.Float64Var(&c.rate, "rate", 20, "`queries` that arrive per second")
	flags.IntVar(&c.concurrency, "concurrency", 4, "how many `iterations` may be in flight")
	flags.Uint64Var(&c.seed, "seed", 1, "`seed` of the order of arrival, of the queue and of failures")
	flags.Float64Var(&c.fail, "fail", 0, "`share` of the hooks that fail at random, "+
		"from 0 to below 1; 0.5 means about nine attempts per prompt")
	flags.DurationVar(&c.latency, "latency", 20*time.Millisecond,
		"`duration` that the slowest miner takes")
	flags.DurationVar(&c.timeout, "timeout", 0,
		"`duration` after which miners are not waited for (default: they are)")
	return flags
}

// check lists all that is wrong, by the names of the flags.
func (c *config) check() error {
	var errs []error
	require := func(right bool, format string, args ...any) {
		if !right {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	require(c.reference == recorded.ByModel || c.reference == recorded.ByHuman,
		"-reference %q: must be model or human", c.reference)
	require(c.trigger == triggerSeconds || c.trigger == triggerSteps,
		"-trigger %q: must be seconds or steps", c.trigger)
	require(c.rate >= 0.01 && c.rate <= 1e6, "-rate %v: must be from 0.01 to 1e6", c.rate)
	require(c.concurrency >= 1, "-concurrency %d: must be at least 1", c.concurrency)
	require(c.fail >= 0 && c.fail < 1, "-fail %v: must be from 0 to below 1", c.fail)
	require(c.latency >= 0, "-latency %v: must not be negative", c.latency)
	require(c.timeout >= 0, "-timeout %v: must not be negative", c.timeout)
	return errors.Join(errs...)
}
