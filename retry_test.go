package organic_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// deadLetters keeps what the dead-letter hook gets.
type deadLetters struct {
	mu      sync.Mutex // a stop calls the hook for several samples at once
	samples []promptSample
	causes  []error
	before  func(ctx context.Context) error
}

func (g *deadLetters) option() organic.Option {
	return organic.WithDeadLetter(func(ctx context.Context, sample promptSample, cause error) error {
		if g.before != nil {
			if err := g.before(ctx); err != nil {
				return err
			}
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.samples = append(g.samples, sample)
		g.causes = append(g.causes, cause)
		return nil
	})
}

// doubling is base, doubled n times, at most limit.
func doubling(base time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 0 && base < limit; n-- {
		base *= 2
	}
	return min(base, limit)
}

func requireJitter(t *testing.T, want, got time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, got, want*8/10)
	require.Less(t, got, want*12/10)
}

func TestFailedSampleComesBackAsTheRetryPolicySays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name            string
		policy          organic.RetryPolicy
		attempts        int // looked at
		dead            bool
		delay, maxDelay time.Duration
	}{
		{"defaults", organic.RetryPolicy{}, 8, true, 5 * time.Second, 5 * time.Minute},
		{"once", organic.RetryPolicy{Attempts: 1}, 1, true, 0, 0},
		{
			"up to the longest delay",
			organic.RetryPolicy{Attempts: 12},
			12, true, 5 * time.Second,
			5 * time.Minute,
		},
		{
			"for ever",
			organic.RetryPolicy{Attempts: organic.Unlimited},
			80, false, 5 * time.Second,
			5 * time.Minute,
		},
		{
			"own delays",
			organic.RetryPolicy{Attempts: 5, Delay: time.Minute, MaxDelay: 3 * time.Minute},
			5, true, time.Minute, 3 * time.Minute,
		},
		{"long delay", organic.RetryPolicy{Attempts: 4, Delay: time.Hour}, 4, true, time.Hour, time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var g deadLetters
				s := newTestScorer(t, failing(organic.StageQuery, errFailed), organic.WithRetry(test.policy),
					g.option())
				id := s.enqueue("prompt")
				stats := s.runFor(time.Duration(test.attempts) * max(time.Second, test.maxDelay))
				starts, retries := s.all(organic.EventStarted), s.all(organic.EventRetried)
				require.GreaterOrEqual(t, len(starts), test.attempts-1)
				for i, retry := range retries {
					requireJitter(t, doubling(test.delay, i, test.maxDelay), retry.Duration)
					require.Equal(t, i+1, retry.Attempt)
					if i+1 < len(starts) {
						require.Equal(t, retry.Duration, starts[i+1].Time.Sub(starts[i].Time))
						require.Equal(t, i+2, starts[i+1].Attempt)
					}
				}
				if !test.dead {
					require.Empty(t, g.samples)
					require.Equal(t, 1, stats.Queued)
					return
				}
				require.Len(t, starts, test.attempts)
				require.Len(t, g.samples, 1)
				require.Equal(t, []any{id, "prompt", test.attempts},
					[]any{g.samples[0].ID, g.samples[0].Payload, g.samples[0].Attempt})
				require.ErrorIs(t, g.causes[0], errFailed)
				require.Equal(t, []organic.Stage{organic.StageQuery}, stagesOf(g.causes[0]))
				require.Equal(t, uint64(1), stats.Dead)
				require.Equal(t, uint64(test.attempts), stats.Failed)
			})
		})
	}
}

func TestSeedMakesTheJitterRepeatable(t *testing.T) {
	t.Parallel()
	delays := func(seed uint64) (delays []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			s := newTestScorer(t, failing(organic.StageRewards, errFailed),
				organic.WithRetry(organic.RetryPolicy{
					Attempts: organic.Unlimited,
					MaxDelay: 5 * time.Second,
				}), organic.WithSeed(seed))
			s.enqueue("prompt")
			s.runFor(3 * time.Minute)
			for _, e := range s.all(organic.EventRetried)[:20] {
				delays = append(delays, e.Duration)
			}
		})
		return delays
	}
	first := delays(1)
	require.Equal(t, first, delays(1))
	require.NotEqual(t, first, delays(2))
	var early, late bool
	for _, delay := range first {
		early, late = early || delay < 4750*time.Millisecond, late || delay > 5250*time.Millisecond
	}
	require.True(t, early && late, "jitter goes either way: %v", first)
}

func TestRetryAfterDelaysWithoutCounting(t *testing.T) {
	t.Parallel()
	later := organic.RetryAfter(7*time.Second, errFailed)
	tests := []struct {
		name string
		err  error
	}{
		{"plain", later},
		{"wrapped", fmt.Errorf("rate limit: %w", later)},
		{"joined", errors.Join(errors.New("another"), later)},
	}
	for _, stage := range hookStages[:4] {
		for _, test := range tests {
			t.Run(stage.String()+" "+test.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					calls := 0
					s := newTestScorer(t, fiveHooks(func(_ context.Context, at organic.Stage) error {
						if at != stage {
							return nil
						}
						if calls++; calls <= 5 {
							return test.err
						}
						return nil
					}), organic.WithStage(stage, organic.StagePolicy{Tries: 3}))
					s.enqueue("prompt")
					stats := s.drain()
					require.Equal(t, uint64(1), stats.Scored)
					require.Equal(t, uint64(5), stats.Returned)
					require.Zero(t, stats.Retried)
					require.Equal(t, 6, calls, "ends the tries of the stage")
					for i, start := range s.all(organic.EventStarted) {
						require.Equal(t, time.Duration(i)*7*time.Second, start.Time.Sub(s.begun))
						require.Equal(t, 1, start.Attempt)
					}
					for _, e := range s.all(organic.EventReturned) {
						require.Equal(t, 7*time.Second, e.Duration)
						require.ErrorIs(t, e.Err, errFailed)
					}
				})
			})
		}
	}
}

func TestNegativeRetryAfterComesBackAtOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
		if stage == organic.StageWeights {
			if calls++; calls == 1 {
				return organic.RetryAfter(-time.Hour, errFailed)
			}
		}
		return nil
	}))
	s.enqueue("prompt")
	_, err := s.Iterate(t.Context())
	require.ErrorIs(t, err, errFailed)
	_, err = s.Iterate(t.Context())
	require.NoError(t, err)
}

func TestDiscardGoesToTheDeadLettersAtOnce(t *testing.T) {
	t.Parallel()
	never, later := organic.Discard(errFailed), organic.RetryAfter(time.Second, errors.New("later"))
	tests := []struct {
		name string
		err  error
	}{
		{"plain", never},
		{"wrapped", fmt.Errorf("no such model: %w", never)},
		{"joined after RetryAfter", errors.Join(later, never)},
		{"joined before RetryAfter", errors.Join(never, later)},
		{"inside RetryAfter", organic.RetryAfter(time.Second, never)},
		{"round RetryAfter", organic.Discard(errors.Join(errFailed, later))},
	}
	for _, stage := range hookStages[:4] {
		for _, test := range tests {
			t.Run(stage.String()+" "+test.name, func(t *testing.T) {
				t.Parallel()
				var g deadLetters
				s := newTestScorer(t, failing(stage, test.err), g.option(),
					organic.WithStage(stage, organic.StagePolicy{Tries: 3}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.ErrorIs(t, err, errFailed)
				require.Len(t, g.samples, 1)
				require.Equal(t, 1, g.samples[0].Attempt)
				require.ErrorIs(t, g.causes[0], errFailed)
				stats := s.stop()
				require.Equal(t, uint64(1), stats.Discarded)
				require.Zero(t, stats.Dead+stats.Retried+stats.Returned)
				require.Empty(t, s.all(organic.EventStageRetried), "ends the tries of the stage")
			})
		}
	}
}

func TestFailingSyntheticSampleIsDropped(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		errFailed, organic.Discard(errFailed),
		organic.RetryAfter(time.Second, errFailed),
	} {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			var g deadLetters
			s := newTestScorer(t, failing(organic.StageQuery, err), organic.WithSynth(always("made up")),
				g.option())
			for range 5 {
				_, got := s.Iterate(t.Context())
				require.ErrorIs(t, got, errFailed)
			}
			stats := s.stop()
			require.Equal(t, uint64(5), stats.SyntheticFailed)
			require.Zero(t, stats.Failed+stats.Dead+stats.Discarded+stats.Retried+stats.Returned)
			require.Zero(t, stats.Queued+stats.Delayed)
			require.Empty(t, g.samples)
		})
	}
}

func TestFailureNeverMakesTheLoopFasterThanItsTrigger(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		gaps []int // in milliseconds, by the formula from the number that wait
	}{
		{"back at once", organic.RetryAfter(0, errFailed), []int{14400, 14400, 14400, 14400}},
		{"discarded", organic.Discard(errFailed), []int{14600, 14800}},
		{
			"held for a minute", organic.RetryAfter(time.Minute, errFailed),
			[]int{14600, 14800, 30600, 14800},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newTestScorer(t, failing(organic.StageWeights, test.err),
					organic.WithTrigger(organic.Seconds{Frequency: 15 * time.Second}))
				s.enqueue("first", "second", "third")
				s.runFor(10 * time.Minute)
				starts := s.at(organic.EventStarted)
				require.Zero(t, starts[0])
				for i, gap := range test.gaps {
					require.Equal(t, time.Duration(gap)*time.Millisecond, starts[i+1]-starts[i], "start %d of %v",
						i+1, starts)
				}
			})
		})
	}
}

func TestQueueGetsEachOutcomeOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error // of the first query
		opts []organic.Option
		want organic.Outcome
		low  time.Duration
		high time.Duration
	}{
		{"scored", nil, nil, organic.OutcomeScored, 0, 0},
		{"retry", errFailed, nil, organic.OutcomeRetry, 4 * time.Second, 6 * time.Second},
		{
			"return", organic.RetryAfter(7*time.Second, errFailed), nil, organic.OutcomeReturn,
			7 * time.Second, 7 * time.Second,
		},
		{
			"dead", errFailed,
			[]organic.Option{organic.WithRetry(organic.RetryPolicy{Attempts: 1})},
			organic.OutcomeDead, 0, 0,
		},
		{"discarded", organic.Discard(errFailed), nil, organic.OutcomeDiscarded, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			queue := newSettlingQueue()
			s := newTestScorer(t, failing(organic.StageQuery, test.err),
				append(test.opts, organic.WithQueue(queue))...)
			id := s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.Equal(t, test.err == nil, err == nil)
			require.Len(t, queue.verdicts(), 1)
			got := queue.verdicts()[0]
			require.Equal(t, id, got.id)
			require.Equal(t, test.want, got.verdict.Outcome)
			require.GreaterOrEqual(t, got.verdict.Delay, test.low)
			require.LessOrEqual(t, got.verdict.Delay, test.high)
			require.Equal(t, test.err != nil, errors.Is(got.verdict.Err, errFailed))
			require.NoError(t, got.err)
			require.Greater(t, got.deadline, 9*time.Second)
			require.LessOrEqual(t, got.deadline, 10*time.Second)
			require.Zero(t, s.stop().Delayed, "the queue holds what is delayed")
		})
	}
}

func TestAttemptIsNotCountedForRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g deadLetters
		queue := newSettlingQueue()
		s := newTestScorer(t, failing(organic.StageQuery, organic.RetryAfter(time.Second, errFailed)),
			organic.WithQueue(queue), g.option())
		id := s.enqueue("prompt")
		s.runFor(10 * time.Second)
		starts := s.all(organic.EventStarted)
		require.Greater(t, len(starts), 5)
		for _, start := range starts {
			require.Equal(t, id, start.ID)
			require.Equal(t, 1, start.Attempt)
		}
		require.Empty(t, g.samples, "RetryAfter does not run out of attempts")
	})
}

