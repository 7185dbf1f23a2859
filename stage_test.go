package organic_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
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
			return errFailed
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
				s := newTestScorer(t, failFirst(j, stage, 2),
					organic.WithStage(stage, organic.StagePolicy{Tries: 3, Backoff: 2 * time.Second}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.NoError(t, err)
				require.Equal(t, []time.Duration{0, 2 * time.Second, 6 * time.Second}, j.when())
				for i, e := range s.all(organic.EventStageRetried) {
					require.Equal(t, stage, e.Stage)
					require.Equal(t, []time.Duration{2 * time.Second, 4 * time.Second}[i], e.Duration)
					require.ErrorIs(t, e.Err, errFailed)
					require.Equal(t, []organic.Stage{stage}, stagesOf(e.Err), "wrapped, as all errors of hooks")
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
			s := newTestScorer(t, failFirst(j, stage, 1), organic.WithStage(stage, organic.StagePolicy{}))
			s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.Equal(t, stage != organic.StageLog, errors.Is(err, errFailed))
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
				s := newTestScorer(t, failFirst(j, organic.StageRewards, 100),
					organic.WithStage(organic.StageRewards, test.policy))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.ErrorIs(t, err, errFailed)
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
			return errFailed
		}
		s := newTestScorer(t, hooks)
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
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
		s := newTestScorer(t, failFirst(j, organic.StageWeights, 100), organic.WithQueue(queue),
			organic.WithStage(organic.StageWeights, organic.StagePolicy{Tries: 4, Backoff: time.Minute}))
		s.enqueue("prompt")
		stats := s.runFor(10 * time.Second)
		require.Equal(t, []time.Duration{0, 10 * time.Second, 10 * time.Second, 10 * time.Second},
			j.when())
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
		s := newTestScorer(t, failFirst(j, organic.StageWeights, 100), organic.WithQueue(queue))
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
		{
			"nil long after the deadline is success", time.Hour, func(context.Context) error { return nil },
			false,
		},
		{"an error is a failure", 0, func(ctx context.Context) error { return ctx.Err() }, true},
		{
			"a late error is a failure", time.Hour,
			func(context.Context) error { return context.DeadlineExceeded }, true,
		},
	}
	for _, stage := range hookStages {
		for _, test := range tests {
			t.Run(stage.String()+" "+test.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newTestScorer(t, fiveHooks(func(ctx context.Context, at organic.Stage) error {
						if at != stage {
							return ctx.Err()
						}
						<-ctx.Done()
						time.Sleep(test.late)
						return test.err(ctx)
					}), organic.WithStage(stage, organic.StagePolicy{Timeout: 30 * time.Second, Tries: 1}))
					s.enqueue("prompt")
					_, err := s.Iterate(t.Context())
					require.Equal(t, 30*time.Second+test.late, time.Since(s.begun),
						"the iteration waits for the hook")
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
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery && j.add("query") < 3 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}), organic.WithStage(organic.StageQuery,
			organic.StagePolicy{Timeout: 10 * time.Second, Tries: 3}))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.Equal(t, []time.Duration{0, 11 * time.Second, 23 * time.Second}, j.when())
		require.Empty(t, s.all(organic.EventOverdue))
	})
}

func TestHookThatOverstaysIsCountedAndReportedOnce(t *testing.T) {
	t.Parallel()
	for _, stage := range hookStages {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newTestScorer(t, fiveHooks(func(_ context.Context, at organic.Stage) error {
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
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, _ organic.Stage) error {
			if _, limited := ctx.Deadline(); limited {
				return errFailed
			}
			time.Sleep(time.Hour)
			return nil
		}))
		s.enqueue("prompt")
		require.Equal(t, uint64(1), s.drain().Scored)
		require.Empty(t, s.all(organic.EventOverdue))
	})
}

// place is one piece of the user's code and how to make it misbehave.
type place struct {
	name  string
	kind  organic.EventKind // reports it
	stage organic.Stage
	dead  bool // the first sample is meant to end as a dead letter
	build func(t *testing.T, misbehave func() error) (promptHooks, []organic.Option)
}

// hookPlaces are the hooks of the pipeline.
func hookPlaces() []place {
	var places []place
	for _, stage := range hookStages {
		kind := organic.EventFailed
		if stage == organic.StageLog {
			kind = organic.EventLogFailed
		}
		places = append(places, place{
			stage.String(), kind, stage, false,
			func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
				return fiveHooks(func(_ context.Context, at organic.Stage) error {
						if at == stage {
							return misbehave()
						}
						return nil
					}), []organic.Option{
						organic.WithStage(stage, organic.StagePolicy{Tries: 1}),
						organic.WithRetry(organic.RetryPolicy{Attempts: 4}),
					}
			},
		})
	}
	return places
}

