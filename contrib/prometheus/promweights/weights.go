// Package promweights shows the scores and the setter of contrib/weights to
// Prometheus.
package promweights

import (
	"errors"
	"strconv"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/organic-scoring/organic/contrib/prometheus/internal/snapshot"
)

// SetterSource is a [weights.Setter]. A scrape calls Status, from any goroutine.
type SetterSource interface {
	Status() weights.Status
}

// NewSetter returns a collector for a setter. Tempo is how long an epoch of the
// subnet lasts, 360 blocks of 12 s (72 minutes) on most; the alert rules compare
// with it. The collector is safe for concurrent use.
func NewSetter(source SetterSource, tempo time.Duration) prom.Collector {
	observed := time.Now()
	families := append(progress(),
		snapshot.Gauge("weights_tempo_seconds", "How long an epoch of the subnet lasts.",
			func(weights.Status) float64 { return tempo.Seconds() }),
		snapshot.Gauge("weights_observed_since_timestamp_seconds", "Since when the setter is observed.",
			func(weights.Status) float64 { return snapshot.Unix(observed) }),
	)
	return snapshot.New(source.Status, append(families, trouble()...)...)
}

// progress lists what the setter has done and will do.
func progress() []snapshot.Family[weights.Status] {
	return []snapshot.Family[weights.Status]{
		snapshot.Gauges("weights_last_set_timestamp_seconds",
			"When the chain last set the weights; absent if never.",
			nil, func(s weights.Status, show snapshot.Show) {
				if !s.LastSet.IsZero() {
					show(snapshot.Unix(s.LastSet))
				}
			}),
		snapshot.Gauges(
			"weights_next_due_timestamp_seconds",
			"When weights are next due; absent if not known.",
			nil,
			func(s weights.Status, show snapshot.Show) {
				if !s.NextDue.IsZero() {
					show(snapshot.Unix(s.NextDue))
				}
			},
		),
		snapshot.Gauge("weights_entries", "Weights in the last set.",
			func(s weights.Status) float64 { return float64(s.Entries) }),
		snapshot.Counters("weights_submissions_total", "Submissions that have ended, by outcome.",
			[]string{"outcome"}, func(s weights.Status, show snapshot.Show) {
				show(float64(s.Sets), "set")
				show(float64(s.Lost), "lost")
			}),
		snapshot.Gauges("weights_pending", "Submissions under way, by how far they have come.",
			[]string{"state"}, func(s weights.Status, show snapshot.Show) {
				counts := map[weights.State]int{weights.Submitted: 0, weights.Included: 0, weights.Committed: 0}
				for _, p := range s.Pending {
					counts[p.State]++
				}
				for state, count := range counts {
					show(float64(count), state.String())
				}
			}),
		snapshot.Gauge("weights_running", "1 while the setter runs, else 0.",
			func(s weights.Status) float64 { return snapshot.Truth(s.Running) }),
		snapshot.Gauge("weights_held", "1 while the first weights wait for the warm-up, else 0.",
			func(s weights.Status) float64 { return snapshot.Truth(s.Held != "") }),
	}
}

// trouble lists what hinders the setter.
func trouble() []snapshot.Family[weights.Status] {
	return []snapshot.Family[weights.Status]{
		snapshot.Gauge("weights_failed_tries", "Tries that have failed in a row.",
			func(s weights.Status) float64 { return float64(s.Failures) }),
		snapshot.Gauge("weights_stopped", "1 if no try follows before Recheck, else 0.",
			func(s weights.Status) float64 { return snapshot.Truth(s.Stopped) }),
		snapshot.Gauge(
			"weights_call_overdue",
			"1 while a call of the chain or the source overstays its timeout, else 0.",
			func(s weights.Status) float64 { return snapshot.Truth(s.Overdue) },
		),
		snapshot.Gauges("weights_error", "1 for the reason of the failed tries, else 0.",
			[]string{"reason"}, func(s weights.Status, show snapshot.Show) {
				current := reasonOf(s)
				for _, reason := range reasons {
					show(snapshot.Truth(reason.name == current), reason.name)
				}
				show(snapshot.Truth(current == "other"), "other")
			}),
	}
}

var reasons = []struct {
	name string
	err  error
}{
	{"clock", weights.ErrClock},
	{"too_soon", weights.ErrTooSoon},
	{"not_registered", weights.ErrNotRegistered},
	{"no_stake", weights.ErrNoStake},
	{"no_permit", weights.ErrNoPermit},
	{"version_key", weights.ErrVersionKey},
	{"unsupported", weights.ErrUnsupported},
	{"vector", weights.ErrVector},
	{"subnet", weights.ErrSubnet},
	{"refused", weights.ErrRefused},
	{"retry", weights.ErrRetry},
	{"no_scores", weights.ErrNoScores},
}

// reasonOf returns the name of why tries fail, "" if they do not.
func reasonOf(s weights.Status) string {
	if s.Err == nil || (s.Failures == 0 && !s.Stopped) {
		return ""
	}
	for _, reason := range reasons {
		if errors.Is(s.Err, reason.err) {
			return reason.name
		}
	}
	return "other"
}

// ScoresSource is [weights.Scores]. A scrape calls the methods, from any goroutine.
type ScoresSource interface {
	Standings() []weights.Standing
	Status() weights.ScoresStatus
}

// NewScores returns a collector for scores: a few numbers for each UID, so at most
// as many series as the subnet has miners, four times. It is safe for concurrent
// use.
func NewScores(source ScoresSource) prom.Collector {
	return snapshot.New(func() scores { return scores{source.Standings(), source.Status()} },
		snapshot.Gauges("miner_score", "Score of a miner.",
			[]string{"uid"}, func(s scores, show snapshot.Show) {
				for _, m := range s.standings {
					show(m.Score, strconv.Itoa(int(m.UID)))
				}
			}),
		snapshot.Gauges("miner_mean_reward", "Average reward of a miner that was rewarded, by origin.",
			[]string{"uid", "origin"}, func(s scores, show snapshot.Show) {
				for _, m := range s.standings {
					uid := strconv.Itoa(int(m.UID))
					showTrack(show, m.Organic, uid, "organic")
					showTrack(show, m.Synthetic, uid, "synthetic")
				}
			}),
		snapshot.Counter("rewards_clamped_total", "Rewards outside the range.",
			func(s scores) uint64 { return s.status.Clamped }),
		snapshot.Gauge("miners", "Neurons of the metagraph.",
			func(s scores) float64 { return float64(s.status.Neurons) }),
		snapshot.Gauge("scores_void", "1 if rewards were earned and no score is above 0, else 0.",
			func(s scores) float64 { return snapshot.Truth(s.status.Void) }),
		snapshot.Gauges("guard_affected", "Scores that a guard changes.",
			[]string{"guard"}, func(s scores, show snapshot.Show) {
				for _, g := range s.status.Guards {
					show(float64(g.Affected), g.Name)
				}
			}),
	)
}

type scores struct {
	standings []weights.Standing
	status    weights.ScoresStatus
}

func showTrack(show snapshot.Show, track weights.Track, labels ...string) {
	if track.Count > 0 {
		show(track.Mean, labels...)
	}
}