func TestSettlingQueueIsNotifiedOfAnInterruption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newSettlingQueue()
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				<-ctx.Done()
			}
			return ctx.Err()
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(time.Second)
		kill()
		stats := s.stop()
		got := queue.verdicts()
		require.Len(t, got, 1)
		require.Equal(t, organic.OutcomeReturn, got[0].verdict.Outcome)
		require.Zero(t, got[0].verdict.Delay)
		require.ErrorIs(t, got[0].verdict.Err, context.Canceled)
		require.NoError(t, got[0].err, "a hard stop does not cancel the settling")
		require.Equal(t, 10*time.Second, got[0].deadline)
		require.Equal(t, uint64(1), stats.Returned)
		require.Equal(t, 1, stats.Queued)
	})
}

func TestFailingSettleIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	for _, outcome := range []struct {
		name string
		err  error
	}{{"scored", nil}, {"failed", errFailed}, {"discarded", organic.Discard(errFailed)}} {
		t.Run(outcome.name, func(t *testing.T) {
			t.Parallel()
			queue := newSettlingQueue()
			queue.before = func(organic.Verdict) error { return errSibling }
			s := newTestScorer(t, failing(organic.StageQuery, outcome.err), organic.WithQueue(queue))
			id := s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.Equal(t, outcome.err == nil, err == nil)
			require.NotErrorIs(t, err, errSibling)
			require.Len(t, queue.verdicts(), 1, "settled once, whatever comes of it")
			e := s.one(organic.EventSettleFailed)
			require.Equal(t, []any{id, organic.StageSettle}, []any{e.ID, e.Stage})
			require.ErrorIs(t, e.Err, errSibling)
			require.Equal(t, uint64(1), s.Stats().SettleFailed)
			require.Equal(t, 1, s.logs.FilterMessage("queue did not take the verdict").FilterFieldKey("error").Len())
		})
	}
}

func TestFailingDeadLetterHookSendsTheSampleBackUncounted(t *testing.T) {
	t.Parallel()
	for _, ending := range endings {
		for _, cause := range []error{errFailed, organic.Discard(errFailed)} {
			t.Run(ending.name+" "+cause.Error(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					calls := 0
					g := deadLetters{before: func(context.Context) error {
						if calls++; calls <= 2 {
							return ending.end()
						}
						return nil
					}}
					s := newTestScorer(t, failing(organic.StageQuery, cause), g.option(),
						organic.WithRetry(organic.RetryPolicy{Attempts: 1}))
					s.enqueue("prompt")
					stats := s.drain()
					require.Len(t, g.samples, 1)
					require.Equal(t, 1, g.samples[0].Attempt)
					require.ErrorIs(t, g.causes[0], errFailed)
					require.Equal(t, uint64(2), stats.DeadLetterFailed)
					require.Equal(t, uint64(2), stats.Returned)
					require.Zero(t, stats.Retried)
					require.Equal(t, uint64(1), stats.Dead+stats.Discarded)
					for i, e := range s.all(organic.EventDeadLetterFailed) {
						requireJitter(t, 5*time.Second, e.Duration)
						require.Equal(t, e.Duration, s.all(organic.EventReturned)[i].Duration)
					}
				})
			})
		}
	}
}

func TestDeadLetterHookHasTenSecondsWhateverIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		g := deadLetters{before: func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			require.Equal(t, 10*time.Second, time.Until(deadline))
			if calls.Add(1) == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			require.NoError(t, ctx.Err())
			return nil
		}}
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				<-ctx.Done()
				return organic.Discard(errFailed)
			}
			return nil
		}), g.option(), organic.WithStage(organic.StageQuery, organic.StagePolicy{Timeout: time.Hour}))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(90 * time.Minute)
		require.Equal(t, int64(1), calls.Load())
		kill()
		stats := s.stop()
		require.Equal(t, uint64(1), stats.Discarded, "discarded at a hard stop too")
		require.Len(t, g.samples, 1)
	})
}

// jammedQueue refuses from a moment on.
func jammedQueue(t *testing.T) (queue *faultyQueue, jammed *atomic.Bool) {
	t.Helper()
	queue, jammed = newFaultyQueue(t), new(atomic.Bool)
	queue.beforeAdd = func(context.Context) error {
		if jammed.Load() {
			return organic.ErrFull
		}
		return nil
	}
	return queue, jammed
}

func TestSampleThatAQueueDoesNotTakeBackIsHeldAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, jammed := jammedQueue(t)
		calls := 0
		s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				if calls++; calls == 1 {
					jammed.Store(true)
					return errFailed
				}
			}
			return nil
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		s.start()
		time.Sleep(time.Minute)
		require.Equal(t, 1, s.Stats().Delayed)
		_, err := s.Enqueue(t.Context(), "another")
		require.ErrorIs(t, err, organic.ErrFull)
		jammed.Store(false)
		time.Sleep(time.Minute)
		stats := s.stop()
		require.Equal(t, uint64(1), stats.Scored)
		require.Equal(t, uint64(1), stats.Refused)
		failures := s.all(organic.EventPutBackFailed)
		require.Greater(t, len(failures), 2)
		require.Equal(t, stats.PutBackFailed, uint64(len(failures)))
		for i, e := range failures {
			require.ErrorIs(t, e.Err, organic.ErrFull)
			require.Equal(t, 2, e.Attempt)
			require.Equal(t, doubling(time.Second, i, time.Minute), e.Duration)
		}
	})
}