// otherPlaces are what the scorer calls round the hooks.
func otherPlaces() []place {
	return []place{
		{
			"dead letter", organic.EventDeadLetterFailed, organic.StageDeadLetter, true,
			func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
				hooks := promptHooks{QueryMinersFunc: func(
					_ context.Context, sample promptSample,
				) (map[organic.UID]string, error) {
					if sample.Payload == "first" {
						return nil, errFailed
					}
					return map[organic.UID]string{}, nil
				}}
				return hooks, []organic.Option{
					organic.WithRetry(organic.RetryPolicy{Attempts: 1}),
					organic.WithDeadLetter(func(context.Context, promptSample, error) error { return misbehave() }),
				}
			},
		},
		{
			"settle", organic.EventSettleFailed, organic.StageSettle, false,
			func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
				queue := newSettlingQueue()
				queue.before = func(organic.Verdict) error { return misbehave() }
				return promptHooks{}, []organic.Option{organic.WithQueue(queue)}
			},
		},
		{
			"queue.Sample", organic.EventSourceFailed, organic.StageSample, false,
			func(t *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
				t.Helper()
				queue := newFaultyQueue(t)
				queue.beforeSample = func(context.Context) error { return misbehave() }
				return promptHooks{}, []organic.Option{organic.WithQueue(queue)}
			},
		},
		{
			"queue.Add of what comes back", organic.EventPutBackFailed, organic.StageSettle, false,
			func(t *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
				t.Helper()
				queue, calls := newFaultyQueue(t), new(atomic.Int64)
				queue.beforeAdd = func(context.Context) error {
					if calls.Load() > 0 {
						return misbehave()
					}
					return nil
				}
				hooks := fiveHooks(func(_ context.Context, stage organic.Stage) error {
					if stage == organic.StageQuery && calls.Add(1) == 1 {
						return organic.RetryAfter(0, errFailed)
					}
					return nil
				})
				return hooks, []organic.Option{organic.WithQueue(queue)}
			},
		},
		{
			"dataset.Sample", organic.EventSourceFailed, organic.StageSample, false,
			func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
				return promptHooks{}, []organic.Option{
					organic.WithSynth(organic.SynthFunc[string](func(context.Context) (string,
						error,
					) {
						return "made up", misbehave()
					})),
					organic.WithTrigger(organic.Seconds{Frequency: time.Second}),
				}
			},
		},
	}
}

// TestMisbehavingUserCodeIsAFailureAndNoMore has each piece of the user's code
// misbehave three times, with a single slot, and then behave: whatever was
// lost on the way, a slot, the loop, a sample, would be missing afterwards.
func TestMisbehavingUserCodeIsAFailureAndNoMore(t *testing.T) {
	t.Parallel()
	for _, place := range append(hookPlaces(), otherPlaces()...) {
		for _, ending := range endings {
			t.Run(place.name+" "+ending.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var calls atomic.Int64
					hooks, opts := place.build(t, func() error {
						if calls.Add(1) <= 3 {
							return ending.end()
						}
						return nil
					})
					s := newTestScorer(t, hooks, opts...)
					s.enqueue("first")
					s.start()
					time.Sleep(5 * time.Minute)
					s.enqueue("second", "third")
					time.Sleep(5 * time.Minute)
					requireMisbehaved(t, s, place, ending.check)
				})
			})
		}
	}
}

func requireMisbehaved(
	t *testing.T, s *testScorer, place place, check func(t *testing.T, err error),
) {
	t.Helper()
	stats := s.stop()
	want := organic.Stats{Scored: 3}
	if place.dead {
		want = organic.Stats{Scored: 2, Dead: 1}
	}
	require.Equal(t, want.Scored, stats.Scored)
	require.Equal(t, want.Dead, stats.Dead)
	events := s.all(place.kind)
	require.Len(t, events, 3)
	for _, e := range events {
		require.Equal(t, place.stage, stagesOf(e.Err)[0])
		check(t, e.Err)
	}
}

