package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// The roles of a process.
const (
	roleAll      = "all"
	roleFrontend = "frontend" // answers users, asks all miners, and queues the answers
	roleScorer   = "scorer"   // scores what is queued and sets weights; asks no miner
)

// settings are what a validator is made of.
type settings struct {
	role    string
	network subtensor.Network
	beacon  *timelock.Beacon // that opens timelocked weights
	netuid  uint16
	refresh uint64 // blocks from one reading of the metagraph to the next
	private bool   // the subnet is on a local network
	keypair *keys.Keypair

	listen   string         // address of the axon
	publish  netip.AddrPort // what the chain is told; not valid: the address of the listener
	legacy   bool           // serve dendrites of older SDKs too
	users    []keys.Hotkey  // that may ask, beside validators
	minStake uint64         // of a validator that may ask, in RAO

	queue       string // URL of a NATS server, or "" for a file in the folder
	state       string // folder of queue, scores and memory of copies
	concurrency int
	steps       int           // blocks from one iteration to the next; 0: by time
	patience    time.Duration // for the first word
	idle        time.Duration // the longest time between two synthetic queries
	seed        uint64

	prompts   organic.SynthDataset[string]
	reference func(ctx context.Context, text string) (string, error)
	schedule  weights.Schedule
	logger    *zap.Logger

	pageAddress string // of the status page; "" for none
	report      string // file for the page at the end; "" for none
}

// Validator answers users by way of its miners, and scores the miners on what users ask and on
// what it asks itself.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer] // nil in a front-end
	organic.DefaultHooks[Prompt, relay.Answer]

	settings
	client   *subtensor.Client
	chain    *subtensor.Validator
	server   *axon.Server
	routes   []*axon.Route
	allowed  *axon.AllowList
	relay    *relay.Relay
	miners   *miners
	arrivals *arrivals
	queue    organic.Queue[Prompt]
	copies   *copies
	scores   *weights.Scores
	saver    *weights.Saver
	setter   *weights.Setter
	page     *dashboard.Dashboard // nil in a front-end
	pageURL  string               // once it is open
	address  string               // of the axon's listener, once it is open
	kept     [2]atomic.Uint64
	lost     atomic.Uint64 // answered queries that the queue did not take

	closers                 []func(ctx context.Context) error
	stopAsking, stopServing context.CancelFunc
	asking, serving         sync.WaitGroup
	served                  error // of the server, read after serving has ended
}

// This line makes the compiler name a hook that is wrong.
var _ organic.Hooks[Prompt, relay.Answer] = (*Validator)(nil)

// newValidator connects to the chain and builds everything, and starts nothing.
func newValidator(ctx context.Context, s settings) (*Validator, error) {
	v := &Validator{settings: s, allowed: axon.NewAllowList(s.users...)}
	v.miners = newMiners(s.keypair, s.minStake, s.seed)
	steps := []func(context.Context) error{v.dial, v.openArrivals, v.openQueue, v.newRelay}
	if s.role != roleScorer {
		steps = append(steps, v.newAxon)
	}
	if s.role != roleFrontend {
		steps = append(steps, v.openScores, v.readMetagraph, v.newPage, v.newScorer)
	} else {
		steps = append(steps, v.readMetagraph, v.attach)
	}
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		return nil, err
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, v.release(ctx))
		}
	}
	return v, nil
}

func (v *Validator) dial(ctx context.Context) (err error) {
	if v.client, err = subtensor.Dial(ctx, v.network); err != nil {
		return err
	}
	v.closers = append(v.closers, func(context.Context) error {
		v.client.Close()
		v.miners.client.CloseIdleConnections()
		return nil
	})
	v.chain, err = v.client.Validator(v.keypair, v.netuid, subtensor.WithBeacon(v.beacon))
	return err
}

// newRelay gives users' and synthetic queries one relay, and so the same times. The hard limit for
// a first word is far above the patience: a machine that is busy makes no miner fail.
func (v *Validator) newRelay(context.Context) (err error) {
	v.relay, err = relay.New(
		relay.WithFirstChunk(3*v.patience),
		relay.WithTimeout(20*v.patience),
		relay.WithKeep(0, time.Minute),
		relay.WithDoneFailed(func(*relay.Result, error) { v.lost.Add(1) }),
	)
	return err
}

// newAxon builds the axon: btauth/1 on the chat's route and, if asked for, the older dendrite's.
func (v *Validator) newAxon(context.Context) (err error) {
	v.server, err = axon.New(v.keypair.Hotkey(),
		axon.WithAllowList(v.allowed), axon.WithLogger(v.logger))
	if err != nil {
		return err
	}
	chat, err := v.server.Route(wire.ChatPath)
	v.routes = append(v.routes, chat)
	if v.legacy && err == nil {
		var dendrites *axon.Route
		dendrites, err = v.server.Synapse(wire.OrganicClass)
		v.routes = append(v.routes, dendrites)
	}
	return err
}

// attach connects the axon of a front-end with the entry hook, without a scorer.
func (v *Validator) attach(context.Context) error {
	for _, route := range v.routes {
		if _, err := route.Attach(organic.Handlers{Forward: v.OnOrganicEntry}); err != nil {
			return err
		}
	}
	return nil
}

func (v *Validator) newScorer(context.Context) (err error) {
	opts := []organic.Option{
		organic.WithQueue(v.queue),
		organic.WithTrigger(v.trigger()),
		organic.WithConcurrency(v.concurrency),
		organic.WithStage(organic.StageReference,
			organic.StagePolicy{Timeout: time.Minute, Tries: 3, Backoff: time.Second}),
		organic.WithLogger(v.logger),
		organic.WithObserver(v.page.Observe),
	}
	for _, route := range v.routes {
		opts = append(opts, organic.WithAxon(route))
	}
	v.OrganicScorer, err = organic.New(v, opts...)
	return err
}

