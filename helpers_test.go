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

var errFailed = errors.New("hook failed")

// eager is a trigger that is due whenever there is something to score.
var eager = organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond})

// testScorer is a scorer whose events and log lines are kept.
type testScorer struct {
	*promptScorer

	t     *testing.T
	logs  *observer.ObservedLogs
	begun time.Time

	mu     sync.Mutex // guards events
	events []organic.Event
}

func newTestScorer(t *testing.T, hooks promptHooks, opts ...organic.Option) *testScorer {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := &testScorer{t: t, logs: logs, begun: time.Now()}
	opts = append([]organic.Option{
		eager, organic.WithObserver(s.observe),
		organic.WithLogger(zap.New(core)),
	}, opts...)
	scorer, err := organic.New(hooks, opts...)
	require.NoError(t, err)
	s.promptScorer = scorer
	return s
}

func (s *testScorer) observe(e organic.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// all returns the events so far, or those of some kinds.
func (s *testScorer) all(kinds ...organic.EventKind) []organic.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.events), func(e organic.Event) bool {
		return len(kinds) > 0 && !slices.Contains(kinds, e.Kind)
	})
}

// one returns the only event of a kind.
func (s *testScorer) one(kind organic.EventKind) organic.Event {
	s.t.Helper()
	events := s.all(kind)
	require.Lenf(s.t, events, 1, "%v", kind)
	return events[0]
}

// at returns when, counted from the beginning, the events of a kind were.
func (s *testScorer) at(kind organic.EventKind) []time.Duration {
	var times []time.Duration
	for _, e := range s.all(kind) {
		times = append(times, e.Time.Sub(s.begun))
	}
	return times
}

func (s *testScorer) enqueue(payloads ...string) (id string) {
	s.t.Helper()
	for _, payload := range payloads {
		var err error
		id, err = s.Enqueue(s.t.Context(), payload)
		require.NoError(s.t, err)
	}
	return id
}

// start starts the scorer, and returns its hard stop.
func (s *testScorer) start() (kill context.CancelFunc) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	require.NoError(s.t, s.Start(ctx))
	return cancel
}

// stop stops the scorer and has its books balanced.
func (s *testScorer) stop() organic.Stats {
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
func (s *testScorer) runFor(d time.Duration) organic.Stats {
	s.t.Helper()
	s.start()
	time.Sleep(d)
	return s.stop()
}

// drain lets the scorer run until nothing organic is left, in a bubble.
func (s *testScorer) drain() organic.Stats {
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

// fiveHooks makes hooks that call one function, which gets the stage and
// the ctx, and that otherwise do nothing. Rewards are 1 for UID 0.
func fiveHooks(do func(ctx context.Context, stage organic.Stage) error) promptHooks {
	return promptHooks{
		QueryMinersFunc: func(ctx context.Context, _ promptSample) (map[organic.UID]string, error) {
			return map[organic.UID]string{0: "answer"}, do(ctx, organic.StageQuery)
		},
		GenerateReferenceFunc: func(ctx context.Context, _ promptSample) (string, error) {
			return "reference", do(ctx, organic.StageReference)
		},
		GenerateRewardsFunc: func(
			ctx context.Context, _ promptSample, _ map[organic.UID]string, _ string,
		) (organic.Rewards, error) {
			return organic.Rewards{0: 1}, do(ctx, organic.StageRewards)
		},
		SetWeightsFunc: func(ctx context.Context, _ promptSample, _ organic.Rewards) error {
			return do(ctx, organic.StageWeights)
		},
		LogResultsFunc: func(
			ctx context.Context, _ *promptResult,
		) error {
			return do(ctx, organic.StageLog)
		},
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
	organic.StageQuery, organic.StageReference, organic.StageRewards, organic.StageWeights,
	organic.StageLog,
}

// stagesOf lists the stages in an error, joined ones in order.
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

// noAnswers is what QueryMiners returns when no miner answered.
var noAnswers map[organic.UID]string

// endless is a dataset that always has something.
var endless = organic.SynthFunc[string](func(context.Context) (string, error) {
	return "synthetic",
		nil
})

// build makes a scorer that comes to rest when the test or bubble ends.
func build(
	t *testing.T, hooks organic.Hooks[string, string], opts ...organic.Option,
) *promptScorer {
	t.Helper()
	s, err := organic.New(hooks, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// run builds and starts a scorer.
func run(t *testing.T, hooks organic.Hooks[string, string], opts ...organic.Option) *promptScorer {
	t.Helper()
	s := build(t, hooks, opts...)
	require.NoError(t, s.Start(t.Context()))
	return s
}

// stopAside stops a scorer in a goroutine of its own.
func stopAside(t *testing.T, s *promptScorer) {
	t.Helper()
	go func() { _ = s.Stop(t.Context()) }() // Done reports the end
}

// enqueue puts n samples into the queue.
func enqueue(t *testing.T, s *promptScorer, n int) {
	t.Helper()
	for range n {
		_, err := s.Enqueue(t.Context(), "text")
		require.NoError(t, err)
	}
}

// journal notes when things happen, counted from its own beginning.
type journal struct {
	begun time.Time
	mu    sync.Mutex // guards at
	at    []time.Duration
}

func newJournal() *journal { return &journal{begun: time.Now()} }

func (j *journal) note() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.at = append(j.at, time.Since(j.begun))
}

func (j *journal) times() []time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.at)
}

func (j *journal) count() int { return len(j.times()) }

// hooks note the start of each iteration and take their time with the query.
func (j *journal) hooks(took time.Duration) promptHooks {
	return promptHooks{QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string,
		error,
	) {
		j.note()
		time.Sleep(took)
		return noAnswers, nil
	}}
}

// every returns n times that follow each other at an interval.
func every(interval time.Duration, n int) []time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = time.Duration(i) * interval
	}
	return times
}

