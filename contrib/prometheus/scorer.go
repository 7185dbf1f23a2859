package prometheus

import (
	"time"

	"github.com/organic-scoring/organic"
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/organic-scoring/organic/contrib/prometheus/internal/snapshot"
)

// buckets are the upper bounds of all histograms, in seconds: from the 5 ms of
// a quick hook to the ten minutes of a slow one.
var buckets = []float64{
	.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600,
}

// StatsSource is a scorer, or the validator that embeds it. A scrape calls Stats,
// from any goroutine.
type StatsSource interface {
	Stats() organic.Stats
}

// Scorer is the collector of an [organic.OrganicScorer]. It counts what
// [Scorer.Observe] receives since it was made, and what Stats counts since the
// scorer was made. It is safe for concurrent use.
type Scorer struct {
	stats *snapshot.Collector[organic.Stats]

	stages     *prom.HistogramVec // by stage, origin, outcome
	iterations *prom.HistogramVec // by origin, outcome
	waits      *prom.HistogramVec // by origin
	ages       *prom.HistogramVec // by fate
	retries    *prom.CounterVec   // by stage, origin
}

// NewScorer returns the collector of a scorer. The source may be a validator
// whose OrganicScorer is still nil: Stats is called by scrapes only. Register
// the collector after organic.New.
func NewScorer(source StatsSource) *Scorer {
	histogram := func(name, help string, labels ...string) *prom.HistogramVec {
		return prom.NewHistogramVec(prom.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &Scorer{
		stats: snapshot.New(
			func() organic.Stats { return source.Stats() }, // not source.Stats, which needs the scorer now
			append(counters(), gauges()...)...,
		),
		stages: histogram(
			"organic_stage_duration_seconds",
			"How long the stages of iterations took, by outcome: done or failed.",
			"stage",
			"origin",
			"outcome",
		),
		iterations: histogram("organic_iteration_duration_seconds",
			"How long iterations took, by outcome: scored, failed or interrupted.", "origin", "outcome"),
		waits: histogram("organic_sample_wait_seconds",
			"Age of the samples that iterations have taken.", "origin"),
		ages: histogram("organic_sample_lost_age_seconds",
			"Age of the samples that ended without being scored, by fate.", "fate"),
		retries: prom.NewCounterVec(prom.CounterOpts{
			Name: "organic_stage_retries_total",
			Help: "Calls of a hook that failed and were repeated within the iteration.",
		}, []string{"stage", "origin"}),
	}
}

// Observe counts an event. Give it to [organic.WithObserver].
func (s *Scorer) Observe(e organic.Event) {
	origin := e.Origin.String()
	switch e.Kind {
	case organic.EventStageDone:
		observe(s.stages, e.Duration, e.Stage.String(), origin, "done")
	case organic.EventStageFailed, organic.EventLogFailed:
		observe(s.stages, e.Duration, e.Stage.String(), origin, "failed")
	case organic.EventStageRetried:
		s.retries.WithLabelValues(e.Stage.String(), origin).Inc()
	case organic.EventStarted:
		observe(s.waits, e.Duration, origin)
	case organic.EventScored, organic.EventFailed, organic.EventInterrupted:
		observe(s.iterations, e.Duration, origin, e.Kind.String())
	case organic.EventDead, organic.EventDiscarded, organic.EventDropped, organic.EventExpired:
		observe(s.ages, e.Duration, e.Kind.String())
	default: // is in Stats, or no number
	}
}

func observe(histogram *prom.HistogramVec, d time.Duration, labels ...string) {
	histogram.WithLabelValues(labels...).Observe(d.Seconds())
}

// Describe implements [prom.Collector].
func (s *Scorer) Describe(descs chan<- *prom.Desc) {
	for _, c := range s.collectors() {
		c.Describe(descs)
	}
}

// Collect implements [prom.Collector].
func (s *Scorer) Collect(metrics chan<- prom.Metric) {
	for _, c := range s.collectors() {
		c.Collect(metrics)
	}
}

func (s *Scorer) collectors() []prom.Collector {
	return []prom.Collector{s.stats, s.stages, s.iterations, s.waits, s.ages, s.retries}
}
