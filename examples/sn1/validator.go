package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/boltqueue"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/relay/copies"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// saveEvery is how much of its memory a process that is killed forgets at most.
const saveEvery = 10 * time.Second

// Validator answers users by way of its miners, and scores the miners on what users ask and on
// what it asks itself.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer] // paused in a front-end
	organic.DefaultHooks[Prompt, relay.Answer]

	config
	client   *subtensor.Client
	chain    *subtensor.Validator
	samples  durable.Queue[Prompt]
	relay    *relay.Relay
	pool     *http.Transport                    // of connections to miners
	targets  atomic.Pointer[[]subtensor.Neuron] // the miners to ask
	arrivals *relay.Arrivals                    // when to ask synthetic queries
	allowed  *axon.AllowList                    // who may ask
	server   *axon.Server                       // nil in a scorer
	scores   *weights.Scores                    // nil in a front-end, as are the three below
	copies   *copies.Detector
	saver    *weights.Saver
	setter   *weights.Setter
	memory   []*durable.File // arrivals and copies
	page     *dashboard.Dashboard
	options  []organic.Option // of the scorer: what is attached to it

	address string // of the axon's listener
	pageURL string

	stopAsking, stopServing context.CancelFunc
	serving                 *errgroup.Group // what lasts until close
	failed                  <-chan struct{} // closed when one of it has failed
	closers                 []func(ctx context.Context) error
}

// This line makes the compiler name a hook that is wrong.
var _ organic.Hooks[Prompt, relay.Answer] = (*Validator)(nil)

// start connects to the chain, builds everything, and begins to serve, to ask, to score and to set
// weights, as the role has it. Later the end of ctx ends none of it: close does.
func start(ctx context.Context, c config) (*Validator, error) {
	v := &Validator{
		config: c, allowed: axon.NewAllowList(), pool: &http.Transport{MaxIdleConnsPerHost: 256},
	}
	steps := []func(context.Context) error{v.dial, v.openQueue, v.newRelay}
	if c.role != roleScorer {
		steps = append(steps, v.newAxon)
	}
	if c.role != roleFrontend {
		steps = append(steps, v.openScores)
	}
	steps = append(steps, v.readMetagraph, v.newPage, v.newScorer)
	if err := os.MkdirAll(c.state, 0o700); err != nil {
		return nil, err
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, v.release(ctx))
		}
	}
	if err := v.open(ctx); err != nil {
		return nil, errors.Join(err, v.close(ctx))
	}
	return v, nil
}

func (v *Validator) dial(ctx context.Context) (err error) {
	if v.client, err = subtensor.Dial(ctx, v.network); err != nil {
		return err
	}
	v.closers = append(v.closers, func(context.Context) error {
		v.client.Close()
		v.pool.CloseIdleConnections()
		return nil
	})
	v.chain, err = v.client.Validator(v.keypair, v.netuid, v.keyOptions...)
	return err
}

// openQueue opens the file in the folder of the state or, for several processes, the queue on a
// NATS server.
func (v *Validator) openQueue(ctx context.Context) (err error) {
	if v.queue != "" {
		v.samples, err = v.openNATS(ctx)
	} else {
		v.samples, err = boltqueue.Open(v.file("queue.db"), boltqueue.Config[Prompt]{})
	}
	if err == nil {
		v.closers = append(v.closers, v.samples.Close)
	}
	return err
}

func (v *Validator) openNATS(ctx context.Context) (*natsqueue.Queue[Prompt], error) {
	conn, err := nats.Connect(v.queue, nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("-queue: %w", err)
	}
	v.closers = append(v.closers, func(context.Context) error { conn.Close(); return nil })
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	return natsqueue.New[Prompt](ctx, js, natsqueue.WithName("sn1"))
}

// file returns the path of a file in the folder of the state.
func (v *Validator) file(name string) string { return filepath.Join(v.state, name) }

// remember loads a file of the state, if there is one, and lets open save it now and then.
func (v *Validator) remember(name string, memory any) error {
	file, err := durable.OpenFile(v.file(name), memory)
	v.memory = append(v.memory, file)
	return err
}

// newRelay gives users' and synthetic queries one relay, and so the same times. The hard limit for
// a first word is far above the patience: a machine that is busy makes no miner fail.
func (v *Validator) newRelay(context.Context) (err error) {
	v.relay, err = relay.New(
		relay.WithFirstChunk(3*v.patience),
		relay.WithTimeout(20*v.patience),
		relay.WithKeep(0, time.Minute), // samples carry the answers
		relay.WithDoneRetry(50*time.Millisecond),
		relay.WithDoneFailed(func(result *relay.Result, err error) {
			v.logger.Error("answers lost", zap.String("id", result.ID), zap.Error(err))
		}),
	)
	return err
}

// newAxon builds the axon: btauth/1 on the chat's route and, if asked for, the older dendrite's.
func (v *Validator) newAxon(context.Context) (err error) {
	if v.arrivals, err = relay.NewArrivals(v.idle, v.pace); err != nil {
		return err
	}
	if err = v.remember("arrivals.json", v.arrivals); err != nil {
		return err
	}
	v.server, err = axon.New(v.keypair.Hotkey(),
		axon.WithAllowList(v.allowed), axon.WithLogger(v.logger))
	if err != nil {
		return err
	}
	route, err := v.server.Route(wire.ChatPath)
	v.options = append(v.options, organic.WithAxon(route))
	if v.legacy && err == nil {
		route, err = v.server.Synapse(wire.OrganicClass)
		v.options = append(v.options, organic.WithAxon(route))
	}
	return err
}

