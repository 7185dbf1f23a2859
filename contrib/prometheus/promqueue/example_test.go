package promqueue_test

import (
	"context"
	"fmt"
	"log"

	"github.com/organic-scoring/organic"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/organic-scoring/organic/contrib/prometheus/promqueue"
)

// A queue in memory. Durable queues have OldestWaiting and dead letters too.
func ExampleNew() {
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{Capacity: 100})
	if err != nil {
		log.Fatal(err)
	}
	if err := queue.Add(context.Background(), organic.NewSample("Peru?")); err != nil {
		log.Fatal(err)
	}
	collector := promqueue.New(promqueue.Queue{Capacity: 100, Size: queue.Size})
	text, err := testutil.CollectAndFormat(collector, expfmt.TypeTextPlain,
		"organic_queue_capacity", "organic_queue_size")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP organic_queue_capacity Samples that the queue holds at most.
	// # TYPE organic_queue_capacity gauge
	// organic_queue_capacity 100
	// # HELP organic_queue_size Samples that wait in the queue.
	// # TYPE organic_queue_size gauge
	// organic_queue_size 1
}