func TestSampleThatAQueueDoesNotTakeBackAtTheStopIsADeadLetter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		bury          func() error // nil: no dead-letter hook
		dead, dropped uint64
	}{
		{"no dead-letter hook", nil, 2, 0},
		{"dead-letter hook", func() error { return nil }, 2, 0},
		{"dead-letter hook fails", func() error { return errSibling }, 0, 2},
		{"dead-letter hook panics", func() error { panic("at the disco") }, 0, 2},
		{"dead-letter hook leaves", func() error {
			runtime.Goexit()
			return nil
		}, 0, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var opts []organic.Option
				var g deadLetters
				if test.bury != nil {
					g.before = func(context.Context) error { return test.bury() }
					opts = append(opts, g.option())
				}
				queue, jammed := jammedQueue(t)
				s := newTestScorer(t, failing(organic.StageQuery, organic.RetryAfter(time.Hour, errFailed)),
					append(opts, organic.WithQueue(queue))...)
				s.enqueue("first", "second")
				s.start()
				time.Sleep(time.Minute)
				jammed.Store(true)
				stats := s.stop()
				require.Equal(t, []uint64{test.dead, test.dropped}, []uint64{stats.Dead, stats.Dropped})
				require.Equal(t, test.dropped, stats.DeadLetterFailed)
				require.Equal(t, int(test.dropped), s.logs.FilterMessage("dead-letter hook failed").Len(),
					"what is lost is logged as an error")
				for _, cause := range g.causes {
					require.ErrorIs(t, cause, organic.ErrFull)
				}
				for _, e := range s.all(organic.EventDropped) {
					require.Equal(t, time.Minute, e.Duration)
				}
			})
		})
	}
}

// strictQueue is a sliceQueue that asks before it takes a sample back.
type strictQueue struct {
	sliceQueue

	onReturn func() error // called by Add for a sample that has failed before
}

func (q *strictQueue) Add(ctx context.Context, sample organic.Sample[int]) error {
	if sample.Attempt > 1 {
		if err := q.onReturn(); err != nil {
			return err
		}
	}
	return q.sliceQueue.Add(ctx, sample)
}

// failingScorer returns a scorer over the queue whose samples all fail.
func failingScorer(
	t *testing.T, queue organic.Queue[int], opts ...organic.Option,
) *organic.OrganicScorer[int, int] {
	t.Helper()
	hooks := organictest.HookFuncs[int, int]{
		QueryMinersFunc: func(context.Context, organic.Sample[int]) (map[organic.UID]int,
			error,
		) {
			return nil, errFateful
		},
	}
	scorer, err := organic.New(hooks, append(opts, organic.WithQueue(queue))...)
	require.NoError(t, err)
	return scorer
}

// failOnce enqueues samples and lets each of them fail once.
func failOnce(t *testing.T, scorer *organic.OrganicScorer[int, int], samples int) {
	t.Helper()
	for n := range samples {
		_, err := scorer.EnqueueSample(t.Context(), organic.Sample[int]{ID: strconv.Itoa(n), Payload: n})
		require.NoError(t, err)
	}
	for range samples {
		_, err := scorer.Iterate(t.Context())
		require.ErrorIs(t, err, errFateful)
	}
	require.Equal(t, samples, scorer.Stats().Delayed)
}

func TestStopPutsAllDelayedSamplesBack(t *testing.T) {
	t.Parallel()
	leave := func() error { runtime.Goexit(); return nil }
	refuse := func() error { return organic.ErrFull }
	accept := func() error { return nil }
	bury := func(context.Context, organic.Sample[int], error) error { return nil }
	tests := []struct {
		name                  string
		onReturn              func() error
		bury                  func(context.Context, organic.Sample[int], error) error
		queued, dead, dropped int
	}{
		{name: "queue takes them", onReturn: accept, bury: bury, queued: 5},
		{name: "queue refuses them", onReturn: refuse, bury: bury, dead: 5},
		{name: "queue panics", onReturn: func() error { panic("queue") }, bury: bury, dead: 5},
		{name: "queue ends the goroutine", onReturn: leave, bury: bury, dead: 5},
		{
			name: "queue refuses and the dead-letter hook fails", onReturn: refuse, dropped: 5,
			bury: func(context.Context, organic.Sample[int], error) error { return errFateful },
		},
		{
			name: "queue refuses and the dead-letter hook ends the goroutine", onReturn: refuse, dropped: 5,
			bury: func(context.Context, organic.Sample[int], error) error { runtime.Goexit(); return nil },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scorer := failingScorer(t, &strictQueue{onReturn: tt.onReturn}, organic.WithDeadLetter(tt.bury))
			failOnce(t, scorer, 5)

			require.NoError(t, scorer.Stop(t.Context()), "Stop returns in every goroutine")
			stats := scorer.Stats()
			require.Zero(t, stats.Delayed)
			require.Equal(t, tt.queued, stats.Queued)
			require.EqualValues(t, tt.dead, stats.Dead)
			require.EqualValues(t, tt.dropped, stats.Dropped)
		})
	}
}

// TestStopWaitsForIterateToPutSamplesBack: a delayed sample is never on its
// way behind the back of a scorer at rest.
func TestStopWaitsForIterateToPutSamplesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := make(chan struct{})
		scorer := failingScorer(t, &strictQueue{onReturn: func() error { <-busy; return nil }})
		failOnce(t, scorer, 1)
		time.Sleep(time.Minute) // it is due

		go scorer.Iterate(t.Context()) //nolint:errcheck // fails again
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- scorer.Stop(context.Background()) }()
		synctest.Wait()
		require.Empty(t, stopped, "the queue has not taken the sample back")

		close(busy)
		require.NoError(t, <-stopped)
		stats := scorer.Stats()
		require.Zero(t, stats.Delayed)
		require.Equal(t, 1, stats.Queued)
	})
}

func TestQueueThatEndsTheGoroutineOfIterateCostsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls int
		scorer := failingScorer(t, &strictQueue{onReturn: func() error {
			if calls++; calls == 1 {
				runtime.Goexit()
			}
			return nil
		}})
		failOnce(t, scorer, 1)
		time.Sleep(time.Minute)

		go scorer.Iterate(t.Context()) //nolint:errcheck // does not come back
		synctest.Wait()
		time.Sleep(time.Minute)
		_, err := scorer.Iterate(t.Context())
		require.ErrorIs(t, err, errFateful, "the slot is free and the sample is there")
		require.NoError(t, scorer.Stop(t.Context()))
	})
}

const (
	heldAtMost = 10_000 // samples, and one that is on its way out
	// triesPerHour bounds the put-backs that fail in an hour: 6 while the pause
	// between them doubles from 1 s, then one a minute.
	triesPerHour = 70
)

// springQueue has a new sample whenever it is asked, and takes none back.
type springQueue struct {
	given   atomic.Int64
	refused atomic.Int64
}

