// Package promqueue shows a queue to Prometheus.
package promqueue

import (
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/organic-scoring/organic/contrib/prometheus/internal/snapshot"
)

// Queue is how to ask a queue. A scrape calls the functions, from any goroutine;
// they must be quick. What is nil or 0 has no metric.
//
//	promqueue.New(promqueue.Queue{
//		Capacity: 10_000, Size: queue.Size, OldestWaiting: queue.OldestWaiting,
//		DeadLetters: func() int { return queue.Stats().DeadLetters },
//	})
type Queue struct {
	Capacity      int                  // how many samples it holds at most
	Size          func() int           // samples that wait
	OldestWaiting func() time.Duration // age of the oldest of them
	Leased        func() int           // samples that wait for a verdict
	DeadLetters   func() int           // dead letters that it keeps
}

// New returns a collector for a queue. It is safe for concurrent use.
func New(queue Queue) prom.Collector {
	var families []snapshot.Family[Queue]
	gauge := func(given bool, name, help string, value func(q Queue) float64) {
		if given {
			families = append(families, snapshot.Gauge(name, help, value))
		}
	}
	gauge(queue.Capacity > 0, "queue_capacity", "Samples that the queue holds at most.",
		func(q Queue) float64 { return float64(q.Capacity) })
	gauge(queue.Size != nil, "queue_size", "Samples that wait in the queue.",
		func(q Queue) float64 { return float64(q.Size()) })
	gauge(queue.OldestWaiting != nil, "queue_oldest_waiting_seconds", "Age of the oldest sample that waits.",
		func(q Queue) float64 { return q.OldestWaiting().Seconds() })
	gauge(queue.Leased != nil, "queue_leased", "Samples that were handed out and wait for a verdict.",
		func(q Queue) float64 { return float64(q.Leased()) })
	gauge(queue.DeadLetters != nil, "queue_dead_letters", "Dead letters that the queue keeps.",
		func(q Queue) float64 { return float64(q.DeadLetters()) })
	return snapshot.New(func() Queue { return queue }, families...)
}
