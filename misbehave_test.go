package organic_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// place is one piece of the user's code and how to make it misbehave.
type place struct {
	name  string
	kind  organic.EventKind // tells of it
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
		places = append(places, place{stage.String(), kind, stage, false, func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
			return fiveHooks(func(_ context.Context, at organic.Stage) error {
				if at == stage {
					return misbehave()
				}
				return nil
			}), []organic.Option{organic.WithStage(stage, organic.StagePolicy{Tries: 1}), organic.WithRetry(organic.RetryPolicy{Attempts: 4})}
		}})
	}
	return places
}

// otherPlaces are what the scorer calls round the hooks.
func otherPlaces() []place {
	return []place{
		{"dead letter", organic.EventDeadLetterFailed, organic.StageDeadLetter, true, func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
			hooks := promptHooks{QueryMinersFunc: func(_ context.Context, sample promptSample) (map[organic.UID]string, error) {
				if sample.Payload == "first" {
					return nil, errMishap
				}
				return map[organic.UID]string{}, nil
			}}
			return hooks, []organic.Option{
				organic.WithRetry(organic.RetryPolicy{Attempts: 1}),
				organic.WithDeadLetter(func(context.Context, promptSample, error) error { return misbehave() }),
			}
		}},
		{"settle", organic.EventSettleFailed, organic.StageSettle, false, func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
			queue := newSettlingQueue()
			queue.before = func(organic.Verdict) error { return misbehave() }
			return promptHooks{}, []organic.Option{organic.WithQueue(queue)}
		}},
		{"queue.Sample", organic.EventSourceFailed, organic.StageSample, false, func(t *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
			t.Helper()
			queue := newFaultyQueue(t)
			queue.beforeSample = func(context.Context) error { return misbehave() }
			return promptHooks{}, []organic.Option{organic.WithQueue(queue)}
		}},
		{"queue.Add of what comes back", organic.EventPutBackFailed, organic.StageSettle, false, func(t *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
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
					return organic.RetryAfter(0, errMishap)
				}
				return nil
			})
			return hooks, []organic.Option{organic.WithQueue(queue)}
		}},
		{"dataset.Sample", organic.EventSourceFailed, organic.StageSample, false, func(_ *testing.T, misbehave func() error) (promptHooks, []organic.Option) {
			return promptHooks{}, []organic.Option{
				organic.WithSynth(organic.SynthFunc[string](func(context.Context) (string, error) { return "made up", misbehave() })),
				organic.WithTrigger(organic.Seconds{Frequency: time.Second}),
			}
		}},
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
					s := newStand(t, hooks, opts...)
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

func requireMisbehaved(t *testing.T, s *stand, place place, check func(t *testing.T, err error)) {
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
		s := newStand(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
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
				s := newStand(t, hooks, opts...)
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
				var g grave
				var adds atomic.Int64
				queue := newFaultyQueue(t)
				queue.beforeAdd = func(context.Context) error {
					if n := adds.Add(1); n == 5 || n == 6 {
						return ending.end()
					}
					return nil
				}
				s := newStand(t, failing(organic.StageQuery, organic.RetryAfter(time.Hour, errMishap)), organic.WithQueue(queue), g.option())
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
