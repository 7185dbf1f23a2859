package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/boltqueue"
	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/prometheus/promqueue"
	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

const (
	chatPath = "/v1/chat/completions"
	minStake = 1000e9 // RAO of stake weight that a user must have: 1000 TAO
)

// run is the whole validator, until ctx ends. It closes what it has opened in reverse order.
func run(ctx context.Context, cfg config) (err error) {
	v := &Validator{config: cfg, allowed: axon.NewAllowList()}
	if v.client, err = subtensor.Dial(ctx, cfg.network); err != nil {
		return err
	}
	defer v.client.Close()
	file := filepath.Join(cfg.state, "queue.db")
	if v.queue, err = boltqueue.Open(file, boltqueue.Config[Prompt]{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.queue.Close(context.WithoutCancel(ctx))) }()
	v.scores, err = weights.NewScores(weights.Hold(0.01), weights.Between(0, 1)) // default guards
	if err != nil {
		return err
	}
	file = filepath.Join(cfg.state, "scores.json")
	v.saver, err = weights.OpenSaver(file, v.scores, weights.SaverConfig{Logger: cfg.logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.saver.Close()) }()
	if err := v.buildScorer(); err != nil {
		return err
	}
	if err := v.buildSetter(ctx); err != nil {
		return err
	}
	return v.serve(ctx)
}

// buildScorer makes the scorer, with axon and relay in front.
func (v *Validator) buildScorer() (err error) {
	v.server, err = axon.New(v.keypair.Hotkey(), axon.WithAllowList(v.allowed))
	if err != nil {
		return err
	}
	route, err := v.server.Route(chatPath)
	if err != nil {
		return err
	}
	if v.relay, err = relay.New(relay.WithTimeout(time.Minute)); err != nil {
		return err
	}
	synthetic, err := organic.NewSliceDataset(synthetics(), 0)
	if err != nil {
		return err
	}
	v.metrics = organicprom.NewScorer(v)
	v.OrganicScorer, err = organic.New(v,
		organic.WithAxon(route),
		organic.WithQueue(v.queue),
		organic.WithSynth(synthetic),
		organic.WithTrigger(organic.Steps{Frequency: 5, Min: 1}), // blocks
		organic.WithObserver(v.metrics.Observe),
		organic.WithLogger(v.logger),
	)
	return err
}

// buildSetter makes the setter, and publishes the address of the axon.
func (v *Validator) buildSetter(ctx context.Context) error {
	chain, err := v.client.Validator(v.keypair, v.netuid)
	if err != nil {
		return err
	}
	source := func(context.Context) (weights.Vector, error) { return v.scores.Convert() }
	v.setter, err = weights.NewSetter(chain, source, weights.Epoch{Before: 20},
		weights.WithSaver(v.saver),
		weights.WithWarmUp(v.scores, 0.9, 10, 6*time.Hour),
		weights.WithLogger(v.logger),
	)
	if err != nil {
		return err
	}
	_, err = chain.ServeAxon(ctx, v.public)
	return err
}

// serve runs all of it until ctx ends or a part fails, and stops in the order of docs/failures.md.
func (v *Validator) serve(ctx context.Context) error {
	lasting := context.WithoutCancel(ctx) // the signal is a soft stop
	if err := v.Start(lasting); err != nil {
		return err
	}
	background, stopBackground := context.WithCancel(lasting)
	defer stopBackground()
	group, ended := errgroup.WithContext(ctx)
	group.Go(func() error { return v.server.Serve(background, v.users) })
	group.Go(func() error { return v.serveMetrics(background) })
	group.Go(func() error { return v.setter.Run(background) })
	group.Go(func() error { return v.saver.Run(background) })
	group.Go(func() error { return v.client.EachBlock(background, v.block) })
	group.Go(func() error {
		return v.client.EachMetagraph(background, v.netuid, 25, v.readMetagraph)
	})
	<-ended.Done()

	stopping, cancel := context.WithTimeout(lasting, 3*time.Minute)
	defer cancel()
	err := errors.Join(v.relay.Close(stopping), v.Stop(stopping))
	stopBackground()
	return errors.Join(err, group.Wait())
}

// block counts a block of the chain.
func (v *Validator) block(height uint64) {
	v.IncrementStep()
	v.setter.Block(height)
}

// readMetagraph keeps current what depends on who is registered.
func (v *Validator) readMetagraph(metagraph subtensor.Metagraph, err error) {
	if err != nil {
		v.logger.Warn("metagraph not read", zap.Error(err)) // the one before stays in force
		return
	}
	v.allowed.Replace(metagraph.Validators(minStake)...)
	targets := metagraph.Targets()
	v.targets.Store(&targets)
	if err := v.scores.SetMetagraph(metagraph.Weights()); err != nil {
		v.logger.Error("metagraph not used", zap.Error(err))
	}
}

// serveMetrics serves the metrics until ctx ends.
func (v *Validator) serveMetrics(ctx context.Context) error {
	registry := prom.NewRegistry()
	registry.MustRegister(v.metrics,
		promweights.NewSetter(v.setter, 72*time.Minute),
		promqueue.New(promqueue.Queue{Size: v.queue.Size, OldestWaiting: v.queue.OldestWaiting}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(v.pages); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// synthetics are prompts for when no user asks. Use many: miners learn a few by heart.
func synthetics() []Prompt {
	const body = `{"stream": true, "messages": [{"role": "user", "content": %q}]}`
	var prompts []Prompt
	for _, country := range []string{"Peru", "Kenya", "Nepal", "Finland", "Chile", "Ghana"} {
		question := "What is the capital of " + country + "?"
		prompts = append(prompts, Prompt{Request: fmt.Appendf(nil, body, question)})
	}
	return prompts
}
