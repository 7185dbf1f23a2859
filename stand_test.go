package organic_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

type (
	promptHooks  = organictest.HookFuncs[string, string]
	promptSample = organic.Sample[string]
	promptScorer = organic.OrganicScorer[string, string]
	promptResult = organic.Result[string, string]
	promptLease  = organic.Lease[string]
)

var errMishap = errors.New("hook failed")

// eager is a trigger that is due whenever there is something to score.
var eager = organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond})

// stand is a scorer on the test stand: its events and log lines are kept.
type stand struct {
	*promptScorer

	t     *testing.T
	logs  *observer.ObservedLogs
	begun time.Time

	mu     sync.Mutex // guards events
	events []organic.Event
}

func newStand(t *testing.T, hooks promptHooks, opts ...organic.Option) *stand {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := &stand{t: t, logs: logs, begun: time.Now()}
	opts = append([]organic.Option{eager, organic.WithObserver(s.observe), organic.WithLogger(zap.New(core))}, opts...)
	scorer, err := organic.New(hooks, opts...)
	require.NoError(t, err)
	s.promptScorer = scorer
	return s
}

func (s *stand) observe(e organic.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// all returns the events so far, or those of some kinds.
func (s *stand) all(kinds ...organic.EventKind) []organic.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.events), func(e organic.Event) bool {
		return len(kinds) > 0 && !slices.Contains(kinds, e.Kind)
	})
}

// one returns the only event of a kind.
func (s *stand) one(kind organic.EventKind) organic.Event {
	s.t.Helper()
	events := s.all(kind)
	require.Lenf(s.t, events, 1, "%v", kind)
	return events[0]
}

// at returns when, counted from the beginning, the events of a kind were.
func (s *stand) at(kind organic.EventKind) []time.Duration {
	var times []time.Duration
	for _, e := range s.all(kind) {
		times = append(times, e.Time.Sub(s.begun))
	}
	return times
}

func (s *stand) enqueue(payloads ...string) (id string) {
	s.t.Helper()
	for _, payload := range payloads {
		var err error
		id, err = s.Enqueue(s.t.Context(), payload)
		require.NoError(s.t, err)
	}
	return id
}

// start starts the scorer, and returns its hard stop.
func (s *stand) start() (kill context.CancelFunc) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	require.NoError(s.t, s.Start(ctx))
	return cancel
}

// stop stops the scorer and has its books balanced.
func (s *stand) stop() organic.Stats {
	s.t.Helper()
	require.NoError(s.t, s.Stop(context.Background()))
	stats := s.Stats()
	require.Equal(s.t, stats.Accepted,
		stats.Scored+stats.Dead+stats.Dropped+stats.Expired+stats.Discarded+uint64(stats.Queued),
		"every sample is accounted for: %+v", stats)
	require.Zero(s.t, stats.Delayed)
	require.Zero(s.t, stats.InFlight)
	require.Zero(s.t, stats.InFlightOrganic)
	require.Zero(s.t, stats.Overdue)
	require.False(s.t, stats.Running)
	return stats
}

// runFor lets the scorer run for some time, in a bubble.
func (s *stand) runFor(d time.Duration) organic.Stats {
	s.t.Helper()
	s.start()
	time.Sleep(d)
	return s.stop()
}

// drain lets the scorer run until nothing organic is left, in a bubble.
func (s *stand) drain() organic.Stats {
	s.t.Helper()
	s.start()
	require.NoError(s.t, s.Drain(s.t.Context()))
	return s.stop()
}

// hookDiary notes what was called and when. It is safe for concurrent use.
type hookDiary struct {
	begun time.Time

	mu    sync.Mutex // guards lines
	lines []string
	times []time.Duration
}

func newHookDiary() *hookDiary { return &hookDiary{begun: time.Now()} }

// add returns how many lines there are with this one.
func (j *hookDiary) add(line string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	j.times = append(j.times, time.Since(j.begun))
	return len(j.lines)
}

func (j *hookDiary) noted() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *hookDiary) when() []time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.times)
}

// fiveHooks makes hooks that call one function, which is told the stage and
// the ctx, and that otherwise do nothing. Rewards are 1 for UID 0.
func fiveHooks(do func(ctx context.Context, stage organic.Stage) error) promptHooks {
	return promptHooks{
		QueryMinersFunc: func(ctx context.Context, _ promptSample) (map[organic.UID]string, error) {
			return map[organic.UID]string{0: "answer"}, do(ctx, organic.StageQuery)
		},
		GenerateReferenceFunc: func(ctx context.Context, _ promptSample) (string, error) {
			return "reference", do(ctx, organic.StageReference)
		},
		GenerateRewardsFunc: func(ctx context.Context, _ promptSample, _ map[organic.UID]string, _ string) (organic.Rewards, error) {
			return organic.Rewards{0: 1}, do(ctx, organic.StageRewards)
		},
		SetWeightsFunc: func(ctx context.Context, _ promptSample, _ organic.Rewards) error {
			return do(ctx, organic.StageWeights)
		},
		LogResultsFunc: func(ctx context.Context, _ *promptResult) error { return do(ctx, organic.StageLog) },
	}
}

// failing makes hooks of which one stage always fails.
func failing(stage organic.Stage, err error) promptHooks {
	return fiveHooks(func(_ context.Context, s organic.Stage) error {
		if s == stage {
			return err
		}
		return nil
	})
}

// hookStages are the stages that have a hook of the pipeline.
var hookStages = []organic.Stage{
	organic.StageQuery, organic.StageReference, organic.StageRewards, organic.StageWeights, organic.StageLog,
}

// stagesOf lists the stages that an error tells of, joined ones in order.
func stagesOf(err error) []organic.Stage {
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case nil:
		return nil
	case *organic.StageError:
		return append([]organic.Stage{e.Stage}, stagesOf(e.Err)...)
	case interface{ Unwrap() []error }:
		var stages []organic.Stage
		for _, inner := range e.Unwrap() {
			stages = append(stages, stagesOf(inner)...)
		}
		return stages
	default:
		return stagesOf(errors.Unwrap(err))
	}
}