func (v *Validator) newScorer(context.Context) (err error) {
	v.OrganicScorer, err = organic.New(v, append(v.options,
		organic.WithQueue(v.samples),
		organic.WithTrigger(v.trigger()),
		organic.WithConcurrency(16),
		organic.WithStage(organic.StageReference,
			organic.StagePolicy{Timeout: time.Minute, Tries: 3, Backoff: time.Second}),
		organic.WithLogger(v.logger),
		organic.WithObserver(v.observe),
	)...)
	return err
}

// trigger starts iterations by blocks of the chain or by time, the sooner the more samples wait.
func (v *Validator) trigger() organic.Trigger {
	if v.steps != 0 {
		return organic.Steps{Frequency: v.steps, Min: 1}
	}
	return organic.Seconds{
		Frequency: 200 * time.Millisecond, Min: 5 * time.Millisecond, ScalingFactor: 20,
	}
}

// open begins to do what the role has.
func (v *Validator) open(ctx context.Context) error {
	lasting, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	asking, stopAsking := context.WithCancel(lasting)
	v.stopServing, v.stopAsking = stopServing, stopAsking
	serving, failed := errgroup.WithContext(lasting)
	v.serving, v.failed = serving, failed.Done()
	if v.role == roleFrontend {
		v.Pause() // its samples are for a scorer elsewhere
	}
	if err := v.Start(lasting); err != nil {
		return err
	}
	for _, file := range v.memory {
		v.serving.Go(func() error { return file.Run(lasting, saveEvery) })
	}
	v.serving.Go(func() error {
		return v.client.EachMetagraph(lasting, v.netuid, v.refresh, v.use)
	})
	if v.role != roleFrontend {
		v.serving.Go(func() error {
			return v.client.EachBlock(lasting, func(height uint64) {
				v.IncrementStep()
				v.setter.Block(height)
			})
		})
		v.serving.Go(func() error { return v.setter.Run(lasting) })
		v.serving.Go(func() error { return v.saver.Run(lasting) })
	}
	if err := v.servePage(lasting); err != nil || v.role == roleScorer {
		return err
	}
	v.serving.Go(func() error { v.askSynthetic(asking); return nil })
	return v.serveUsers(ctx, lasting)
}

// serveUsers opens the axon, and lets the chain show where users find it.
func (v *Validator) serveUsers(ctx, lasting context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", v.listen)
	if err != nil {
		return err
	}
	v.serving.Go(func() error { return v.server.Serve(lasting, listener) })
	v.address = listener.Addr().String()
	address := cmp.Or(v.external, netip.MustParseAddrPort(v.address))
	if _, err := v.chain.ServeAxon(ctx, address, v.serveOptions...); err != nil {
		return fmt.Errorf("publish %s: %w", address, err)
	}
	return nil
}

// readMetagraph takes the miners to ask, who may ask, and whose scores are kept, from the chain.
func (v *Validator) readMetagraph(ctx context.Context) error {
	m, err := v.client.Metagraph(ctx, v.netuid)
	if err == nil {
		v.use(m, nil)
	}
	return err
}

// use is called with the metagraph each time it has been read.
func (v *Validator) use(m subtensor.Metagraph, err error) {
	if err != nil {
		v.logger.Warn("metagraph not read", zap.Error(err)) // the one before stays in force
		return
	}
	minStake := v.minStake * 1e9 // RAO
	miners := m.Miners(minStake)
	v.targets.Store(&miners)
	v.allowed.Replace(append(m.Validators(minStake), v.users...)...)
	if v.scores == nil {
		return
	}
	if err := v.scores.SetMetagraph(m.Weights()); err != nil {
		v.logger.Error("metagraph not used", zap.Error(err))
	}
	v.setter.Recheck()
}

// close stops in the order in which nothing is lost: no query is begun, what is being asked is
// collected and queued, what is in flight is scored, and everything is saved. The end of hard cuts
// short what it waits for.
func (v *Validator) close(hard context.Context) error {
	ctx := context.WithoutCancel(hard)
	v.stopAsking()
	v.Pause() // what is queued is safe in the queue
	var errs []error
	for _, step := range []func(context.Context) error{v.relay.Close, v.Stop} {
		if step(hard) != nil {
			errs = append(errs, step(ctx)) // what was waited for has been cancelled
		}
	}
	if v.report != "" {
		errs = append(errs, v.page.SaveReport(v.report))
	}
	v.stopServing()
	return errors.Join(append(errs, v.serving.Wait(), v.release(ctx))...)
}

// release closes what start has opened, the last first.
func (v *Validator) release(ctx context.Context) error {
	var errs []error
	for _, closeIt := range slices.Backward(v.closers) {
		errs = append(errs, closeIt(ctx))
	}
	return errors.Join(errs...)
}
