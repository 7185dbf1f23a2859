package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// maxRate is how many requests per second the axons take from an address and
// from a hotkey: all of loopback is one address.
const maxRate = 100_000

// Validator answers users by way of its miners, and scores the miners on what
// users ask and on what it asks itself. As a front-end it does the first
// only, as a scorer the second.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer] // nil in a front-end
	organic.DefaultHooks[Prompt, relay.Answer]

	world
	store  *store
	scores *weights.Scores
	saver  *weights.Saver // nil without a folder for it
	setter *weights.Setter
	server *axon.Server // not served in a scorer
	routes []*axon.Route
	live   *relay.Relay // for users: closed first, so that all they asked is still scored
	probe  *relay.Relay // for synthetic queries, which so never take a user's place

	stopServing func()
	serving     sync.WaitGroup
	served      error
	last        organic.Stats // when it was closed
}

var _ organic.Hooks[Prompt, relay.Answer] = (*Validator)(nil) // makes the compiler name the wrong hook

// world is what a validator finds when it starts, and leaves when it stops.
type world struct {
	cfg        config
	hotkey     keys.Hotkey // the validator's
	requests   *requests
	metagraph  weights.Metagraph
	allowed    *axon.AllowList // users
	synthetics *synthetics
	referee    referee
	judge      judge
	tally      *tally
	history    *history
	journal    *journal
	logger     *zap.Logger
	lost       *atomic.Uint64 // answered queries that no queue has taken
}

// newValidator builds all parts of a validator and starts none of them.
func newValidator(ctx context.Context, w world) (*Validator, error) {
	v := &Validator{world: w}
	for _, build := range []func() error{v.newRelays, v.newAxon, v.newScores, v.newSetter} {
		if err := build(); err != nil {
			return nil, errors.Join(err, v.closeScores())
		}
	}
	var err error
	if v.store, err = openQueue(ctx, v.cfg.queue, v.cfg.state); err != nil {
		return nil, errors.Join(err, v.closeScores())
	}
	if v.cfg.role == roleFrontend {
		err = v.newFrontend()
	} else {
		err = v.newScorer()
	}
	if err != nil {
		return nil, errors.Join(err, v.store.close(ctx), v.closeScores())
	}
	return v, nil
}

// newRelays gives both kinds of queries the same time.
func (v *Validator) newRelays() (err error) {
	opts := []relay.Option{
		relay.WithFirstChunk(v.cfg.patience),
		relay.WithTimeout(10 * v.cfg.patience),
		relay.WithDoneFailed(func(result *relay.Result, err error) {
			v.lost.Add(1)
			v.journal.lost(result.ID, err)
		}),
	}
	if v.live, err = relay.New(opts...); err != nil {
		return err
	}
	v.probe, err = relay.New(opts...)
	return err
}

// newAxon builds the axon with both routes.
func (v *Validator) newAxon() error {
	var err error
	v.server, err = axon.New(v.hotkey, axon.WithAllowList(v.allowed), axon.WithAddressRate(maxRate, maxRate),
		axon.WithHotkeyRate(maxRate, maxRate), axon.WithLimits(axon.Limits{Serving: 1024, StopTime: time.Second}))
	if err != nil {
		return err
	}
	organics, err := v.server.Synapse(wire.OrganicClass)
	if err != nil {
		return err
	}
	chat, err := v.server.Route(wire.ChatPath, axon.WithEpistula())
	v.routes = []*axon.Route{organics, chat}
	return err
}

// newFrontend connects the axon with the entry hook, without a scorer.
func (v *Validator) newFrontend() error {
	for _, route := range v.routes {
		if _, err := route.Attach(organic.Handlers{Forward: v.OnOrganicEntry}); err != nil {
			return err
		}
	}
	return nil
}

// newScorer builds the scorer behind the axon.
func (v *Validator) newScorer() error {
	opts := []organic.Option{
		organic.WithQueue(v.store.queue),
		organic.WithSynth(organic.Named[Prompt]("recorded", 1, v.synthetics)),
		organic.WithSynthRatio(0.5),
		organic.WithTrigger(organic.Seconds{Frequency: 50 * time.Millisecond, Min: 5 * time.Millisecond, ScalingFactor: 200}),
		organic.WithConcurrency(v.cfg.concurrency),
		organic.WithStage(organic.StageReference, organic.StagePolicy{Timeout: time.Minute, Tries: 3, Backoff: 200 * time.Millisecond}),
		organic.WithSeed(v.cfg.seed),
		organic.WithLogger(v.logger),
		organic.WithObserver(v.journal.event),
		organic.WithObserver(v.history.event),
	}
	for _, route := range v.routes {
		opts = append(opts, organic.WithAxon(route))
	}
	var err error
	v.OrganicScorer, err = organic.New(v, opts...)
	return err
}

// open begins to serve, to score and to set weights, as the role says. The end
// of ctx ends none of it.
func (v *Validator) open(ctx context.Context, listener net.Listener) error {
	ctx, v.stopServing = context.WithCancel(context.WithoutCancel(ctx))
	if v.cfg.role != roleFrontend {
		if err := v.Start(ctx); err != nil {
			v.stopServing()
			return err
		}
		v.serving.Go(func() { _ = v.setter.Run(ctx) }) // fails only when it runs already
	}
	if listener != nil {
		v.serving.Go(func() { v.served = v.server.Serve(ctx, listener) })
	}
	return nil
}

// close stops in the order in which nothing is lost: what is being asked is
// collected, a queue that forgets is drained, what is in flight is scored, the
// last scores become weights, and the queue is saved. The end of hard cuts
// short what it waits for.
func (v *Validator) close(hard context.Context) error {
	scores := v.cfg.role != roleFrontend
	if !v.store.forgets {
		v.Pause() // what waits can wait for the next start
	}
	ctx := context.WithoutCancel(hard)
	steps := []func(context.Context) error{v.live.Close}
	if scores {
		steps = append(steps, v.drain, v.Stop, v.probe.Close, v.setWeights)
	}
	var errs []error
	for _, step := range steps {
		if err := step(hard); err != nil {
			errs = append(errs, step(ctx)) // what was waited for has been cancelled
		}
	}
	v.stopServing()
	v.serving.Wait()
	v.last = v.Stats() // before the queue is closed, which empties it
	errs = append(errs, v.served, v.store.close(ctx))
	if scores {
		errs = append(errs, v.closeScores()) // whatever became of the snapshots before
	}
	return errors.Join(errs...)
}

// drain waits until all that is queued is scored, where it would be forgotten.
// What is left when ctx ends shows in the counters.
func (v *Validator) drain(ctx context.Context) error {
	if v.store.forgets && ctx.Err() == nil {
		_ = v.Drain(ctx)
	}
	return nil
}