func (q *springQueue) Add(context.Context, promptSample) error {
	q.refused.Add(1)
	return organic.ErrFull
}

func (q *springQueue) Sample(context.Context) (promptLease, error) {
	id := strconv.FormatInt(q.given.Add(1), 10)
	return promptLease{Sample: promptSample{
		ID: id, Payload: id, Received: time.Now(),
		Attempt: 1,
	}}, nil
}

func (*springQueue) Size() int { return 1 }

// later makes hooks that want every sample again after a delay.
func later(delay time.Duration) promptHooks {
	return failing(organic.StageQuery, organic.RetryAfter(delay, errFailed))
}

// stopAtOnce stops the scorer, which must take no time.
func stopAtOnce(t *testing.T, s *testScorer) {
	t.Helper()
	begun := time.Now()
	require.NoError(t, s.Stop(t.Context()))
	require.Zero(t, time.Since(begun))
	require.Zero(t, s.Stats().Delayed)
}

// heldAgain returns the put-backs that failed and left the sample held.
func heldAgain(s *testScorer) []organic.Event {
	return slices.DeleteFunc(s.all(organic.EventPutBackFailed),
		func(e organic.Event) bool { return e.Duration == 0 })
}

// TestQueueThatTakesNothingBackIsNotAskedForMore: what it has handed out stays
// in memory until a stop, so the loop takes no more beyond the limit.
func TestQueueThatTakesNothingBackIsNotAskedForMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		var g deadLetters
		queue := &springQueue{}
		s := newTestScorer(t, later(time.Minute), organic.WithQueue(queue), g.option(),
			organic.WithHeldLimit(limit),
			organic.WithTrigger(organic.Seconds{Frequency: 250 * time.Millisecond}))
		s.start()
		for range 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			require.LessOrEqual(t, s.Stats().Delayed, limit+triesPerHour)
		}
		require.Less(t, int64(limit), queue.given.Load(), "the limit is reached")
		require.LessOrEqual(t, queue.refused.Load(), int64(triesPerHour))
		require.Empty(t, g.samples, "waiting never ends in a dead letter while the scorer runs")

		stopAtOnce(t, s)
		require.Len(t, g.samples, int(queue.given.Load()), "each exactly once")
		require.EqualValues(t, queue.given.Load(), s.Stats().Dead)
	})
}

// TestDelaysBeyondTheLimitAreCutForTheSampleDueFirst also shows that all others
// keep their delay.
func TestDelaysBeyondTheLimitAreCutForTheSampleDueFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, samples = 100, 130
		asked := map[string]int{}
		queue := newMemory(t)
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage != organic.StageQuery {
				return nil
			}
			return organic.RetryAfter(24*time.Hour, errFailed)
		}), organic.WithQueue(queue), organic.WithHeldLimit(limit))
		for range samples {
			s.enqueue("prompt")
		}
		for range samples {
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errFailed)
			time.Sleep(time.Second)
		}
		for _, event := range s.all(organic.EventStarted) {
			asked[event.ID]++
		}
		cuts := s.all(organic.EventDelayCut)
		require.NotEmpty(t, cuts)
		for _, cut := range cuts {
			require.InDelta(t, float64(24*time.Hour), float64(cut.Duration),
				float64(samples)*float64(time.Second))
			delete(asked, cut.ID)
		}
		for id, times := range asked {
			require.Equal(t, 1, times, "%s kept its delay", id)
		}
		require.GreaterOrEqual(t, s.Stats().Delayed, limit)
		require.LessOrEqual(t, s.Stats().Delayed, limit+1)
	})
}

func TestFullRefusingQueueAndManyHeldSamples(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const samples = heldAtMost + 50
		var g deadLetters
		queue := newMemory(t, organic.MemoryConfig{Capacity: 1, Refuse: true})
		s := newTestScorer(t, later(time.Hour), organic.WithQueue(queue), g.option(),
			organic.WithLogger(zap.NewNop()))
		s.Pause()
		s.start()
		for range samples {
			if queue.Size() == 0 { // beyond the limit a sample goes back early
				s.enqueue("prompt")
			}
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errFailed)
			require.LessOrEqual(t, s.Stats().Delayed, heldAtMost+2)
		}
		if queue.Size() == 0 {
			s.enqueue("fills the queue")
		}
		time.Sleep(59 * time.Minute)
		before := len(heldAgain(s))
		time.Sleep(time.Hour) // all of them are due
		synctest.Wait()
		require.LessOrEqual(t, len(heldAgain(s))-before, triesPerHour)
		require.Greater(t, len(heldAgain(s))-before, 50, "it keeps trying")
		require.GreaterOrEqual(t, s.Stats().Delayed, heldAtMost-100)

		stopAtOnce(t, s)
		stats := s.stop()
		require.Greater(t, stats.Accepted, uint64(heldAtMost))
		require.Equal(t, 1, stats.Queued)
		require.Equal(t, stats.Accepted-1, stats.Dead)
		require.Len(t, g.samples, int(stats.Dead))
	})
}

// TestHeldSamplesGoBackWhenTheQueueHasRoomAgain: the longest pause between two
// tries is a minute, and the first success ends it.
func TestHeldSamplesGoBackWhenTheQueueHasRoomAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const samples = 20
		var full atomic.Bool
		var calls atomic.Int64
		queue := newFaultyQueue(t)
		queue.beforeAdd = func(context.Context) error {
			if full.Load() {
				return organic.ErrFull
			}
			return nil
		}
		s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery && calls.Add(1) <= samples {
				return organic.RetryAfter(time.Minute, errFailed)
			}
			return nil
		}), organic.WithQueue(queue))
		for range samples {
			s.enqueue("prompt")
		}
		full.Store(true)
		s.start()
		time.Sleep(20 * time.Minute)
		require.Equal(t, samples, s.Stats().Delayed)
		require.LessOrEqual(t, s.Stats().PutBackFailed, uint64(samples+triesPerHour))
		full.Store(false)
		time.Sleep(2*time.Minute + samples*time.Second)
		synctest.Wait()
		require.EqualValues(t, samples, s.Stats().Scored)
		s.stop()
	})
}

