package organic_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// failFirst makes hooks of which one stage fails the first n times, and notes
// each of its calls.
func failFirst(j *hookDiary, stage organic.Stage, n int) promptHooks {
	return fiveHooks(func(_ context.Context, at organic.Stage) error {
		if at == stage && j.add(at.String()) <= n {
			return errMishap
		}
		return nil
	})
}

func TestStageIsTriedAgainAsItsPolicySays(t *testing.T) {
	t.Parallel()
	for _, stage := range hookStages {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := newHookDiary()
				s := newStand(t, failFirst(j, stage, 2), organic.WithStage(stage, organic.StagePolicy{Tries: 3, Backoff: 2 * time.Second}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.NoError(t, err)
				require.Equal(t, []time.Duration{0, 2 * time.Second, 6 * time.Second}, j.when())
				for i, e := range s.all(organic.EventStageRetried) {
					require.Equal(t, stage, e.Stage)
					require.Equal(t, []time.Duration{2 * time.Second, 4 * time.Second}[i], e.Duration)
					require.ErrorIs(t, e.Err, errMishap)
				}
				stats := s.stop()
				require.Equal(t, uint64(1), stats.Scored)
				require.Zero(t, stats.Failed+stats.LogFailed)
			})
		})
	}
}

func TestStageIsTriedOnceByDefault(t *testing.T) {
	t.Parallel()
	for _, stage := range hookStages {
		if stage == organic.StageWeights {
			continue
		}
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			j := newHookDiary()
			s := newStand(t, failFirst(j, stage, 1), organic.WithStage(stage, organic.StagePolicy{}))
			s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.Equal(t, stage != organic.StageLog, errors.Is(err, errMishap))
			require.Len(t, j.noted(), 1)
		})
	}
}

func TestBackoffDoublesUpToAMinuteOrItself(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy organic.StagePolicy
		want   []int // seconds
	}{
		{"default", organic.StagePolicy{Tries: 10}, []int{1, 2, 4, 8, 16, 32, 60, 60, 60}},
		{"long", organic.StagePolicy{Tries: 4, Backoff: 2 * time.Minute}, []int{120, 120, 120}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := newHookDiary()
				s := newStand(t, failFirst(j, organic.StageRewards, 100), organic.WithStage(organic.StageRewards, test.policy))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.ErrorIs(t, err, errMishap)
				times := j.when()
				require.Len(t, times, test.policy.Tries)
				for i, want := range test.want {
					require.Equal(t, time.Duration(want)*time.Second, times[i+1]-times[i])
				}
			})
		})
	}
}

func TestWeightsAreTriedThreeTimesWithoutAskingTheMinersAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		hooks := fiveHooks(func(_ context.Context, stage organic.Stage) error {
			j.add(stage.String())
			return nil
		})
		var seen []organic.Rewards
		hooks.SetWeightsFunc = func(_ context.Context, _ promptSample, rewards organic.Rewards) error {
			j.add("weights")
			seen = append(seen, rewards)
			return errMishap
		}
		s := newStand(t, hooks)
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, errMishap)
		require.ElementsMatch(t, []string{"query", "reference"}, j.noted()[:2])
		require.Equal(t, []string{"rewards", "weights", "weights", "weights"}, j.noted()[2:])
		require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second}, j.when()[3:])
		require.Equal(t, []organic.Rewards{{0: 1}, {0: 1}, {0: 1}}, seen)
		require.Equal(t, uint64(1), s.Stats().Retried)
		require.Equal(t, 1, s.Stats().Delayed)
	})
}

func TestTriesFollowAtOnceAtAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		queue := newMemory(t)
		s := newStand(t, failFirst(j, organic.StageWeights, 100), organic.WithQueue(queue),
			organic.WithStage(organic.StageWeights, organic.StagePolicy{Tries: 4, Backoff: time.Minute}))
		s.enqueue("prompt")
		stats := s.runFor(10 * time.Second)
		require.Equal(t, []time.Duration{0, 10 * time.Second, 10 * time.Second, 10 * time.Second}, j.when())
		require.Equal(t, 10*time.Second, time.Since(s.begun))
		require.Equal(t, uint64(1), stats.Retried)
		require.Equal(t, 2, queue.TakeAll()[0].Attempt)
	})
}

