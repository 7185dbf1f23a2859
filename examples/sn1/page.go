package main

import (
	"context"
	"net"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/prometheus/promaxon"
	"github.com/organic-scoring/organic/contrib/prometheus/promqueue"
	"github.com/organic-scoring/organic/contrib/prometheus/promrelay"
	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newPage builds the status page, with the metrics beside it, of what the process has.
func (v *Validator) newPage(ctx context.Context) (err error) {
	metrics, registry := organicprom.NewScorer(v), prometheus.NewRegistry()
	registry.MustRegister(metrics, promrelay.New(v.relay), promqueue.New(promqueue.Queue{
		Size: v.samples.Size, OldestWaiting: v.samples.OldestWaiting,
	}))
	opts := []dashboard.Option{
		dashboard.WithTitle("Validator, " + v.role), dashboard.WithRelay(v.relay),
		dashboard.WithQueue(dashboard.Queue{OldestWaiting: v.samples.OldestWaiting}),
		dashboard.WithChain(func() dashboard.Chain {
			stats := v.client.Stats()
			return dashboard.Chain{
				Endpoint: stats.Endpoint, Connections: stats.Connections,
				Failures: stats.Failures, Spec: stats.Version.Spec,
			}
		}),
		dashboard.WithMetrics(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})),
	}
	if v.server != nil {
		opts = append(opts, dashboard.WithAxon(v.axonStats))
		registry.MustRegister(promaxon.New(func() promaxon.Stats[string] {
			return promaxon.Stats[string](v.axonStats())
		}))
	}
	if v.scores != nil {
		opts = append(opts, dashboard.WithScores(v.scores), dashboard.WithSetter(v.setter))
		subnet, err := v.client.Hyperparameters(ctx, v.netuid)
		if err != nil {
			return err
		}
		tempo := time.Duration(subnet.Tempo) * subnet.BlockTime
		registry.MustRegister(promweights.NewScores(v.scores), promweights.NewSetter(v.setter, tempo))
	}
	v.page, err = dashboard.New(v, opts...)
	v.options = append(v.options,
		organic.WithObserver(v.page.Observe), organic.WithObserver(metrics.Observe))
	return err
}

func (v *Validator) axonStats() dashboard.Axon {
	stats := v.server.Stats()
	refused := make(map[string]uint64)
	for reason, count := range stats.Refused {
		refused[string(reason)] = count
	}
	return dashboard.Axon{
		Verified: stats.Verified, Served: stats.Served, Refused: refused,
		Reading: stats.Reading, Serving: stats.Serving, Waiting: stats.Waiting,
	}
}

// servePage serves the page, which asks for no password, until ctx ends.
func (v *Validator) servePage(ctx context.Context) error {
	if v.pageAddress == "" {
		v.serving.Go(func() error { return v.page.Run(ctx) }) // for the report
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", v.pageAddress)
	if err != nil {
		return err
	}
	v.pageURL = "http://" + listener.Addr().String()
	v.serving.Go(func() error { return v.page.Serve(ctx, listener) })
	return nil
}