// trigger starts iterations by blocks of the chain or by time, the sooner the more samples wait.
func (v *Validator) trigger() organic.Trigger {
	if v.steps > 0 {
		return organic.Steps{Frequency: v.steps, Min: 1}
	}
	return organic.Seconds{
		Frequency: 200 * time.Millisecond, Min: 5 * time.Millisecond, ScalingFactor: 20,
	}
}

// open begins to serve, to ask, to score and to set weights, as the role has it. The end of ctx
// ends none of it: close does.
func (v *Validator) open(ctx context.Context) error {
	ctx, v.stopServing = context.WithCancel(context.WithoutCancel(ctx))
	asking, stopAsking := context.WithCancel(ctx)
	v.stopAsking = stopAsking
	if v.role != roleScorer {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", v.listen)
		if err != nil {
			return err
		}
		v.address = listener.Addr().String()
		v.serving.Go(func() { v.served = v.server.Serve(ctx, listener) })
		v.asking.Go(func() { v.askSynthetic(asking) })
	}
	v.serving.Go(func() { v.follow(ctx) })
	if v.role != roleFrontend {
		if err := v.Start(ctx); err != nil {
			return err
		}
		v.serving.Go(func() { _ = v.client.EachBlock(ctx, v.block) })
		v.serving.Go(func() { _ = v.setter.Run(ctx) }) // fails only if it runs already
		v.serving.Go(func() { _ = v.saver.Run(ctx) })  // its last error is that of Close
		v.serving.Go(func() { v.copies.run(ctx) })
		if err := v.servePage(ctx); err != nil {
			return err
		}
	}
	if v.role != roleScorer {
		return v.publishAxon(ctx)
	}
	return nil
}

// publishAxon lets the chain show where users find the validator.
func (v *Validator) publishAxon(ctx context.Context) (err error) {
	address := v.publish
	if !address.IsValid() {
		if address, err = netip.ParseAddrPort(v.address); err != nil {
			return err
		}
	}
	var opts []subtensor.ServeOption
	if v.private {
		opts = append(opts, subtensor.AllowPrivate())
	}
	if _, err = v.chain.ServeAxon(ctx, address, opts...); err != nil {
		return fmt.Errorf("publish %s: %w", address, err)
	}
	return nil
}

// block is called for each block of the chain.
func (v *Validator) block(height uint64) {
	v.IncrementStep()
	v.setter.Block(height)
}

// readMetagraph takes the miners to ask, who may ask, and whose scores are kept, from the chain.
func (v *Validator) readMetagraph(ctx context.Context) error {
	m, err := v.client.Metagraph(ctx, v.netuid)
	if err != nil {
		return err
	}
	return v.use(m)
}

// follow does so now and then.
func (v *Validator) follow(ctx context.Context) {
	_ = v.client.EachMetagraph(ctx, v.netuid, v.refresh, func(m subtensor.Metagraph, err error) {
		if err == nil {
			err = v.use(m)
		}
		if err != nil && ctx.Err() == nil {
			v.logger.Warn("metagraph not read", zap.Error(err)) // the one before stays in force
		}
	})
}

func (v *Validator) use(m subtensor.Metagraph) error {
	v.miners.use(m)
	v.allowed.Replace(append(m.Validators(v.minStake), v.users...)...)
	if v.scores == nil {
		return nil
	}
	if err := v.scores.SetMetagraph(m.Weights()); err != nil {
		return err
	}
	v.setter.Recheck()
	return nil
}

// close stops in the order in which nothing is lost: no query is begun, what is being asked is
// collected and queued, what is in flight is scored, and everything is saved. The end of hard cuts
// short what it waits for.
func (v *Validator) close(hard context.Context) error {
	ctx := context.WithoutCancel(hard)
	steps := []func(context.Context) error{v.relay.Close}
	v.stopAsking()
	if v.role != roleFrontend {
		v.Pause() // what is queued is safe in the queue
		steps = append(steps, v.Stop)
	}
	var errs []error
	for _, step := range steps {
		if step(hard) != nil {
			errs = append(errs, step(ctx)) // what was waited for has been cancelled
		}
	}
	v.asking.Wait()
	errs = append(errs, v.writeReport())
	v.stopServing()
	v.serving.Wait()
	return errors.Join(append(errs, v.served, v.release(ctx))...)
}

// release closes what newValidator has opened, the last first.
func (v *Validator) release(ctx context.Context) error {
	var errs []error
	for _, closeIt := range slices.Backward(v.closers) {
		errs = append(errs, closeIt(ctx))
	}
	return errors.Join(errs...)
}

func (v *Validator) openArrivals(context.Context) (err error) {
	if v.arrivals, err = openArrivals(v.file("arrivals.json"), v.idle, v.seed); err != nil {
		return err
	}
	v.closers = append(v.closers, func(context.Context) error { return v.arrivals.save() })
	return nil
}

// file returns the path of a file in the folder of the state.
func (v *Validator) file(name string) string { return filepath.Join(v.state, name) }

// readState reads a file of the state, if there is one.
func readState(path string, into any) error {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && json.Unmarshal(data, into) != nil {
		err = fmt.Errorf("%s: damaged", path)
	}
	return err
}

// writeState replaces a file of the state, as a whole.
func writeState(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	next := path + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