// hangingAdd makes a queue's Add wait for the end of its ctx, once it is told
// to hang, and notes how each such call went.
type hangingAdd struct {
	begun time.Time
	hangs atomic.Bool

	mu    sync.Mutex // guards calls
	calls []hungCall
}

// hungCall is one Add, in times since the beginning.
type hungCall struct {
	from, to time.Duration
	allowed  time.Duration // until the deadline of its ctx
	dead     bool          // its ctx had ended before
}

func (h *hangingAdd) add(ctx context.Context) error {
	if !h.hangs.Load() {
		return nil
	}
	deadline, _ := ctx.Deadline()
	call := hungCall{from: time.Since(h.begun), allowed: time.Until(deadline), dead: ctx.Err() != nil}
	<-ctx.Done()
	call.to = time.Since(h.begun)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call)
	return ctx.Err()
}

func (h *hangingAdd) hung() []hungCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// newHangingScorer makes a scorer whose samples all come back after 10 s, to a
// queue that hangs then.
func newHangingScorer(t *testing.T, opts ...organic.Option) (*testScorer, *hangingAdd) {
	t.Helper()
	queue, h := newFaultyQueue(t), &hangingAdd{begun: time.Now()}
	queue.beforeAdd = h.add
	s := newTestScorer(t, later(10*time.Second), append(opts, organic.WithQueue(queue))...)
	s.enqueue("first", "second", "third", "fourth", "fifth")
	h.hangs.Store(true)
	return s, h
}

func TestSoftStopDoesNotWaitLongForAQueueThatHangs(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	tests := []struct {
		name          string
		bury          func(ctx context.Context) error
		limit         time.Duration
		dead, dropped uint64
	}{
		{name: "dead-letter hook takes them", limit: 20 * time.Second, dead: 5},
		{name: "dead-letter hook hangs too", bury: hang, limit: 30 * time.Second, dropped: 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := deadLetters{before: tt.bury}
				s, h := newHangingScorer(t, g.option())
				s.start()
				time.Sleep(19 * time.Second) // a put-back has a second left
				begun := time.Now()
				stats := s.stop()
				require.LessOrEqual(t, time.Since(begun), tt.limit+time.Second)
				require.Equal(t, tt.dead, stats.Dead)
				require.Equal(t, tt.dropped, stats.Dropped)
				require.Zero(t, stats.Queued)
				for _, call := range h.hung() {
					require.LessOrEqual(t, call.allowed, 10*time.Second)
					require.True(t, call.dead || call.to <= 30*time.Second, "one budget for all at the end: %v",
						call)
				}
			})
		})
	}
}

func TestHardStopEndsAPutBackOfTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g deadLetters
		s, h := newHangingScorer(t, g.option())
		kill := s.start()
		time.Sleep(12 * time.Second)
		require.Empty(t, h.hung())
		kill()
		synctest.Wait()
		require.NotEmpty(t, h.hung(), "it has ended")
		first := h.hung()[0]
		require.Equal(t, 10*time.Second, first.from.Round(time.Millisecond))
		require.Equal(t, 12*time.Second, first.to)
		begun := time.Now()
		stats := s.stop()
		require.LessOrEqual(t, time.Since(begun), 10*time.Second)
		require.EqualValues(t, 5, stats.Dead)
		require.Len(t, g.samples, 5)
	})
}

func TestCtxOfIterateEndsItsPutBacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h := newHangingScorer(t)
		for range 5 {
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errFailed)
		}
		time.Sleep(time.Minute)
		cause := errors.New("tired of waiting")
		begun := time.Now()
		_, err := s.Iterate(soon(t, 3*time.Second, cause))
		require.Error(t, err)
		require.Equal(t, 3*time.Second, time.Since(begun))
		require.NotEmpty(t, h.hung())
		require.Equal(t, 5, s.Stats().Delayed)

		h.hangs.Store(false)
		require.Equal(t, 5, s.stop().Queued, "nothing is lost")
	})
}

func TestPutBackOfAnInterruptedIterationIsNotCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, h := newFaultyQueue(t), &hangingAdd{begun: time.Now()}
		queue.beforeAdd = h.add
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				<-ctx.Done()
			}
			return ctx.Err()
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		h.hangs.Store(true)
		kill := s.start()
		time.Sleep(time.Second)
		kill()
		synctest.Wait()
		require.Empty(t, h.hung(), "it is under way")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.NotEmpty(t, h.hung())
		require.Equal(t, hungCall{from: time.Second, to: 11 * time.Second, allowed: 10 * time.Second},
			h.hung()[0])
		h.hangs.Store(false)
		s.stop()
	})
}

func TestInterruptedSampleIsBackInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, alive := newFaultyQueue(t), new(atomic.Int64)
		queue.beforeAdd = func(ctx context.Context) error {
			if ctx.Err() == nil {
				alive.Add(1)
			}
			return ctx.Err()
		}
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				<-ctx.Done()
			}
			return ctx.Err()
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(time.Second)
		kill()
		stats := s.stop()
		require.Equal(t, 1, stats.Queued)
		require.EqualValues(t, 1, stats.Returned)
		require.Zero(t, stats.PutBackFailed)
		require.EqualValues(t, 2, alive.Load())
	})
}

// outage makes hooks that fail until a time.
func outage(until time.Time) promptHooks {
	return fiveHooks(func(_ context.Context, stage organic.Stage) error {
		if stage == organic.StageReference && time.Now().Before(until) {
			return errFailed
		}
		return nil
	})
}

func TestOutageDoesNotUseUpTheSamples(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		outage  time.Duration
		trigger organic.Trigger
	}{
		{"two minutes", 2 * time.Minute, organic.Seconds{Frequency: 2 * time.Second}},
		{"ten minutes", 10 * time.Minute, organic.Seconds{Frequency: 2 * time.Second}},
		{
			"ten minutes, a trigger that is always due", 10 * time.Minute,
			organic.Seconds{Frequency: time.Nanosecond},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var dead deadLetters
				s := newTestScorer(t, outage(time.Now().Add(test.outage)), dead.option(),
					organic.WithTrigger(test.trigger))
				for range 40 {
					s.enqueue("prompt")
				}
				stats := s.runFor(test.outage + time.Hour)
				require.Empty(t, dead.samples)
				require.EqualValues(t, 40, stats.Scored)
			})
		})
	}
}

