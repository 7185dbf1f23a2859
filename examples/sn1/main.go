// Command sn1 is a validator of a text subnet, and a subnet on loopback to try it on. It is the
// program to copy from; package sim is what surrounds it in the demo.
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
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/examples/internal/openai"
	"github.com/organic-scoring/organic/examples/internal/program"
	"github.com/organic-scoring/organic/examples/internal/recorded"
	"github.com/organic-scoring/organic/examples/sn1/sim"
)

const referenceServer = "openai" // the -reference that asks a server

func main() { program.Main("sn1", run) }

// config is what the flags say.
type config struct {
	settings
	sim sim.Config

	chain, join   string // URLs
	netuidFlag    uint
	keyFile       string
	external      string
	userHotkeys   string
	minTAO        float64
	referenceKind string
	logFile       string
	stay          bool
}

// run is the whole program. The end of ctx is the soft stop.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	cfg, err := parseFlags(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	closeLog, err := cfg.openLog(stderr)
	if err != nil {
		return err
	}
	if cfg.chain == "" {
		err = play(ctx, cfg, stdout)
	} else {
		err = serve(ctx, cfg, stdout)
	}
	return errors.Join(err, closeLog())
}

// serve runs the validator on a real chain until ctx ends.
func serve(ctx context.Context, cfg config, stdout io.Writer) error {
	if err := cfg.forChain(); err != nil {
		return err
	}
	v, err := newValidator(ctx, cfg.settings)
	if err != nil {
		return err
	}
	hard, release := program.UntilSecondInterrupt(ctx)
	defer release()
	if err := v.open(ctx); err != nil {
		return errors.Join(err, v.close(hard))
	}
	_, _ = fmt.Fprintf(stdout, "The validator %s serves subnet %d at %s. Its page is at %s.\n",
		cfg.keypair.Hotkey(), cfg.netuid, v.address, v.pageURL)
	<-ctx.Done()
	return v.close(hard)
}

// forChain completes the settings from the flags for a real chain.
func (c *config) forChain() (err error) {
	c.network, c.beacon = subtensor.Network{Endpoints: []string{c.chain}}, timelock.Quicknet()
	c.netuid = uint16(c.netuidFlag) //nolint:gosec // checked with the flags
	c.minStake = uint64(c.minTAO * 1e9)
	c.schedule, c.refresh = weights.Epoch{Before: 20}, 25
	c.state = cmp.Or(c.state, "sn1-state")
	password := func() ([]byte, error) { return []byte(os.Getenv("SN1_PASSWORD")), nil }
	if c.keypair, err = keys.Load(c.keyFile, password); err != nil {
		return fmt.Errorf("-key: %w", err)
	}
	comma := func(r rune) bool { return r == ',' }
	for address := range strings.FieldsFuncSeq(c.userHotkeys, comma) {
		hotkey, err := keys.ParseSS58(address)
		if err != nil {
			return fmt.Errorf("-users: %w", err)
		}
		c.users = append(c.users, hotkey)
	}
	if c.external != "" {
		if c.publish, err = netip.ParseAddrPort(c.external); err != nil {
			return fmt.Errorf("-external: %w", err)
		}
	}
	server, err := openai.FromEnvironment()
	if err != nil {
		return fmt.Errorf("-reference: %w", err)
	}
	c.reference = server.Reference
	records, err := recorded.Read(c.sim.Data, recorded.ByModel)
	if err != nil {
		return err
	}
	var texts []string
	for _, r := range records {
		texts = append(texts, strings.TrimSpace(r.Instruction+"\n\n"+r.Input))
	}
	c.prompts, err = organic.NewSliceDataset(texts, c.seed)
	return err
}

// parseFlags reads the command line. Asked for help, it writes it to stdout and returns
// flag.ErrHelp.
func parseFlags(args []string, stdout io.Writer) (config, error) {
	var c config
	if err := program.Parse(c.flagSet(), args, stdout, "everything is set by flags"); err != nil {
		return config{}, err
	}
	c.sim.Fill()
	c.sim.Patience, c.sim.Legacy, c.sim.Seed = c.patience, c.legacy, c.seed
	c.sim.Reference = recorded.ByModel
	if c.referenceKind == recorded.ByHuman {
		c.sim.Reference = recorded.ByHuman
	}
	return c, c.check()
}

