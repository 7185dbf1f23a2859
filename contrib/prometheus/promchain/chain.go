// Package promchain shows the connection to the chain to Prometheus.
package promchain

import (
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/organic-scoring/organic/contrib/prometheus/internal/snapshot"
)

// Stats is how the connection to the chain is: the numbers of subtensor.Stats,
// without its module. Stats are a plain value.
type Stats struct {
	Connected   bool   // whether a node is in use
	Connections uint64 // connections made
	Failures    uint64 // attempts that failed
	Resent      uint64 // requests that were sent again over a new connection
	Spec        uint32 // spec version of the runtime
}

// New returns a collector for a client of the chain. A scrape calls stats, from
// any goroutine. The collector is safe for concurrent use.
//
//	promchain.New(func() promchain.Stats {
//		s := client.Stats()
//		return promchain.Stats{
//			Connected: s.Endpoint != "", Connections: s.Connections,
//			Failures: s.Failures, Resent: s.Resent, Spec: s.Version.Spec,
//		}
//	})
func New(stats func() Stats) prom.Collector {
	return snapshot.New(stats,
		snapshot.Gauge("chain_connected", "1 while a node of the chain is in use, else 0.",
			func(s Stats) float64 { return snapshot.Truth(s.Connected) }),
		snapshot.Counter("chain_connections_total", "Connections made to nodes.",
			func(s Stats) uint64 { return s.Connections }),
		snapshot.Counter("chain_connection_failures_total", "Attempts to connect that failed.",
			func(s Stats) uint64 { return s.Failures }),
		snapshot.Counter("chain_requests_resent_total", "Requests that were sent again over a new connection.",
			func(s Stats) uint64 { return s.Resent }),
		snapshot.Gauge("chain_spec_version", "Spec version of the runtime at the node's best block.",
			func(s Stats) float64 { return float64(s.Spec) }),
	)
}
