package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
)

// What is played without -data, relative to the folder of the examples.
const (
	defaultData    = "../testdata/replay.jsonl"
	defaultRanking = "../testdata/replay-ranking.json"
)

// defaultQueries are asked without -data: the dozen prompts three times, after
// which it shows who copies.
const defaultQueries = 36

// byServer is the -reference that asks a server; the others are those of the
// data.
const byServer = "openai"

// The values of -role.
const (
	roleAll      = "all"
	roleFrontend = "frontend" // miners, users, and the part of the validator that answers them
	roleScorer   = "scorer"   // the part that scores
)

// config is what the flags say.
type config struct {
	data        string
	ranking     string
	reference   string
	queries     int // organic ones; 0: each prompt once
	synthetic   int // synthetic ones; 0: each prompt once
	rate        float64
	hangup      float64
	concurrency int
	patience    time.Duration
	word        time.Duration
	weights     time.Duration
	seed        uint64
	role        string
	queue       string
	miners      string // address of the first
	state       string
	journal     string
	report      string
}

// parseFlags reads the command line. Asked for help, it writes it to stdout
// and returns flag.ErrHelp.
func parseFlags(args []string, stdout io.Writer) (config, error) {
	var cfg config
	if err := program.Parse(cfg.flagSet(), args, stdout, "everything is said by flags"); err != nil {
		return config{}, err
	}
	if cfg.data == "" {
		cfg.data = defaultData
		if cfg.ranking == "" {
			cfg.ranking = defaultRanking
		}
		cfg.queries, cfg.synthetic = cmp.Or(cfg.queries, defaultQueries), cmp.Or(cfg.synthetic, defaultQueries)
	}
	return cfg, cfg.check()
}

// flagSet binds the flags to the fields.
func (c *config) flagSet() *flag.FlagSet {
	flags := flag.NewFlagSet("sn1", flag.ContinueOnError)
	flags.StringVar(&c.data, "data", "", "JSONL `file` of prompts, answers and references (default "+defaultData+" with its ranking)")
	flags.StringVar(&c.ranking, "ranking", "", "JSON `file` with each model's human win rate")
	flags.StringVar(&c.reference, "reference", recorded.ByModel, "what answers are compared with, of this `kind`: model, human, or openai for the server that "+envURL+", "+envModel+" and "+envKey+" tell")
	flags.IntVar(&c.queries, "queries", 0, "how many organic `queries` users ask (default: each prompt of -data once)")
	flags.IntVar(&c.synthetic, "synthetic", 0, "how many synthetic `queries` the validator asks (default: each prompt of -data once)")
	flags.Float64Var(&c.rate, "rate", 10, "organic `queries` per second")
	flags.Float64Var(&c.hangup, "hangup", 0.2, "`share` of the users' queries whose user hangs up half way")
	flags.IntVar(&c.concurrency, "concurrency", 32, "how many `iterations` may be in flight")
	flags.DurationVar(&c.patience, "patience", time.Second, "`duration` that miners have for their first word")
	flags.DurationVar(&c.word, "word", 2*time.Millisecond, "`duration` that a word takes the miners")
	flags.DurationVar(&c.weights, "weights", 500*time.Millisecond, "`duration` from one setting of the weights to the next")
	flags.Uint64Var(&c.seed, "seed", 1, "`seed` of what is asked when, and by what parameters")
	flags.StringVar(&c.role, "role", roleAll, "which `part` this process plays: all, frontend (miners, users and the axon, until all are answered) or scorer (until it is interrupted); the parts share a NATS queue and -miners")
	flags.StringVar(&c.queue, "queue", queueMemory, "where samples wait: memory, embedded:FOLDER for a NATS server in this process, or the `URL` of a NATS server, nats://…")
	flags.StringVar(&c.miners, "miners", "127.0.0.1:0", "`address` of the first miner, the others have the ports that follow; with port 0 any ports")
	flags.StringVar(&c.state, "state", "", "`folder` for the scores and the queue, to go on from at the next start (default: none)")
	flags.StringVar(&c.journal, "journal", "", "JSONL `file` to which all that happens is appended, without any text of users (default: none)")
	flags.StringVar(&c.report, "report", "", "HTML `file` for a report with plots (default: none)")
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
	known := c.reference == recorded.ByModel || c.reference == recorded.ByHuman || c.reference == byServer
	require(known, "-reference %q: must be model, human or openai", c.reference)
	require(c.queries >= 0, "-queries %d: must not be negative", c.queries)
	require(c.synthetic >= 0, "-synthetic %d: must not be negative", c.synthetic)
	require(c.rate >= 0.01 && c.rate <= 1e4, "-rate %v: must be from 0.01 to 1e4", c.rate)
	require(c.hangup >= 0 && c.hangup <= 1, "-hangup %v: must be from 0 to 1", c.hangup)
	require(c.concurrency >= 1, "-concurrency %d: must be at least 1", c.concurrency)
	require(c.patience >= 50*time.Millisecond, "-patience %v: must be at least 50ms", c.patience)
	require(c.word >= 0, "-word %v: must not be negative", c.word)
	require(c.weights > 0, "-weights %v: must be positive", c.weights)
	onNATS, split := strings.HasPrefix(c.queue, queueNATS), c.role != roleAll
	require(c.role == roleAll || c.role == roleFrontend || c.role == roleScorer, "-role %q: must be all, frontend or scorer", c.role)
	require(c.queue == queueMemory || onNATS || len(c.queue) > len(queueEmbedded) && strings.HasPrefix(c.queue, queueEmbedded),
		"-queue %q: must be memory, embedded:FOLDER or nats://…", c.queue)
	require(!split || onNATS, "-role %s: needs a queue that processes share, -queue nats://…", c.role)
	_, port, err := net.SplitHostPort(c.miners)
	require(err == nil, "-miners %q: must be host:port", c.miners)
	require(!split || port != "0", "-role %s: -miners must name a port, the same in all processes", c.role)
	return errors.Join(errs...)
}