func TestGoexitEndsTheTriesOfAStage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageWeights && j.add("weights") == 1 {
				runtime.Goexit()
			}
			return nil
		}))
		s.enqueue("prompt")
		s.runFor(time.Minute)
		require.Len(t, j.noted(), 2)
		require.Equal(t, uint64(1), s.Stats().Failed)
		require.Equal(t, uint64(1), s.Stats().Scored)
	})
}

// TestIterateThatIsLeftByGoexitGivesItsSlotBack takes the goroutines of its
// callers, but nothing else.
func TestIterateThatIsLeftByGoexitGivesItsSlotBack(t *testing.T) {
	t.Parallel()
	for _, place := range append(hookPlaces(), otherPlaces()...) {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				hooks, opts := place.build(t, func() error {
					if calls.Add(1) <= 3 {
						runtime.Goexit()
					}
					return nil
				})
				s := newTestScorer(t, hooks, opts...)
				s.enqueue("first", "second", "third")
				for range 12 {
					done := make(chan struct{})
					go func() {
						defer close(done)
						_, _ = s.Iterate(t.Context())
					}()
					<-done
					time.Sleep(time.Minute)
				}
				requireMisbehaved(t, s, place, endings[2].check)
			})
		})
	}
}

func TestQueueThatLeavesWhileSamplesGoBackAtTheStop(t *testing.T) {
	t.Parallel()
	for _, ending := range endings {
		t.Run(ending.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var g deadLetters
				var adds atomic.Int64
				queue := newFaultyQueue(t)
				queue.beforeAdd = func(context.Context) error {
					if n := adds.Add(1); n == 5 || n == 6 {
						return ending.end()
					}
					return nil
				}
				s := newTestScorer(t, failing(organic.StageQuery, organic.RetryAfter(time.Hour, errFailed)),
					organic.WithQueue(queue), g.option())
				s.enqueue("first", "second", "third", "fourth")
				s.start()
				time.Sleep(time.Minute)
				require.Equal(t, 4, s.Stats().Delayed)
				stats := s.stop()
				require.Equal(t, uint64(2), stats.Dead)
				require.Equal(t, 2, stats.Queued)
				require.Len(t, g.samples, 2)
				for _, cause := range g.causes {
					ending.check(t, cause)
				}
				require.Len(t, s.all(organic.EventStopped), 1)
			})
		})
	}
}

// unsteady makes hooks of which the first query fails, and notes whose weights
// are set.
func unsteady(weighed *hookDiary, first error) promptHooks {
	var queries atomic.Int64
	return promptHooks{
		QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
			if queries.Add(1) == 1 {
				return nil, first
			}
			return map[organic.UID]string{0: "answer"}, nil
		},
		SetWeightsFunc: func(_ context.Context, sample promptSample, _ organic.Rewards) error {
			weighed.add(sample.Payload)
			return nil
		},
	}
}

// leaver is an observer that leaves by runtime.Goexit at some events, as often
// as it is set to.
func leaver(at organic.Event, left *atomic.Int64, times int64) organic.Option {
	return organic.WithObserver(func(e organic.Event) {
		if e.Kind == at.Kind && (at.Stage == 0 || at.Stage == e.Stage) && left.Add(1) <= times {
			runtime.Goexit()
		}
	})
}

func TestObserverThatLeavesLosesNoSample(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		at    organic.Event
		first error // of the first query
	}{
		{name: "started", at: organic.Event{Kind: organic.EventStarted}},
		{name: "query done", at: organic.Event{Kind: organic.EventStageDone, Stage: organic.StageQuery}},
		{name: "weights done", at: organic.Event{
			Kind:  organic.EventStageDone,
			Stage: organic.StageWeights,
		}},
		{name: "log done", at: organic.Event{Kind: organic.EventStageDone, Stage: organic.StageLog}},
		{name: "scored", at: organic.Event{Kind: organic.EventScored}},
		{name: "failed", at: organic.Event{Kind: organic.EventFailed}, first: errFailed},
		{name: "retried", at: organic.Event{Kind: organic.EventRetried}, first: errFailed},
		{
			name: "returned", at: organic.Event{Kind: organic.EventReturned},
			first: organic.RetryAfter(time.Second, errFailed),
		},
	}
	for _, tt := range tests {
		for _, concurrency := range []int{1, 3} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var left atomic.Int64
					weighed := newHookDiary()
					s := newTestScorer(t, unsteady(weighed, tt.first), leaver(tt.at, &left, 2),
						organic.WithConcurrency(concurrency), organic.WithRetry(organic.RetryPolicy{Attempts: organic.Unlimited}))
					s.enqueue("first", "second", "third")
					s.start()
					time.Sleep(10 * time.Minute)
					s.enqueue("fourth")
					time.Sleep(10 * time.Minute)
					stats := s.stop()
					require.Positive(t, left.Load())
					require.EqualValues(t, 4, stats.Scored)
					require.ElementsMatch(t, []string{"first", "second", "third", "fourth"}, weighed.noted(),
						"each once")
					require.Len(t, s.all(organic.EventStopped), 1)
				})
			})
		}
	}
}

