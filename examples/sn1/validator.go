package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// maxRate is how many requests per second the axons take from an address and
// from a hotkey: all of loopback is one address.
const maxRate = 100_000

// Validator answers users by way of its miners, and scores the miners on what
// users ask and on what it asks itself.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer]
	organic.DefaultHooks[Prompt, relay.Answer]

	world
	store  *store
	scores *weights.Scores
	setter *weights.Setter
	server *axon.Server
	live   *relay.Relay // for users: closed first, so that all they asked is still scored
	probe  *relay.Relay // for synthetic queries, which so never take a user's place

	stopServing func()
	serving     sync.WaitGroup
	served      error
}

var _ organic.Hooks[Prompt, relay.Answer] = (*Validator)(nil) // makes the compiler name the wrong hook

// world is what a validator finds when it starts, and leaves when it stops.
type world struct {
	cfg        config
	hotkey     axon.Hotkey // the validator's
	requests   *requests
	metagraph  weights.Metagraph
	allowed    *axon.AllowList // users
	synthetics *synthetics
	referee    referee
	judge      judge
	tally      *tally
	history    *history
	journal    *journal
}

// newValidator builds all parts of a validator and starts none of them.
func newValidator(w world) (*Validator, error) {
	v := &Validator{world: w}
	for _, build := range []func() error{v.newRelays, v.newScores, v.newSetter, v.newScorer} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// newRelays gives both kinds of queries the same time.
func (v *Validator) newRelays() (err error) {
	opts := []relay.Option{
		relay.WithFirstChunk(v.cfg.patience),
		relay.WithTimeout(10 * v.cfg.patience),
		relay.WithDoneFailed(func(result *relay.Result, err error) { v.journal.lost(result.ID, err) }),
	}
	if v.live, err = relay.New(opts...); err != nil {
		return err
	}
	v.probe, err = relay.New(opts...)
	return err
}

// newScorer builds the axon with both routes, and the scorer behind them.
func (v *Validator) newScorer() error {
	var err error
	v.server, err = axon.New(v.hotkey, axon.WithAllowList(v.allowed), axon.WithAddressRate(maxRate, maxRate),
		axon.WithHotkeyRate(maxRate, maxRate), axon.WithLimits(axon.Limits{Serving: 1024, StopTime: time.Second}))
	if err != nil {
		return err
	}
	organics, err := v.server.Bittensor(wire.OrganicClass)
	if err != nil {
		return err
	}
	chat, err := v.server.Epistula(wire.ChatPath)
	if err != nil {
		return err
	}
	if v.store, err = openStore(v.cfg.state); err != nil {
		return err
	}
	v.OrganicScorer, err = organic.New(v,
		organic.WithAxon(organics),
		organic.WithAxon(chat),
		organic.WithQueue(v.store.queue),
		organic.WithSynth(organic.Named[Prompt]("recorded", 1, v.synthetics)),
		organic.WithSynthRatio(0.5),
		organic.WithTrigger(organic.Seconds{Frequency: 50 * time.Millisecond, Min: 5 * time.Millisecond, ScalingFactor: 200}),
		organic.WithConcurrency(v.cfg.concurrency),
		organic.WithStage(organic.StageReference, organic.StagePolicy{Timeout: time.Minute}),
		organic.WithSeed(v.cfg.seed),
		organic.WithObserver(v.journal.event),
		organic.WithObserver(v.history.event),
	)
	return err
}

// open begins to serve, to score and to set weights. The end of ctx ends none
// of it.
func (v *Validator) open(ctx context.Context, listener net.Listener) error {
	ctx = context.WithoutCancel(ctx)
	if err := v.Start(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	ctx, v.stopServing = context.WithCancel(ctx)
	v.serving.Go(func() { v.served = v.server.Serve(ctx, listener) })
	v.serving.Go(func() { _ = v.setter.Run(ctx) }) // fails only when it runs already
	return nil
}

// close stops in the order in which nothing is lost: what is being asked is
// collected, what is in flight is scored, the last scores become weights, and
// what is queued is saved. The end of hard cuts short what it waits for.
func (v *Validator) close(hard context.Context) error {
	v.Pause()
	ctx := context.WithoutCancel(hard)
	var errs []error
	for _, stop := range []func(context.Context) error{v.live.Close, v.probe.Close, v.Stop} {
		if stop(hard) != nil {
			errs = append(errs, stop(ctx)) // what was waited for has been cancelled
		}
	}
	v.stopServing()
	v.serving.Wait()
	errs = append(errs, v.served, v.setWeights(ctx), v.store.close())
	return errors.Join(errs...)
}
