// Package snapshot makes metrics of the plain values that a part of the library
// returns when it is asked how it is.
package snapshot

import (
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
)

// Collector takes a snapshot at each scrape and shows its families. It is safe
// for concurrent use if take is.
type Collector[T any] struct {
	take     func() T
	families []Family[T]
}

// New returns a collector.
func New[T any](take func() T, families ...Family[T]) *Collector[T] {
	return &Collector[T]{take: take, families: families}
}

// Describe implements [prom.Collector].
func (c *Collector[T]) Describe(descs chan<- *prom.Desc) {
	for _, f := range c.families {
		descs <- f.desc
	}
}

// Collect implements [prom.Collector].
func (c *Collector[T]) Collect(metrics chan<- prom.Metric) {
	value := c.take()
	for _, f := range c.families {
		f.each(value, func(v float64, labels ...string) {
			metrics <- prom.MustNewConstMetric(f.desc, f.kind, v, labels...)
		})
	}
}

// Family is one name with all its label values.
type Family[T any] struct {
	desc *prom.Desc
	kind prom.ValueType
	each func(value T, show Show)
}

// Show shows a number under the values of the family's labels.
type Show func(v float64, labels ...string)

// Gauge returns a family of one number that goes up and down.
func Gauge[T any](name, help string, value func(T) float64) Family[T] {
	return Gauges(name, help, nil, func(t T, show Show) { show(value(t)) })
}

// Counter returns a family of one number that only grows.
func Counter[T any](name, help string, value func(T) uint64) Family[T] {
	return Counters(name, help, nil, func(t T, show Show) { show(float64(value(t))) })
}

// Gauges returns a family with labels.
func Gauges[T any](name, help string, labels []string, each func(value T, show Show)) Family[T] {
	return Family[T]{prom.NewDesc("organic_"+name, help, labels, nil), prom.GaugeValue, each}
}

// Counters returns a family with labels whose numbers only grow.
func Counters[T any](name, help string, labels []string, each func(value T, show Show)) Family[T] {
	return Family[T]{prom.NewDesc("organic_"+name, help, labels, nil), prom.CounterValue, each}
}

// Truth returns 1 for true and 0 for false.
func Truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Unix returns a time in Unix seconds, 0 for the zero time.
func Unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}