// closed reports whether a channel is closed.
func closed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

// soon is a ctx that ends after d, for a reason of its own.
func soon(t *testing.T, d time.Duration, cause error) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, cause)
	t.Cleanup(cancel)
	return ctx
}

// requireAccounted requires that every accepted sample is where it belongs.
func requireAccounted(t *testing.T, stats organic.Stats) {
	t.Helper()
	require.Zero(t, stats.InFlight, "in flight")
	require.Zero(t, stats.Delayed, "delayed")
	require.Equal(t, stats.Accepted,
		stats.Scored+stats.Dead+stats.Dropped+stats.Expired+stats.Discarded+uint64(stats.Queued), "%+v", stats)
}

// always is a dataset that always gives the same.
func always(payload string) organic.SynthFunc[string] {
	return func(context.Context) (string, error) { return payload, nil }
}

func newMemory(t *testing.T, cfg ...organic.MemoryConfig) *organic.MemoryQueue[string] {
	t.Helper()
	config := organic.MemoryConfig{}
	if len(cfg) > 0 {
		config = cfg[0]
	}
	config.Order = organic.OrderFIFO
	queue, err := organic.NewMemoryQueue[string](config)
	require.NoError(t, err)
	return queue
}

// faultyQueue is a queue of add, sample and size, whose methods can be made to
// misbehave before they do their work.
type faultyQueue struct {
	*memory

	beforeAdd    func(ctx context.Context) error
	beforeSample func(ctx context.Context) error
}

// memory hides that a MemoryQueue reports what happens in it.
type memory struct{ queue *organic.MemoryQueue[string] }

func newFaultyQueue(t *testing.T, cfg ...organic.MemoryConfig) *faultyQueue {
	t.Helper()
	return &faultyQueue{memory: &memory{newMemory(t, cfg...)}}
}

func (q *faultyQueue) Add(ctx context.Context, sample promptSample) error {
	if q.beforeAdd != nil {
		if err := q.beforeAdd(ctx); err != nil {
			return err
		}
	}
	return q.queue.Add(ctx, sample)
}

func (q *faultyQueue) Sample(ctx context.Context) (promptLease, error) {
	if q.beforeSample != nil {
		if err := q.beforeSample(ctx); err != nil {
			return promptLease{}, err
		}
	}
	return q.queue.Sample(ctx)
}

func (m *memory) Size() int { return m.queue.Size() }

// settled is one verdict that a settling queue was got.
type settled struct {
	id       string
	verdict  organic.Verdict
	err      error         // of ctx
	deadline time.Duration // of ctx
}

// settlingQueue keeps its samples until it gets the verdict.
type settlingQueue struct {
	before func(verdict organic.Verdict) error // what telling it ends in

	mu      sync.Mutex // guards the fields below
	waiting []promptSample
	due     map[string]time.Time
	settled []settled
}

func newSettlingQueue() *settlingQueue {
	return &settlingQueue{due: map[string]time.Time{}}
}

func (q *settlingQueue) Add(_ context.Context, sample promptSample) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, sample)
	return nil
}

func (q *settlingQueue) Sample(context.Context) (promptLease, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.waiting,
		func(s promptSample) bool { return !q.due[s.ID].After(time.Now()) })
	if i < 0 {
		return promptLease{}, organic.ErrEmpty
	}
	sample := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return promptLease{
		Sample: sample,
		Settle: func(ctx context.Context, verdict organic.Verdict) error {
			return q.settle(ctx, sample, verdict)
		},
	}, nil
}

func (q *settlingQueue) settle(
	ctx context.Context, sample promptSample, verdict organic.Verdict,
) error {
	deadline, _ := ctx.Deadline()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled = append(q.settled, settled{sample.ID, verdict, ctx.Err(), time.Until(deadline)})
	if verdict.Outcome == organic.OutcomeRetry || verdict.Outcome == organic.OutcomeReturn {
		if verdict.Outcome == organic.OutcomeRetry {
			sample.Attempt++
		}
		q.due[sample.ID] = time.Now().Add(verdict.Delay)
		q.waiting = append(q.waiting, sample)
	}
	if q.before != nil {
		return q.before(verdict)
	}
	return nil
}

func (q *settlingQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func (q *settlingQueue) verdicts() []settled {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.settled)
}