func TestObserverThatLeavesAtADeadLetterLosesNoSample(t *testing.T) {
	t.Parallel()
	for _, kind := range []organic.EventKind{
		organic.EventFailed, organic.EventDead,
		organic.EventDiscarded, organic.EventDeadLetterFailed,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				err := errFailed
				if kind == organic.EventDiscarded {
					err = organic.Discard(errFailed)
				}
				var left, buried atomic.Int64
				g := deadLetters{before: func(context.Context) error {
					if kind == organic.EventDeadLetterFailed && buried.Add(1) == 1 {
						return errFailed
					}
					return nil
				}}
				s := newTestScorer(t, failing(organic.StageQuery, err), g.option(),
					organic.WithRetry(organic.RetryPolicy{Attempts: 1}),
					leaver(organic.Event{Kind: kind}, &left, 1))
				s.enqueue("first", "second")
				stats := s.runFor(time.Minute)
				require.Len(t, g.samples, 2)
				require.EqualValues(t, 2, stats.Dead+stats.Discarded)
				require.Positive(t, left.Load())
			})
		})
	}
}

func TestObserverThatLeavesWhileSamplesGoBackAtTheStop(t *testing.T) {
	t.Parallel()
	for _, kind := range []organic.EventKind{organic.EventPutBackFailed, organic.EventDead} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var left atomic.Int64
				var g deadLetters
				var full atomic.Bool
				queue := newFaultyQueue(t)
				queue.beforeAdd = func(context.Context) error {
					if full.Load() {
						return organic.ErrFull
					}
					return nil
				}
				s := newTestScorer(t, later(time.Hour), organic.WithQueue(queue), g.option(),
					leaver(organic.Event{Kind: kind}, &left, 1))
				s.enqueue("first", "second")
				full.Store(true)
				stats := s.runFor(time.Minute)
				require.EqualValues(t, 2, stats.Dead)
				require.Len(t, g.samples, 2)
				require.EqualValues(t, 2, left.Load())
			})
		})
	}
}

func TestObserverThatLeavesAtARunDoesNotHoldUpItsEnd(t *testing.T) {
	t.Parallel()
	for _, kind := range []organic.EventKind{
		organic.EventRunning, organic.EventStopping,
		organic.EventStopped, organic.EventSourceFailed,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var left, calls atomic.Int64
				queue := newFaultyQueue(t)
				queue.beforeSample = func(context.Context) error {
					if calls.Add(1) == 1 {
						return errFailed
					}
					return nil
				}
				s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue),
					leaver(organic.Event{Kind: kind}, &left, 1))
				s.enqueue("first")
				s.start()
				time.Sleep(time.Minute)
				require.EqualValues(t, 1, s.Stats().Scored)
				s.stop()
				s.enqueue("second")
				require.EqualValues(t, 2, s.runFor(time.Minute).Scored)
				require.Positive(t, left.Load())
			})
		})
	}
}

func TestObserverThatLeavesAtTheSoftStopCancelsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var left atomic.Int64
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage != organic.StageQuery {
				return nil
			}
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
			return ctx.Err()
		}), leaver(organic.Event{Kind: organic.EventStopping}, &left, 1))
		s.enqueue("prompt")
		require.EqualValues(t, 1, s.runFor(time.Second).Scored)
		require.EqualValues(t, 1, left.Load())
	})
}

// sizeless is a queue whose Size leaves by runtime.Goexit, once it is set to.
type sizeless struct {
	*faultyQueue

	leaves atomic.Bool
	asked  atomic.Int64
}

func (q *sizeless) Size() int {
	if q.leaves.Load() {
		q.asked.Add(1)
		runtime.Goexit()
	}
	return q.faultyQueue.Size()
}

