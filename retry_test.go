package organic_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// grave keeps what the dead-letter hook gets.
type grave struct {
	mu      sync.Mutex // a stop calls the hook for several samples at once
	samples []promptSample
	causes  []error
	before  func(ctx context.Context) error
}

func (g *grave) option() organic.Option {
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
		{"up to the longest delay", organic.RetryPolicy{Attempts: 12}, 12, true, 5 * time.Second, 5 * time.Minute},
		{"for ever", organic.RetryPolicy{Attempts: organic.Unlimited}, 80, false, 5 * time.Second, 5 * time.Minute},
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
				var g grave
				s := newStand(t, failing(organic.StageQuery, errMishap), organic.WithRetry(test.policy), g.option())
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
				require.Equal(t, []any{id, "prompt", test.attempts}, []any{g.samples[0].ID, g.samples[0].Payload, g.samples[0].Attempt})
				require.ErrorIs(t, g.causes[0], errMishap)
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
			s := newStand(t, failing(organic.StageRewards, errMishap),
				organic.WithRetry(organic.RetryPolicy{Attempts: organic.Unlimited, MaxDelay: 5 * time.Second}), organic.WithSeed(seed))
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
	later := organic.RetryAfter(7*time.Second, errMishap)
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
					s := newStand(t, fiveHooks(func(_ context.Context, at organic.Stage) error {
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
						require.ErrorIs(t, e.Err, errMishap)
					}
				})
			})
		}
	}
}

func TestNegativeRetryAfterComesBackAtOnce(t *testing.T) {
	t.Parallel()
	calls := 0
	s := newStand(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
		if stage == organic.StageWeights {
			if calls++; calls == 1 {
				return organic.RetryAfter(-time.Hour, errMishap)
			}
		}
		return nil
	}))
	s.enqueue("prompt")
	_, err := s.Iterate(t.Context())
	require.ErrorIs(t, err, errMishap)
	_, err = s.Iterate(t.Context())
	require.NoError(t, err)
}

func TestDiscardGoesToTheDeadLettersAtOnce(t *testing.T) {
	t.Parallel()
	never, later := organic.Discard(errMishap), organic.RetryAfter(time.Second, errors.New("later"))
	tests := []struct {
		name string
		err  error
	}{
		{"plain", never},
		{"wrapped", fmt.Errorf("no such model: %w", never)},
		{"joined after RetryAfter", errors.Join(later, never)},
		{"joined before RetryAfter", errors.Join(never, later)},
		{"inside RetryAfter", organic.RetryAfter(time.Second, never)},
		{"round RetryAfter", organic.Discard(errors.Join(errMishap, later))},
	}
	for _, stage := range hookStages[:4] {
		for _, test := range tests {
			t.Run(stage.String()+" "+test.name, func(t *testing.T) {
				t.Parallel()
				var g grave
				s := newStand(t, failing(stage, test.err), g.option(), organic.WithStage(stage, organic.StagePolicy{Tries: 3}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.ErrorIs(t, err, errMishap)
				require.Len(t, g.samples, 1)
				require.Equal(t, 1, g.samples[0].Attempt)
				require.ErrorIs(t, g.causes[0], errMishap)
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
	for _, err := range []error{errMishap, organic.Discard(errMishap), organic.RetryAfter(time.Second, errMishap)} {
		t.Run(err.Error(), func(t *testing.T) {
			t.Parallel()
			var g grave
			s := newStand(t, failing(organic.StageQuery, err), organic.WithSynth(always("made up")), g.option())
			for range 5 {
				_, got := s.Iterate(t.Context())
				require.ErrorIs(t, got, errMishap)
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
		{"back at once", organic.RetryAfter(0, errMishap), []int{14400, 14400, 14400, 14400}},
		{"discarded", organic.Discard(errMishap), []int{14600, 14800}},
		{"held for a minute", organic.RetryAfter(time.Minute, errMishap), []int{14600, 14800, 30600, 14800}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, failing(organic.StageWeights, test.err), organic.WithTrigger(organic.Seconds{Frequency: 15 * time.Second}))
				s.enqueue("first", "second", "third")
				s.runFor(10 * time.Minute)
				starts := s.at(organic.EventStarted)
				require.Zero(t, starts[0])
				for i, gap := range test.gaps {
					require.Equal(t, time.Duration(gap)*time.Millisecond, starts[i+1]-starts[i], "start %d of %v", i+1, starts)
				}
			})
		})
	}
}
