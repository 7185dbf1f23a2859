package prometheus

import (
	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/contrib/prometheus/internal/snapshot"
)

// counters lists what a scrape shows of the counters of organic.Stats.
func counters() []snapshot.Family[organic.Stats] {
	return []snapshot.Family[organic.Stats]{
		snapshot.Counter("samples_accepted_total", "Samples that Enqueue has put into the queue.",
			func(s organic.Stats) uint64 { return s.Accepted }),
		snapshot.Counter("samples_refused_total", "Samples that the queue has refused at Enqueue.",
			func(s organic.Stats) uint64 { return s.Refused }),
		snapshot.Counters("samples_ended_total", "Samples that have ended, by fate.",
			[]string{"origin", "fate"}, func(s organic.Stats, show snapshot.Show) {
				show(float64(s.Scored), "organic", "scored")
				show(float64(s.Dead), "organic", "dead")
				show(float64(s.Dropped), "organic", "dropped")
				show(float64(s.Expired), "organic", "expired")
				show(float64(s.Discarded), "organic", "discarded")
				show(float64(s.SyntheticScored), "synthetic", "scored")
				show(float64(s.SyntheticFailed), "synthetic", "failed")
			}),
		snapshot.Counters("samples_requeued_total",
			"Samples that came back to the queue, by whether that counts as an attempt.",
			[]string{"counted"}, func(s organic.Stats, show snapshot.Show) {
				show(float64(s.Retried), "true")
				show(float64(s.Returned), "false")
			}),
		snapshot.Counters("iterations_failed_total", "Iterations that have failed.",
			[]string{"origin"}, func(s organic.Stats, show snapshot.Show) {
				show(float64(s.Failed), "organic")
				show(float64(s.SyntheticFailed), "synthetic")
			}),
		snapshot.Counters("errors_total", "Failures other than those of iterations, by what failed.",
			[]string{"part"}, func(s organic.Stats, show snapshot.Show) {
				show(float64(s.DeadLetterFailed), "dead_letter")
				show(float64(s.LogFailed), "log")
				show(float64(s.SettleFailed), "settle")
				show(float64(s.PutBackFailed), "put_back")
				show(float64(s.SourceFailed), "source")
				show(float64(s.EntryFailed), "entry")
			}),
	}
}

// gauges lists what a scrape shows of the gauges of organic.Stats.
func gauges() []snapshot.Family[organic.Stats] {
	return []snapshot.Family[organic.Stats]{
		snapshot.Gauge("samples_queued", "Samples that wait in the queue.",
			func(s organic.Stats) float64 { return float64(s.Queued) }),
		snapshot.Gauge(
			"samples_delayed",
			"Samples that the scorer holds until they may go back to the queue.",
			func(s organic.Stats) float64 { return float64(s.Delayed) },
		),
		snapshot.Gauges("iterations_in_flight", "Iterations in flight.",
			[]string{"origin"}, func(s organic.Stats, show snapshot.Show) {
				show(float64(s.InFlightOrganic), "organic")
				show(float64(max(s.InFlight-s.InFlightOrganic, 0)), "synthetic")
			}),
		snapshot.Gauge("oldest_in_flight_seconds", "How long the oldest iteration has been in flight.",
			func(s organic.Stats) float64 { return s.OldestInFlight.Seconds() }),
		snapshot.Gauge("hooks_overdue", "Hooks that still run after the timeout of their stage.",
			func(s organic.Stats) float64 { return float64(s.Overdue) }),
		snapshot.Gauge("hooks_abandoned", "Hooks that were abandoned and still run.",
			func(s organic.Stats) float64 { return float64(s.Abandoned) }),
		snapshot.Gauge(
			"loop_backoff_seconds",
			"Wait between two starts while the loop is in back-off, else 0.",
			func(s organic.Stats) float64 { return s.LoopBackoff.Seconds() },
		),
		snapshot.Gauge("last_scored_timestamp_seconds", "When a sample was last scored, 0 if never.",
			func(s organic.Stats) float64 { return snapshot.Unix(s.LastScored) }),
		snapshot.Gauge("running", "1 between Start and the request to stop, else 0.",
			func(s organic.Stats) float64 { return snapshot.Truth(s.Running) }),
		snapshot.Gauge("paused", "1 between Pause and Resume, else 0.",
			func(s organic.Stats) float64 { return snapshot.Truth(s.Paused) }),
	}
}