func TestQueueWhoseSizeLeavesIsNoBusyLoop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		samples []string
		opts    []organic.Option
	}{
		{name: "empty queue"},
		{name: "samples wait", samples: []string{"first", "second", "third"}},
		{name: "steps", opts: []organic.Option{organic.WithTrigger(organic.Steps{Frequency: 1})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := &sizeless{faultyQueue: newFaultyQueue(t)}
				s := newTestScorer(t, promptHooks{}, append(tt.opts, organic.WithQueue(queue))...)
				s.enqueue(tt.samples...)
				queue.leaves.Store(true)
				s.start()
				time.Sleep(time.Hour)
				require.Positive(t, queue.asked.Load())
				require.LessOrEqual(t, queue.asked.Load(), int64(3700), "about once a second")
				queue.leaves.Store(false)
				time.Sleep(2 * time.Minute)
				s.IncrementStep()
				s.enqueue("last")
				s.IncrementStep()
				time.Sleep(2 * time.Minute)
				stopAtOnce(t, s)
				stats := s.stop()
				require.EqualValues(t, len(tt.samples)+1, stats.Scored)
			})
		})
	}
}

func TestStopWhileSizeLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &sizeless{faultyQueue: newFaultyQueue(t)}
		s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue))
		queue.leaves.Store(true)
		s.start()
		time.Sleep(time.Minute)
		begun := time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.LessOrEqual(t, time.Since(begun), time.Second)
		queue.leaves.Store(false)
		s.stop()
	})
}

// stuckOnce makes hooks whose given stage ignores its ctx the first time it is
// called, and returns late when release is closed.
func stuckOnce(stage organic.Stage, release <-chan struct{}) promptHooks {
	var stuck atomic.Bool // abandoned calls run beside later ones
	return fiveHooks(func(_ context.Context, s organic.Stage) error {
		if s == stage && stuck.CompareAndSwap(false, true) {
			<-release
		}
		return nil
	})
}

func TestHookThatNeverReturnsIsAbandonedAndItsSampleIsScoredLater(t *testing.T) {
	t.Parallel()
	for _, stage := range []organic.Stage{
		organic.StageQuery, organic.StageReference,
		organic.StageRewards,
	} {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				s := newTestScorer(t, stuckOnce(stage, release),
					organic.WithStage(stage, organic.StagePolicy{Timeout: time.Second, Abandon: 2 * time.Second}))
				id := s.enqueue("prompt")
				s.start()
				time.Sleep(time.Minute)
				synctest.Wait()
				require.EqualValues(t, 1, s.Stats().Scored)
				require.Equal(t, 1, s.Stats().Abandoned)
				require.Zero(t, s.Stats().Overdue, "it is not awaited any more")
				abandoned := s.one(organic.EventAbandoned)
				require.Equal(t, []any{id, stage, 2 * time.Second},
					[]any{abandoned.ID, abandoned.Stage, abandoned.Duration})
				require.ErrorIs(t, s.one(organic.EventFailed).Err, organic.ErrAbandoned)
				require.Equal(t, []time.Duration{3 * time.Second}, s.at(organic.EventFailed))

				require.NoError(t, s.Stop(t.Context()), "a stop does not wait for it")
				require.Equal(t, 1, s.Stats().Abandoned)
				close(release)
				synctest.Wait()
				require.Zero(t, s.Stats().Abandoned)
			})
		})
	}
}

func TestStopIsNotHeldUpByAnAbandonedHookAndTheQueueHasItsSample(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		queue := newMemory(t)
		s := newTestScorer(t, stuckOnce(organic.StageQuery, release), organic.WithQueue(queue),
			organic.WithStage(organic.StageQuery, organic.StagePolicy{Abandon: 5 * time.Second}))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(time.Hour)
		require.Zero(t, s.Stats().Abandoned, "its ctx has not ended")
		begun := time.Now()
		kill()
		<-s.Done()
		require.Equal(t, 5*time.Second, time.Since(begun))
		require.Equal(t, 1, queue.Size())
		require.Equal(t, 1, queue.TakeAll()[0].Attempt, "an interruption does not count")
		close(release)
	})
}

