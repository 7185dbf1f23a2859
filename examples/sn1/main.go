// Command sn1 is a validator of a text subnet, to be copied from. Package sim, in the folder below,
// is a subnet on loopback to try it on, and demo.go connects the two: a validator of your own needs
// neither.
//
// Users ask the validator by signed HTTP (btauth/1). It asks all miners, streams the first answer
// to the user, queues all answers, scores them, and sets weights on the chain. Synthetic queries
// take the same way to the miners. Without -chain a simulated chain, miners and users run in the
// same process, and a table of the miners is printed at the end.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic/examples/internal/openai"
	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/sn1/sim"
)

func main() { program.Main("sn1", run) }

// run is the whole program. The end of ctx is the soft stop.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, demo, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	return runConfigured(ctx, c, demo, stdout, stderr)
}

func runConfigured(ctx context.Context, c config, demo sim.Config, out, stderr io.Writer) error {
	logger, closeLog, err := program.OpenLog(c.logFile, stderr)
	if err != nil {
		return fmt.Errorf("-log: %w", err)
	}
	c.logger = logger
	if c.chain == "" {
		err = play(ctx, c, demo, out)
	} else {
		err = serve(ctx, c, demo.Data, out)
	}
	if err == nil && c.report != "" {
		_, err = fmt.Fprintf(out, "The report is in %s.\n", c.report)
	}
	return errors.Join(err, closeLog())
}

// serve runs the validator on a real chain until ctx ends.
func serve(ctx context.Context, c config, data string, stdout io.Writer) error {
	if err := c.forChain(data); err != nil {
		return err
	}
	hard, release := program.UntilSecondInterrupt(ctx)
	defer release()
	v, err := start(ctx, c)
	if err != nil {
		return err
	}
	if v.address != "" {
		_, _ = fmt.Fprintf(stdout, "Users are served at %s.\n", v.address)
	}
	if v.pageURL != "" {
		_, _ = fmt.Fprintf(stdout, "The status page is at %s.\n", v.pageURL)
	}
	_, _ = fmt.Fprintf(stdout, "The validator %s is on subnet %d.\n", c.keypair.Hotkey(), c.netuid)
	select {
	case <-ctx.Done():
	case <-v.failed: // close returns why
	}
	return v.close(hard)
}

// The roles of a process.
const (
	roleAll      = "all"
	roleFrontend = "frontend" // answers users, asks all miners, and queues the answers
	roleScorer   = "scorer"   // scores what is queued and sets weights; asks no miner
)

// config is what differs between one validator and another.
type config struct {
	chain    string // URL of a node; empty for the simulation
	netuid   uint16
	keyFile  string
	role     string
	listen   string         // address of the axon
	external netip.AddrPort // that the chain is told; not valid: that of the listener
	legacy   bool           // serve dendrites of older SDKs too
	users    []keys.Hotkey  // that may ask, beside validators
	minStake uint64         // in TAO, of a validator that may ask

	queue    string        // URL of a NATS server; empty for a file in the folder of the state
	state    string        // folder of queue, scores and memory
	steps    int           // blocks from one iteration to the next; 0: by time
	patience time.Duration // for the first word
	idle     time.Duration // the longest time between two synthetic queries
	pace     time.Duration // the shortest mean time between synthetic queries
	report   string        // file for the status page at the end; empty for none
	logFile  string

	pageAddress string // of the status page and the metrics; empty for none

	network   subtensor.Network
	keypair   *keys.Keypair
	prompts   organic.SynthDataset[string]
	reference func(ctx context.Context, text string) (string, error)
	schedule  weights.Schedule
	refresh   uint64 // blocks from one reading of the metagraph to the next
	logger    *zap.Logger

	keyOptions   []subtensor.ValidatorOption // for chains that are not real, as is what follows
	serveOptions []subtensor.ServeOption
	observe      func(organic.Event)
}

// parseFlags reads the command line, for the validator and for the simulation. Asked for help, it
// writes it to stdout and returns flag.ErrHelp.
func parseFlags(args []string, stdout io.Writer) (c config, demo sim.Config, err error) {
	c = config{refresh: 25, schedule: weights.Epoch{Before: 20}, observe: func(organic.Event) {}}
	f := flag.NewFlagSet("sn1", flag.ContinueOnError)
	c.bind(f)
	demo.Bind(f)
	if err := program.Parse(f, args, stdout, "everything is set by flags"); err != nil {
		return c, demo, err
	}
	return c, demo, c.check()
}

