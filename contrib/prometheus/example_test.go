package prometheus_test

import (
	"context"
	"fmt"
	"log"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	prom "github.com/prometheus/client_golang/prometheus"

	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/prometheus/promqueue"
)

// Counted is a validator whose hooks do nothing.
type Counted struct {
	*organic.OrganicScorer[string, string]
	organictest.HookFuncs[string, string]
}

// A scorer and its queue in one registry, which promhttp.HandlerFor serves.
func ExampleNewScorer() {
	v := &Counted{}
	metrics := organicprom.NewScorer(v)
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
	if err != nil {
		log.Fatal(err)
	}
	v.OrganicScorer, err = organic.New(v,
		organic.WithQueue(queue), organic.WithObserver(metrics.Observe))
	if err != nil {
		log.Fatal(err)
	}
	registry := prom.NewRegistry()
	registry.MustRegister(metrics, promqueue.New(promqueue.Queue{Capacity: 10_000, Size: queue.Size}))

	ctx := context.Background()
	for _, prompt := range []string{"Peru?", "Kenya?"} {
		if _, err := v.Enqueue(ctx, prompt); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := v.Iterate(ctx); err != nil {
		log.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		log.Fatal(err)
	}
	for _, family := range families {
		switch metric := family.GetMetric()[0]; family.GetName() {
		case "organic_samples_accepted_total":
			fmt.Println(family.GetName(), metric.GetCounter().GetValue())
		case "organic_queue_size", "organic_queue_capacity":
			fmt.Println(family.GetName(), metric.GetGauge().GetValue())
		}
	}
	// Output:
	// organic_queue_capacity 10000
	// organic_queue_size 1
	// organic_samples_accepted_total 2
}