func TestLoopWaitsLongerAfterEachFailureAndNotAfterASuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		recovery := time.Now().Add(5 * time.Minute)
		s := newTestScorer(t, outage(recovery), organic.WithSynth(always("made up")),
			organic.WithTrigger(organic.Seconds{Frequency: 4 * time.Second}))
		s.start()
		time.Sleep(5 * time.Minute)
		seconds := func(times ...int) (list []time.Duration) {
			for _, n := range times {
				list = append(list, time.Duration(n)*time.Second)
			}
			return list
		}
		require.Equal(t, seconds(0, 4, 8, 12, 16, 24, 40, 72, 132, 192, 252), s.at(organic.EventStarted))
		require.Equal(t, time.Minute, s.Stats().LoopBackoff)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.Zero(t, s.Stats().LoopBackoff)
		starts := s.at(organic.EventStarted)
		require.Equal(t, seconds(312, 316, 320), starts[len(starts)-3:])
		backoffs := s.all(organic.EventLoopBackoff)
		require.Equal(t, 8*time.Second, backoffs[0].Duration)
		require.Zero(t, backoffs[len(backoffs)-1].Duration, "the end is an event, too")
		s.stop()
	})
}

func TestLoopBacksOffUnderSteps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, outage(time.Now().Add(time.Hour)), organic.WithSynth(always("made up")),
			organic.WithTrigger(organic.Steps{Frequency: 1}))
		s.start()
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			s.IncrementStep()
		}
		require.Len(t, s.at(organic.EventStarted), 5+4, "five, and then after 2, 4, 8 and 16 s")
		s.stop()
	})
}

func TestIterateIsNotDelayedByTheBackoffOfTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, outage(time.Now().Add(time.Hour)), organic.WithSynth(always("made up")))
		begun := time.Now()
		for range 20 {
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errFailed)
		}
		require.Zero(t, time.Since(begun))
		require.NotZero(t, s.Stats().LoopBackoff)
	})
}

func TestFailuresBetweenSuccessesDoNotSlowTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		hooks := fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage != organic.StageRewards {
				return nil
			}
			if n++; n%5 != 0 {
				return errFailed
			}
			return nil
		})
		s := newTestScorer(t, hooks, organic.WithSynth(always("made up")),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		s.start()
		time.Sleep(99500 * time.Millisecond)
		require.Equal(t, every(time.Second, 100), s.at(organic.EventStarted))
		s.stop()
	})
}

func TestLoopBackoffCanBeSetAndTurnedOff(t *testing.T) {
	t.Parallel()
	starts := func(t *testing.T, backoff organic.LoopBackoff) (n int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			s := newTestScorer(t, outage(time.Now().Add(time.Hour)), organic.WithSynth(always("made up")),
				organic.WithRetry(organic.RetryPolicy{LoopBackoff: backoff}),
				organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
			s.start()
			time.Sleep(59500 * time.Millisecond)
			n = len(s.at(organic.EventStarted))
			s.stop()
		})
		return n
	}
	require.Equal(t, 60, starts(t, organic.LoopBackoff{Failures: organic.Unlimited}))
	require.Equal(t, 60, starts(t, organic.LoopBackoff{Limit: time.Second}),
		"never longer than the limit")
	require.Equal(t, 5, starts(t, organic.LoopBackoff{Failures: 1}), "at 0, 2, 6, 14 and 30 s")
}

func TestQueuePutsSamplesBackBesideTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, failed := newFaultyQueue(t), false
		hooks := fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery && !failed {
				failed = true
				return errFailed
			}
			return nil
		})
		s := newTestScorer(t, hooks, organic.WithQueue(queue), organic.WithSynth(always("made up")),
			organic.WithSynthRatio(1e-300),
			organic.WithTrigger(organic.Seconds{Frequency: 2 * time.Second}), organic.WithRetry(organic.RetryPolicy{Delay: 3 * time.Second}))
		s.enqueue("prompt")
		queue.beforeAdd = func(context.Context) error {
			time.Sleep(10 * time.Second) // and does not look at its ctx
			return nil
		}
		s.start()
		time.Sleep(39500 * time.Millisecond)
		require.Equal(t, every(2*time.Second, 20), s.at(organic.EventStarted),
			"a slow Add delays no start")
		s.stop()
	})
}

func TestSlowAddDelaysAStopByItsOwnLimitOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFaultyQueue(t)
		s := newTestScorer(t, later(time.Second), organic.WithQueue(queue))
		s.enqueue("first", "second", "third", "fourth")
		queue.beforeAdd = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		s.start()
		time.Sleep(6 * time.Second)
		begun := time.Now()
		s.stop()
		require.LessOrEqual(t, time.Since(begun), 10*time.Second)
	})
}

func TestSuccessThatEndsTheBackoffCountsAlthoughAnObserverLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := 0
		s := newTestScorer(t, outage(time.Now().Add(3*time.Minute)),
			organic.WithRetry(organic.RetryPolicy{Attempts: organic.Unlimited}),
			organic.WithObserver(func(e organic.Event) {
				if e.Kind == organic.EventLoopBackoff && e.Duration == 0 {
					ended++
					runtime.Goexit()
				}
			}))
		s.enqueue("prompt")
		require.EqualValues(t, 1, s.drain().Scored)
		require.Equal(t, 1, ended)
	})
}

func TestDiscardedSamplesDoNotSlowTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, failing(organic.StageQuery, organic.Discard(errFailed)),
			organic.WithTrigger(organic.Seconds{Frequency: 2 * time.Second}))
		enqueue(t, s.promptScorer, 60)
		stats := s.runFor(2*time.Minute - time.Second)
		require.EqualValues(t, 60, stats.Discarded)
		require.Equal(t, every(2*time.Second, 60), s.at(organic.EventStarted))
	})
}

func TestLargestAttemptDoesNotOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []int
		s := newTestScorer(t, promptHooks{QueryMinersFunc: func(
			_ context.Context, sample promptSample,
		) (map[organic.UID]string, error) {
			seen = append(seen, sample.Attempt)
			return nil, errFailed
		}}, organic.WithRetry(organic.RetryPolicy{
			Attempts: organic.Unlimited, Delay: time.Second,
			MaxDelay: time.Second,
		}))
		_, err := s.EnqueueSample(t.Context(), promptSample{Attempt: math.MaxInt - 1})
		require.NoError(t, err)
		s.runFor(time.Minute)
		require.Greater(t, len(seen), 3)
		require.Equal(t, []int{math.MaxInt - 1, math.MaxInt, math.MaxInt, math.MaxInt}, seen[:4])
	})
}

func TestDelayIsCutOnlyIfTheQueueTakesTheSample(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, jammed := jammedQueue(t)
		s := newTestScorer(t, later(24*time.Hour), organic.WithQueue(queue), organic.WithHeldLimit(1),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		s.enqueue("first", "second")
		jammed.Store(true)
		s.start()
		time.Sleep(20 * time.Second)
		require.NotEmpty(t, heldAgain(s))
		require.Empty(t, s.all(organic.EventDelayCut), "the sample is still held")
		jammed.Store(false)
		time.Sleep(time.Minute)
		require.NotEmpty(t, s.all(organic.EventDelayCut))
		s.stop()
	})
}

// heldSamples is how many samples stopWithHeld holds.
const heldSamples = 160

// stopWithHeld has a scorer hold samples, changes what its queue does, and stops it.
func stopWithHeld(
	t *testing.T, beforeAdd func(ctx context.Context) error, opts ...organic.Option,
) (organic.Stats, time.Duration) {
	t.Helper()
	queue := newFaultyQueue(t)
	s := newTestScorer(t, later(24*time.Hour), append(opts, organic.WithQueue(queue))...)
	enqueue(t, s.promptScorer, heldSamples)
	queue.beforeAdd = beforeAdd
	s.start()
	time.Sleep(time.Second)
	require.Equal(t, heldSamples, s.Stats().Delayed)
	begun := time.Now()
	stats := s.stop()
	return stats, time.Since(begun)
}

// slowly returns a function that takes some time, and looks at its ctx.
func slowly(takes time.Duration) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(takes):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestStopGoesOnAsLongAsSamplesGoBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stats, took := stopWithHeld(t, slowly(9*time.Second))
		require.Equal(t, 160, stats.Queued)
		require.Zero(t, stats.PutBackFailed)
		require.Equal(t, 90*time.Second, took, "16 at a time")
	})
}

func TestStopGoesOnAsLongAsTheDeadLetterHookTakesSamples(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := deadLetters{before: slowly(9 * time.Second)}
		stats, took := stopWithHeld(t, func(context.Context) error { return organic.ErrFull }, g.option())
		require.EqualValues(t, 160, stats.Dead)
		require.Len(t, g.samples, 160)
		require.Equal(t, 90*time.Second, took, "16 at a time")
	})
}

func TestQueueAndDeadLetterHookThatHangDelayAStopByTenSecondsEach(t *testing.T) {
	t.Parallel()
	hang := slowly(24 * time.Hour)
	synctest.Test(t, func(t *testing.T) {
		var g deadLetters
		stats, took := stopWithHeld(t, hang, g.option())
		require.EqualValues(t, 160, stats.Dead)
		require.Len(t, g.samples, 160)
		require.Equal(t, 10*time.Second, took)
	})
	synctest.Test(t, func(t *testing.T) {
		g := deadLetters{before: hang}
		stats, took := stopWithHeld(t, hang, g.option())
		require.EqualValues(t, 160, stats.Dropped)
		require.Equal(t, 20*time.Second, took)
	})
}

func TestQueueAndDeadLetterHookThatIgnoreTheirCtxDelayAStopByElevenSecondsEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		ignore := func(context.Context) error {
			<-hang
			return errFailed
		}
		g := deadLetters{before: ignore}
		stats, took := stopWithHeld(t, ignore, g.option())
		require.EqualValues(t, heldSamples, stats.Dropped)
		require.Equal(t, 22*time.Second, took)
		require.Equal(t, 32, stats.Abandoned, "16 calls of each")
		close(hang)
	})
}

func TestStopGoesOnAlthoughOneSampleOfManyHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var calls atomic.Int64
		stats, _ := stopWithHeld(t, func(context.Context) error {
			if calls.Add(1) == 1 {
				<-hang
				return errFailed
			}
			time.Sleep(3 * time.Second)
			return nil
		})
		require.Equal(t, heldSamples-1, stats.Queued)
		require.EqualValues(t, 1, stats.Dead)
		close(hang)
	})
}

func TestDelayThatAnInterruptedHookAsksForIsKept(t *testing.T) {
	t.Parallel()
	limited := fiveHooks(func(ctx context.Context, stage organic.Stage) error {
		if stage != organic.StageReference {
			return nil
		}
		<-ctx.Done()
		return organic.RetryAfter(time.Hour, errFailed)
	})
	t.Run("by a queue with Settle", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			queue := newSettlingQueue()
			s := newTestScorer(t, limited, organic.WithQueue(queue))
			s.enqueue("prompt")
			kill := s.start()
			time.Sleep(time.Second)
			kill()
			s.stop()
			verdict := queue.verdicts()[0].verdict
			require.Equal(t, organic.OutcomeReturn, verdict.Outcome)
			require.Equal(t, time.Hour, verdict.Delay)
		})
	})
	t.Run("by the scorer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := newTestScorer(t, limited)
			s.enqueue("prompt")
			_, err := s.Iterate(soon(t, time.Second, errFailed))
			require.ErrorIs(t, err, errFailed)
			require.Equal(t, 1, s.Stats().Delayed)
			require.Equal(t, time.Hour, s.one(organic.EventReturned).Duration)
			require.Equal(t, 1, s.stop().Queued)
		})
	})
}