// bind binds the flags to the fields.
func (c *config) bind(f *flag.FlagSet) {
	f.StringVar(&c.chain, "chain", "", "`URL` of a real node; needs -key, -netuid, and "+
		"OPENAI_BASE_URL and OPENAI_MODEL for the references (default: a simulated chain)")
	f.Func("netuid", "`number` of the subnet on a real chain", c.setNetuid)
	f.StringVar(&c.keyFile, "key", "", "hotkey `file`; SN1_PASSWORD opens an encrypted one")
	f.TextVar(&c.external, "external", netip.AddrPort{},
		"`address` that the chain is told (default: that of -listen)")
	f.Func("users", "`hotkeys` that may ask beside validators, by commas", c.addUsers)
	f.Uint64Var(&c.minStake, "min-stake", 1000, "`TAO` from which on a validator may ask")
	f.StringVar(&c.listen, "listen", sim.Host+":0", "`address` of the axon")
	f.BoolVar(&c.legacy, "legacy", false, "serve dendrites of the SDK 7 to 10 too")
	f.StringVar(&c.role, "role", roleAll, "`part` of this process: all, frontend (axon and all "+
		"requests to miners) or scorer; the parts share a NATS queue")
	f.StringVar(&c.queue, "queue", "", "`URL` of a NATS server (default: a file in -state)")
	f.StringVar(&c.state, "state", "", "`folder` of queue, scores and memory (default: one "+
		"that is removed at the end, sn1-state with -chain)")
	f.IntVar(&c.steps, "steps", 0, "start an iteration every so many `blocks`, the sooner the "+
		"more samples wait (default: by time)")
	f.DurationVar(&c.patience, "patience", 2*time.Second,
		"`time` for a first word, beyond that of the others")
	f.DurationVar(&c.idle, "idle", time.Minute, "longest `time` between synthetic queries")
	f.DurationVar(&c.pace, "pace", time.Second, "shortest mean `time` between synthetic queries, "+
		"however fast users ask")
	f.StringVar(&c.pageAddress, "page", "127.0.0.1:0",
		"`address` of the status page and of /metrics, without password; empty for none")
	f.StringVar(&c.report, "report", "", "HTML `file` of the status page at the end")
	f.StringVar(&c.logFile, "log", "", "JSON lines `file` to which everything is logged, without "+
		"text of users or miners (default: warnings to the terminal)")
}

func (c *config) setNetuid(text string) error {
	netuid, err := strconv.ParseUint(text, 10, 16)
	c.netuid = uint16(netuid)
	return err
}

func (c *config) addUsers(text string) error {
	for address := range strings.SplitSeq(text, ",") {
		hotkey, err := keys.ParseSS58(address)
		if err != nil {
			return err
		}
		c.users = append(c.users, hotkey)
	}
	return nil
}

// check checks what nothing else does.
func (c *config) check() error {
	switch {
	case c.role != roleAll && c.role != roleFrontend && c.role != roleScorer:
		return fmt.Errorf("-role %q: must be all, frontend or scorer", c.role)
	case c.chain != "" && c.netuid == 0:
		return errors.New("-netuid: must be given with -chain")
	case c.role != roleAll && c.queue == "":
		return fmt.Errorf("-role %s: needs a queue that processes share, -queue nats://…", c.role)
	}
	return nil
}

// forChain sets what a real chain needs beside the flags. The data has the synthetic prompts.
func (c *config) forChain(data string) (err error) {
	c.network = subtensor.Network{Endpoints: []string{c.chain}}
	c.state = cmp.Or(c.state, "sn1-state")
	password := func() ([]byte, error) { return []byte(os.Getenv("SN1_PASSWORD")), nil }
	if c.keypair, err = keys.Load(c.keyFile, password); err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	server, err := openai.FromEnvironment()
	if err != nil {
		return err
	}
	c.reference = server.Reference
	texts, err := recorded.ReadTexts(data)
	if err != nil {
		return err
	}
	c.prompts, err = organic.NewSliceDataset(texts, 0)
	return err
}
