package prometheus_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/weights"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/stretchr/testify/require"

	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/prometheus/promaxon"
	"github.com/organic-scoring/organic/contrib/prometheus/promchain"
	"github.com/organic-scoring/organic/contrib/prometheus/promqueue"
	"github.com/organic-scoring/organic/contrib/prometheus/promrelay"
	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
)

const secret = "the words of a user"

// validator takes a second for each query, two for a reference. It fails at
// the rewards for the payload "fail", and for ever for "dead".
type validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string]
}

func (*validator) QueryMiners(
	context.Context,
	organic.Sample[string],
) (map[organic.UID]string, error) {
	time.Sleep(time.Second)
	return map[organic.UID]string{1: secret}, nil
}

func (*validator) GenerateReference(context.Context, organic.Sample[string]) (string, error) {
	time.Sleep(2 * time.Second)
	return secret, nil
}

func (*validator) GenerateRewards(
	_ context.Context, sample organic.Sample[string], _ map[organic.UID]string, _ string,
) (organic.Rewards, error) {
	time.Sleep(90 * time.Second)
	if strings.HasPrefix(sample.Payload, "fail") {
		return nil, errors.New("cannot judge " + secret)
	}
	return organic.Rewards{1: 1}, nil
}

func (*validator) SetWeights(context.Context, organic.Sample[string], organic.Rewards) error {
	return nil
}

func (*validator) LogResults(context.Context, *organic.Result[string, string]) error {
	return errors.New("disk full of " + secret)
}

// score runs two organic samples, of which one fails twice and is dead then, and
// returns the registry with all that was counted.
func score(t *testing.T) *prom.Registry {
	t.Helper()
	v := &validator{}
	metrics := organicprom.NewScorer(v)
	var err error
	v.OrganicScorer, err = organic.New(v,
		organic.WithObserver(metrics.Observe),
		organic.WithTrigger(organic.Seconds{Frequency: time.Second}),
		organic.WithRetry(organic.RetryPolicy{Attempts: 2}),
		organic.WithDeadLetter(func(context.Context, organic.Sample[string], error) error { return nil }))
	require.NoError(t, err)
	for _, payload := range []string{secret, "fail " + secret} {
		_, err = v.EnqueueSample(t.Context(), organic.Sample[string]{Payload: payload, Requester: secret})
		require.NoError(t, err)
	}
	require.NoError(t, v.Start(t.Context()))
	require.NoError(t, v.Drain(t.Context()))
	require.NoError(t, v.Stop(t.Context()))
	registry := prom.NewPedanticRegistry()
	registry.MustRegister(metrics)
	return registry
}

func TestScrapeCountsStagesOriginsOutcomesAndFates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scrape := text(t, score(t))
		failedRewards := `organic_stage_duration_seconds_bucket{` +
			`origin="organic",outcome="failed",stage="rewards",`
		for _, line := range []string{
			`organic_stage_duration_seconds_count{origin="organic",outcome="done",stage="query"} 3`,
			`organic_stage_duration_seconds_sum{origin="organic",outcome="done",stage="reference"} 6`,
			`organic_stage_duration_seconds_count{origin="organic",outcome="failed",stage="rewards"} 2`,
			failedRewards + `le="60"} 0`,
			failedRewards + `le="120"} 2`,
			`organic_stage_duration_seconds_count{origin="organic",outcome="failed",stage="log"} 1`,
			`organic_iteration_duration_seconds_count{origin="organic",outcome="scored"} 1`,
			`organic_iteration_duration_seconds_count{origin="organic",outcome="failed"} 2`,
			`organic_sample_wait_seconds_count{origin="organic"} 3`,
			`organic_sample_lost_age_seconds_count{fate="dead"} 1`,
			`organic_samples_accepted_total 2`,
			`organic_samples_ended_total{fate="scored",origin="organic"} 1`,
			`organic_samples_ended_total{fate="dead",origin="organic"} 1`,
			`organic_samples_requeued_total{counted="true"} 1`,
			`organic_iterations_failed_total{origin="organic"} 2`,
			`organic_errors_total{part="log"} 1`,
			`organic_iterations_in_flight{origin="organic"} 0`,
			`organic_running 0`,
		} {
			require.Contains(t, scrape, line+"\n")
		}
	})
}

func TestScrapeHoldsNoPayloadRequesterOrError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		require.NotContains(t, text(t, score(t)), "words")
	})
}

func TestCollectorOfAnUnbuiltScorerShowsZeros(t *testing.T) {
	t.Parallel()
	registry := prom.NewPedanticRegistry()
	registry.MustRegister(organicprom.NewScorer(&validator{}))
	require.Contains(t, text(t, registry), "organic_samples_accepted_total 0\n")
}