// TestLateResultOfAnAbandonedHookIsDiscarded is for the race detector, too.
func TestLateResultOfAnAbandonedHookIsDiscarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int64 // abandoned calls run beside later ones
		hooks := promptHooks{
			QueryMinersFunc: func(ctx context.Context, _ promptSample) (map[organic.UID]string, error) {
				if calls.Add(1) > 1 {
					return map[organic.UID]string{1: "in time"}, nil
				}
				<-release
				organic.Annotate(ctx, "late", true)
				return map[organic.UID]string{1: "late"}, nil
			},
		}
		s := newTestScorer(t, hooks,
			organic.WithStage(organic.StageQuery,
				organic.StagePolicy{Timeout: time.Second, Abandon: time.Second}),
			organic.WithRetry(organic.RetryPolicy{Delay: time.Second}))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, organic.ErrAbandoned)
		time.Sleep(2 * time.Second)
		result, err := s.Iterate(t.Context())
		require.NoError(t, err)
		close(release)
		synctest.Wait()
		require.Equal(t, map[organic.UID]string{1: "in time"}, result.Responses)
		require.Empty(t, result.Annotations)
		require.Equal(t, 2, result.Sample.Attempt)
	})
}

func TestHookThatReturnsWhileItIsBeingAbandonedCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hooks := fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageReference {
				<-ctx.Done()
				time.Sleep(time.Second) // cleans up
			}
			return nil
		})
		s := newTestScorer(t, hooks,
			organic.WithStage(organic.StageReference,
				organic.StagePolicy{Timeout: time.Second, Abandon: 2 * time.Second}))
		s.enqueue("prompt")
		result, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.Equal(t, "reference", result.Reference)
		require.Equal(t, 2*time.Second, result.Durations.Reference)
		require.Empty(t, s.all(organic.EventAbandoned))
	})
}

func TestAbandonIsRefusedWhereALateCallWouldDoHarm(t *testing.T) {
	t.Parallel()
	for _, stage := range []organic.Stage{organic.StageWeights, organic.StageLog} {
		_, err := organic.New(promptHooks{},
			organic.WithStage(stage, organic.StagePolicy{Abandon: time.Second}))
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		require.ErrorContains(t, err, "StagePolicy.Abandon must be 0")
	}
}

func TestObserverThatLeavesMakesNoFailure(t *testing.T) {
	t.Parallel()
	for kind := organic.EventStarted; kind <= organic.EventScored; kind++ {
		synctest.Test(t, func(t *testing.T) {
			s := newTestScorer(t, promptHooks{}, organic.WithObserver(func(e organic.Event) {
				if e.Kind == kind {
					runtime.Goexit()
				}
			}))
			s.enqueue("prompt")
			stats := s.runFor(time.Minute)
			require.EqualValues(t, 1, stats.Scored)
			require.Zero(t, stats.Failed)
		})
	}
}

func TestGoexitEndsTheTriesOfAStageThatMayBeAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				j.add("query")
				runtime.Goexit()
			}
			return nil
		}), organic.WithStage(organic.StageQuery, organic.StagePolicy{Tries: 3, Abandon: time.Second}),
			organic.WithRetry(organic.RetryPolicy{Attempts: 1}))
		s.enqueue("prompt")
		require.EqualValues(t, 1, s.drain().Dead)
		require.Len(t, j.noted(), 1)
	})
}

func TestDatasetAndDeadLetterHookThatIgnoreTheEndOfTheirCtxAreAbandoned(t *testing.T) {
	t.Parallel()
	sleep := func() error {
		time.Sleep(time.Hour)
		return nil
	}
	tests := []struct {
		name string
		kind organic.EventKind
		opt  organic.Option
	}{
		{
			name: "dead letter", kind: organic.EventDeadLetterFailed,
			opt: organic.WithDeadLetter(func(
				context.Context, promptSample, error,
			) error {
				return sleep()
			}),
		},
		{
			name: "dataset", kind: organic.EventSourceFailed,
			opt: organic.WithSynth(organic.SynthFunc[string](func(context.Context) (string,
				error,
			) {
				return "late", sleep()
			})),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newTestScorer(t, failing(organic.StageQuery, errFailed), tt.opt,
					organic.WithRetry(organic.RetryPolicy{Attempts: 1}))
				if tt.name == "dead letter" {
					s.enqueue("prompt")
				}
				s.start()
				time.Sleep(time.Second)
				begun := time.Now()
				s.stop()
				require.LessOrEqual(t, time.Since(begun), 10*time.Second, "1 s after the 10 s of the call")
				require.Equal(t, []time.Duration{11 * time.Second}, s.at(tt.kind))
				require.ErrorIs(t, s.one(tt.kind).Err, organic.ErrAbandoned)
				require.Equal(t, 1, s.Stats().Abandoned)
				time.Sleep(time.Hour) // until the call returns
				synctest.Wait()
				require.Zero(t, s.Stats().Abandoned)
			})
		})
	}
}