func TestHardStopEndsTheTriesOfAStage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		queue := newMemory(t)
		s := newStand(t, failFirst(j, organic.StageWeights, 100), organic.WithQueue(queue))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(time.Second / 2)
		kill()
		stats := s.stop()
		require.Len(t, j.noted(), 1)
		require.Equal(t, uint64(1), stats.Returned)
		require.Equal(t, 1, queue.TakeAll()[0].Attempt)
	})
}

func TestTimeoutCancelsTheHookAndWhatItReturnsDecides(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		late time.Duration // beyond the timeout
		err  func(ctx context.Context) error
		fail bool
	}{
		{"nil after the deadline is success", 0, func(context.Context) error { return nil }, false},
		{"nil long after the deadline is success", time.Hour, func(context.Context) error { return nil }, false},
		{"an error is a failure", 0, func(ctx context.Context) error { return ctx.Err() }, true},
		{"a late error is a failure", time.Hour, func(context.Context) error { return context.DeadlineExceeded }, true},
	}
	for _, stage := range hookStages {
		for _, test := range tests {
			t.Run(stage.String()+" "+test.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newStand(t, fiveHooks(func(ctx context.Context, at organic.Stage) error {
						if at != stage {
							return ctx.Err()
						}
						<-ctx.Done()
						time.Sleep(test.late)
						return test.err(ctx)
					}), organic.WithStage(stage, organic.StagePolicy{Timeout: 30 * time.Second, Tries: 1}))
					s.enqueue("prompt")
					_, err := s.Iterate(t.Context())
					require.Equal(t, 30*time.Second+test.late, time.Since(s.begun), "the iteration waits for the hook")
					if test.fail && stage != organic.StageLog {
						require.ErrorIs(t, err, context.DeadlineExceeded)
						require.Equal(t, []organic.Stage{stage}, stagesOf(err))
						require.Equal(t, uint64(1), s.Stats().Retried, "a failure like any other")
						return
					}
					require.NoError(t, err)
					require.Equal(t, test.fail, s.Stats().LogFailed == 1)
					require.Equal(t, test.late > 0, len(s.all(organic.EventOverdue)) == 1)
				})
			})
		}
	}
}

func TestEachTryHasATimeoutOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery && j.add("query") < 3 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}), organic.WithStage(organic.StageQuery, organic.StagePolicy{Timeout: 10 * time.Second, Tries: 3}))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.Equal(t, []time.Duration{0, 11 * time.Second, 23 * time.Second}, j.when())
		require.Empty(t, s.all(organic.EventOverdue))
	})
}

func TestHookThatOverstaysIsCountedAndToldOnce(t *testing.T) {
	t.Parallel()
	for _, stage := range hookStages {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStand(t, fiveHooks(func(_ context.Context, at organic.Stage) error {
					if at == stage {
						time.Sleep(time.Hour)
					}
					return nil
				}), organic.WithStage(stage, organic.StagePolicy{Timeout: time.Second}))
				id := s.enqueue("prompt")
				s.start()
				time.Sleep(time.Second)
				require.Zero(t, s.Stats().Overdue, "a hook has a moment to notice")
				time.Sleep(time.Second)
				require.Equal(t, 1, s.Stats().Overdue)
				time.Sleep(30 * time.Minute)
				require.Equal(t, 1, s.Stats().Overdue)
				time.Sleep(30 * time.Minute)
				require.Zero(t, s.Stats().Overdue)
				overdue := s.one(organic.EventOverdue)
				require.Equal(t, []any{id, stage}, []any{overdue.ID, overdue.Stage})
				require.Greater(t, overdue.Duration, time.Second)
				require.Less(t, overdue.Duration, 2*time.Second)
				require.Equal(t, uint64(1), s.stop().Scored)
			})
		})
	}
}

func TestStageWithoutTimeoutIsNeverOverdue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, fiveHooks(func(ctx context.Context, _ organic.Stage) error {
			if _, limited := ctx.Deadline(); limited {
				return errMishap
			}
			time.Sleep(time.Hour)
			return nil
		}))
		s.enqueue("prompt")
		require.Equal(t, uint64(1), s.drain().Scored)
		require.Empty(t, s.all(organic.EventOverdue))
	})
}
