// Package promrelay shows a relay of contrib/relay to Prometheus.
package promrelay

import (
	"github.com/organic-scoring/organic/contrib/relay"
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/organic-scoring/organic/contrib/prometheus/internal/snapshot"
)

// Source is a [relay.Relay]. A scrape calls Stats, from any goroutine.
type Source interface {
	Stats() relay.Stats
}

// New returns a collector for a relay. It is safe for concurrent use.
func New(source Source) prom.Collector {
	return snapshot.New(
		source.Stats,
		snapshot.Counter("relay_queries_total", "Queries whose miners were asked.",
			func(s relay.Stats) uint64 { return s.Begun }),
		snapshot.Counter(
			"relay_queries_refused_total",
			"Queries that were refused because of a limit or a stop.",
			func(s relay.Stats) uint64 { return s.Refused },
		),
		snapshot.Counter("relay_queries_completed_total", "Queries whose answers are complete.",
			func(s relay.Stats) uint64 { return s.Completed }),
		snapshot.Counter(
			"relay_done_errors_total",
			"Failures of the function that takes complete answers.",
			func(s relay.Stats) uint64 { return s.DoneFailed },
		),
		snapshot.Counters("relay_streams_total", "Streams to requesters that have ended, by outcome.",
			[]string{"outcome"}, func(s relay.Stats, show snapshot.Show) {
				show(float64(s.Whole), "whole")
				show(float64(s.Failed), "failed")
				show(float64(s.TooSlow), "too_slow")
				show(float64(s.Left), "left")
			}),
		snapshot.Gauge("relay_open", "Relays that are open.",
			func(s relay.Stats) float64 { return float64(s.Open) }),
		snapshot.Gauge("relay_in_flight_bytes", "Bytes that open relays hold.",
			func(s relay.Stats) float64 { return float64(s.InFlight) }),
		snapshot.Gauge("relay_kept", "Queries whose answers are kept for scoring.",
			func(s relay.Stats) float64 { return float64(s.Kept) }),
		snapshot.Gauge("relay_kept_bytes", "Memory of the answers that are kept, about.",
			func(s relay.Stats) float64 { return float64(s.KeptBytes) }),
	)
}