// flagSet binds the flags to the fields.
func (c *config) flagSet() *flag.FlagSet {
	f := flag.NewFlagSet("sn1", flag.ContinueOnError)
	f.StringVar(&c.chain, "chain", "",
		"`URL` of a real node, such as wss://entrypoint-finney.opentensor.ai; needs -key "+
			"and -netuid (default: a simulated chain)")
	f.UintVar(&c.netuidFlag, "netuid", 0, "`number` of the subnet on a real chain")
	f.StringVar(&c.keyFile, "key", "",
		"`file` of the validator's hotkey; SN1_PASSWORD opens an encrypted one")
	f.StringVar(&c.external, "external", "",
		"`address` that the chain is told (default: that of -listen)")
	f.StringVar(&c.userHotkeys, "users", "", "`hotkeys` that may ask beside validators, by commas")
	f.Float64Var(&c.minTAO, "min-stake", 1000, "stake in `TAO` from which on a validator may ask")
	f.StringVar(&c.listen, "listen", sim.Host+":0", "`address` of the axon")
	f.BoolVar(&c.legacy, "legacy", false, "serve dendrites of the SDK 7 to 10 too")
	f.StringVar(&c.role, "role", roleAll,
		"`part` of this process: all, frontend (axon and all requests to miners) or "+
			"scorer; the parts share a NATS queue")
	f.StringVar(&c.join, "join", "",
		"`URL` of the simulated chain of another process, which has printed it, for -role "+
			"scorer")
	f.StringVar(&c.queue, "queue", "",
		"`URL` of a NATS server, nats://… (default: a file in -state)")
	f.StringVar(&c.state, "state", "",
		"`folder` of queue, scores and memory of copies (default: one that is removed at "+
			"the end, sn1-state with -chain)")
	f.IntVar(&c.concurrency, "concurrency", 16, "how many `iterations` may be in flight")
	f.IntVar(&c.steps, "steps", 0,
		"start an iteration every so many `blocks`, the sooner the more samples wait "+
			"(default: by time)")
	f.DurationVar(&c.patience, "patience", 2*time.Second,
		"`time` for a first word, beyond that of the others")
	f.DurationVar(&c.idle, "idle", 0,
		"longest `time` between synthetic queries (default: 1m with -chain, else by -rate)")
	f.Uint64Var(&c.seed, "seed", 0, "`seed` of parameters and times (default: by chance)")
	f.StringVar(&c.referenceKind, "reference", recorded.ByModel,
		"what answers are compared with: model or human of the data, or openai for the "+
			"server that OPENAI_BASE_URL, OPENAI_MODEL and OPENAI_API_KEY name")
	f.StringVar(&c.pageAddress, "page", "127.0.0.1:0",
		"`address` of the status page, which asks for no password; empty for none")
	f.StringVar(&c.report, "report", "",
		"HTML `file` to which the status page is written at the end (default: none)")
	f.BoolVar(&c.stay, "serve", false,
		"keep the demo running until an interrupt, for the status page")
	f.StringVar(&c.logFile, "log", "",
		"JSON lines `file` to which everything is logged, without text of users or miners "+
			"(default: warnings to the terminal)")
	c.sim.Flags(f)
	return f
}

// check lists all that is wrong, by the names of the flags.
func (c *config) check() error {
	var errs []error
	require := func(right bool, format string, args ...any) {
		if !right {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	split, onChain := c.role != roleAll, c.chain != ""
	require(c.role == roleAll || c.role == roleFrontend || c.role == roleScorer,
		"-role %q: must be all, frontend or scorer", c.role)
	require(c.queue == "" || strings.HasPrefix(c.queue, "nats://"),
		"-queue %q: must be nats://…", c.queue)
	require(!split || c.queue != "",
		"-role %s: needs a queue that processes share, -queue nats://…", c.role)
	require(c.role != roleScorer || onChain || c.join != "",
		"-role scorer: needs -chain, or -join for the chain of the front-end")
	require(c.role == roleScorer || c.join == "", "-join: is for -role scorer")
	require(!onChain || c.netuidFlag > 0 && c.netuidFlag < 1<<16,
		"-netuid %d: must be from 1 to 65535 with -chain", c.netuidFlag)
	require(!onChain || c.keyFile != "", "-key: must be given with -chain")
	known := c.referenceKind == recorded.ByModel || c.referenceKind == recorded.ByHuman
	require(c.referenceKind == referenceServer || known && !onChain,
		"-reference %q: must be model, human or openai, and openai with -chain", c.referenceKind)
	require(c.minTAO >= 0 && c.minTAO < 1e9, "-min-stake %v: must be from 0 to 1e9", c.minTAO)
	require(c.concurrency >= 1, "-concurrency %d: must be at least 1", c.concurrency)
	require(c.steps >= 0, "-steps %d: must not be negative", c.steps)
	require(c.patience >= 50*time.Millisecond, "-patience %v: must be at least 50ms", c.patience)
	require(c.idle >= 0, "-idle %v: must not be negative", c.idle)
	c.idle = cmp.Or(c.idle, time.Minute)
	return errors.Join(append(errs, c.sim.Check())...)
}

// openLog makes the logger: everything into a file as JSON, or warnings to the terminal.
func (c *config) openLog(stderr io.Writer) (closeLog func() error, err error) {
	if c.logFile == "" {
		encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
		terminal := zapcore.Lock(zapcore.AddSync(stderr))
		c.logger = zap.New(zapcore.NewCore(encoder, terminal, zap.WarnLevel))
		return func() error { return nil }, nil
	}
	file, err := os.OpenFile(c.logFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("-log: %w", err)
	}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	c.logger = zap.New(zapcore.NewCore(encoder, zapcore.Lock(file), zap.DebugLevel))
	return file.Close, nil
}
