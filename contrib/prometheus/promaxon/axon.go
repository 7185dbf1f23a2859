// Package promaxon shows an axon to Prometheus.
package promaxon

import (
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/organic-scoring/organic/contrib/prometheus/internal/snapshot"
)

// Stats is what an axon has counted and holds: the numbers of axon.Stats, without
// its module. R is the type of the reasons, whose values must be a fixed list.
// Stats are a plain value.
type Stats[R ~string] struct {
	Verified uint64       // requests that passed all checks
	Served   uint64       // verified requests that were answered without an error
	Refused  map[R]uint64 // all others, by reason

	Reading int // bodies that are being read
	Serving int // requests that are being served
	Waiting int // verified requests that wait for their turn
}

// New returns a collector for an axon. A scrape calls stats, from any goroutine.
// The collector is safe for concurrent use.
//
//	promaxon.New(func() promaxon.Stats[axon.Reason] {
//		s := server.Stats()
//		return promaxon.Stats[axon.Reason]{
//			Verified: s.Verified, Served: s.Served, Refused: s.Refused,
//			Reading: s.Reading, Serving: s.Serving, Waiting: s.Waiting,
//		}
//	})
func New[R ~string](stats func() Stats[R]) prom.Collector {
	return snapshot.New(stats,
		snapshot.Counter("axon_requests_verified_total", "Requests that passed all checks of the axon.",
			func(s Stats[R]) uint64 { return s.Verified }),
		snapshot.Counter("axon_requests_served_total", "Verified requests that were answered without an error.",
			func(s Stats[R]) uint64 { return s.Served }),
		snapshot.Counters("axon_requests_refused_total", "Requests that were refused, by reason.",
			[]string{"reason"}, func(s Stats[R], show snapshot.Show) {
				for reason, count := range s.Refused {
					show(float64(count), string(reason))
				}
			}),
		snapshot.Gauges("axon_requests", "Requests of this moment, by what they do.",
			[]string{"state"}, func(s Stats[R], show snapshot.Show) {
				show(float64(s.Reading), "reading")
				show(float64(s.Serving), "serving")
				show(float64(s.Waiting), "waiting")
			}),
	)
}