// everything returns a registry with all collectors.
func everything(t *testing.T) *prom.Registry {
	t.Helper()
	registry := prom.NewPedanticRegistry()
	metrics := organicprom.NewScorer(&validator{})
	for kind := organic.EventAccepted; kind <= organic.EventResumed; kind++ {
		metrics.Observe(organic.Event{Kind: kind, Stage: organic.StageQuery, Duration: time.Second})
	}
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
	require.NoError(t, err)
	none := func() int { return 0 }
	registry.MustRegister(
		metrics,
		promqueue.New(promqueue.Queue{
			Capacity: 1, Size: queue.Size, Leased: none, DeadLetters: none,
			OldestWaiting: func() time.Duration { return 0 },
		}),
		promrelay.New(
			relayed{},
		),
		promweights.NewSetter(set{}, time.Hour),
		promweights.NewScores(set{}.scores()),
		promaxon.New(
			func() promaxon.Stats[string] {
				return promaxon.Stats[string]{Refused: map[string]uint64{"stale": 1}}
			},
		),
		promchain.New(func() promchain.Stats { return promchain.Stats{} }),
	)
	return registry
}

type relayed struct{}

func (relayed) Stats() relay.Stats { return relay.Stats{Whole: 1} }

type set struct{}

func (set) Status() weights.Status {
	now := time.Now()
	return weights.Status{LastSet: now, NextDue: now}
}

func (set) scores() promweights.ScoresSource { return standing{} }

type standing struct{}

func (standing) Standings() []weights.Standing {
	return []weights.Standing{
		{UID: 1, Organic: weights.Track{Count: 1}, Synthetic: weights.Track{Count: 1}},
	}
}

func (standing) Status() weights.ScoresStatus {
	return weights.ScoresStatus{Guards: []weights.GuardStatus{{Name: "RampUp"}}}
}

func TestNamesAndHelpOfAllMetricsFollowTheConventions(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(everything(t))
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestPromtool runs promtool of Debian's package prometheus, which has to be
// installed, over a scrape of all collectors and over the alert rules.
func TestPromtool(t *testing.T) {
	t.Parallel()
	if os.Getenv("PROMTOOL") == "" {
		t.Skip("set PROMTOOL=1 where promtool is installed, as make metrics-check does")
	}
	tests := []struct {
		name string
		args []string
		in   string
	}{
		{"metrics", []string{"check", "metrics", "--extended"}, text(t, everything(t))},
		{"rules", []string{"check", "rules", "--lint-fatal", "rules.yml"}, ""},
		{"alerts", []string{"test", "rules", "rules_test.yml"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "promtool", test.args...)
			cmd.Stdin = strings.NewReader(test.in)
			out, err := cmd.CombinedOutput()
			require.NoErrorf(t, err, "%s", out)
		})
	}
}

func TestEachAlertUsesMetricsThatExist(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("rules.yml")
	require.NoError(t, err)
	families := map[string]bool{}
	for _, f := range gathered(t, everything(t)) {
		families[f.GetName()] = true
	}
	used := 0
	for word := range strings.FieldsFuncSeq(string(rules), func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z')
	}) {
		if strings.HasPrefix(word, "organic_") {
			used++
			require.Containsf(t, families, word, "in rules.yml")
		}
	}
	require.Greater(t, used, 10)
}

func gathered(t *testing.T, registry *prom.Registry) []*dto.MetricFamily {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	return families
}

func text(t *testing.T, registry *prom.Registry) string {
	t.Helper()
	var out bytes.Buffer
	for _, f := range gathered(t, registry) {
		_, err := expfmt.MetricFamilyToText(&out, f)
		require.NoError(t, err)
	}
	return out.String()
}

// BenchmarkObserve compares an event with its floor, the same observation of a histogram
// with the same labels.
func BenchmarkObserve(b *testing.B) {
	b.Run("event/organic", func(b *testing.B) {
		metrics := organicprom.NewScorer(&validator{})
		e := organic.Event{
			Kind: organic.EventStageDone, Stage: organic.StageQuery, Duration: time.Second,
		}
		b.ReportAllocs()
		for b.Loop() {
			metrics.Observe(e)
		}
	})
	b.Run("event/floor", func(b *testing.B) {
		histogram := prom.NewHistogramVec(prom.HistogramOpts{
			Buckets: prom.ExponentialBuckets(.005, 2, 17),
		}, []string{"stage", "origin", "outcome"})
		b.ReportAllocs()
		for b.Loop() {
			histogram.WithLabelValues("query", "organic", "done").Observe(1)
		}
	})
}
