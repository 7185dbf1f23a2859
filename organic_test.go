package organic_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

var errDeploy = errors.New("deploy")

func TestRunBlocksUntilItIsEnded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(ctx context.Context, s *promptScorer, cancel context.CancelFunc) error
	}{
		{name: "by its ctx", end: func(
			_ context.Context, _ *promptScorer, cancel context.CancelFunc,
		) error {
			cancel()
			return nil
		}},
		{name: "by Stop", end: func(
			ctx context.Context, s *promptScorer, _ context.CancelFunc,
		) error {
			return s.Stop(ctx)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := build(t, promptHooks{}, organic.WithSynth(endless))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ran := make(chan error, 1)
				go func() { ran <- s.Run(ctx) }()
				time.Sleep(time.Hour)
				require.Empty(t, ran)
				require.True(t, s.Stats().Running)

				require.NoError(t, tt.end(t.Context(), s, cancel))
				synctest.Wait()
				require.NoError(t, <-ran)
				require.False(t, s.Stats().Running)
				require.True(t, closed(s.Done()))
			})
		})
	}
}

func TestOnlyOneRunAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(10*time.Second), organic.WithSynth(endless))
		require.ErrorIs(t, s.Start(t.Context()), organic.ErrRunning)
		require.ErrorIs(t, s.Run(t.Context()), organic.ErrRunning)
		time.Sleep(time.Second)

		stopAside(t, s)
		synctest.Wait()
		require.ErrorIs(t, s.Start(t.Context()), organic.ErrRunning, "while stopping too")
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, 1, starts.count(), "refused calls start nothing")
	})
}

func TestScorerCanBeStartedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := build(t, starts.hooks(time.Second), organic.WithSynth(endless))
		for round := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			require.NoError(t, s.Start(ctx))
			time.Sleep(time.Second / 2)
			if round%2 == 0 {
				require.NoError(t, s.Stop(t.Context()))
			}
			cancel()
			<-s.Done()
		}
		require.Equal(t, 20, starts.count())
		stats := s.Stats()
		require.EqualValues(t, 10, stats.SyntheticScored)
		require.Zero(t, stats.SyntheticFailed, "those that were interrupted have not failed")
	})
}

func TestCtxThatHasEndedMakesARunThatEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := build(t, starts.hooks(0), organic.WithSynth(endless))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, s.Run(ctx))
		require.NoError(t, s.Start(ctx))
		<-s.Done()
		require.Zero(t, starts.count())
	})
}

// endOfRun is what a hook saw when its run was ended the hard way.
type endOfRun struct {
	cause error
	after time.Duration
}

func (e *endOfRun) hooks() promptHooks {
	return promptHooks{QueryMinersFunc: func(
		ctx context.Context, _ promptSample,
	) (map[organic.UID]string, error) {
		begun := time.Now()
		<-ctx.Done()
		e.cause, e.after = context.Cause(ctx), time.Since(begun)
		return nil, ctx.Err()
	}}
}

func TestEndOfCtxIsTheHardStop(t *testing.T) {
	t.Parallel()
	for _, softStop := range []bool{false, true} {
		t.Run(map[bool]string{false: "while running", true: "during a soft stop"}[softStop],
			func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var seen endOfRun
					s := build(t, seen.hooks())
					enqueue(t, s, 1)
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					require.NoError(t, s.Start(ctx))
					time.Sleep(time.Second)
					if softStop {
						stopAside(t, s)
					}
					time.Sleep(time.Second)
					cancel(errDeploy)
					<-s.Done()

					require.ErrorIs(t, seen.cause, errDeploy)
					require.Equal(t, 2*time.Second, seen.after)
					requireReturned(t, s)
				})
			})
	}
}

// requireReturned requires that one interrupted sample is back, uncounted.
func requireReturned(t *testing.T, s *promptScorer) {
	t.Helper()
	stats := s.Stats()
	require.EqualValues(t, 1, stats.Returned)
	require.Zero(t, stats.Retried)
	require.Zero(t, stats.Failed, "an interruption is no failure")
	require.Equal(t, 1, stats.Queued)
	requireAccounted(t, stats)
}

func TestHardStopReachesIterateAndEntriesToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen endOfRun
		s := build(t, seen.hooks(), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 5}))
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		require.NoError(t, s.Start(ctx))
		iterated := make(chan error, 1)
		go func() {
			_, err := s.Iterate(t.Context())
			iterated <- err
		}()
		time.Sleep(time.Second)
		stopAside(t, s)
		time.Sleep(time.Second)
		cancel(errDeploy)
		<-s.Done()
		require.ErrorIs(t, seen.cause, errDeploy, "also when the loop has ended before")
		require.Error(t, <-iterated)
	})
}

func TestDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, promptHooks{})
		coming := s.Done()
		require.False(t, closed(coming), "before the first run: the coming one")
		require.NoError(t, s.Stop(t.Context()))
		require.False(t, closed(coming), "there was no run to end")

		require.NoError(t, s.Start(t.Context()))
		require.False(t, closed(coming))
		require.Equal(t, coming, s.Done())
		require.NoError(t, s.Stop(t.Context()))
		require.True(t, closed(coming))
		require.True(t, closed(s.Done()), "after the run")

		require.NoError(t, s.Start(t.Context()))
		again := s.Done()
		require.False(t, closed(again), "a new run")
		require.True(t, closed(coming))
		require.NoError(t, s.Stop(t.Context()))
		require.True(t, closed(again))
	})
}

func TestDoneWaitsForHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(time.Minute), organic.WithSynth(endless))
		time.Sleep(time.Second)
		stopAside(t, s)
		<-s.Done()
		require.Equal(t, time.Minute, time.Since(starts.begun))
	})
}

func TestIntakeGoesOnWhileTheScorerDoesNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := build(t, starts.hooks(0), organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		enqueue(t, s, 2)
		require.NoError(t, s.Start(t.Context()))
		time.Sleep(time.Minute)
		require.NoError(t, s.Stop(t.Context()))
		enqueue(t, s, 3)
		time.Sleep(time.Minute)
		require.Equal(t, 2, starts.count())
		requireAccounted(t, s.Stats())
		require.NoError(t, s.Start(t.Context()))
		time.Sleep(time.Minute)
		require.EqualValues(t, 5, s.Stats().Scored)
	})
}

var errPatience = errors.New("patience is over")

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cause error
		hooks := promptHooks{QueryMinersFunc: func(
			ctx context.Context, _ promptSample,
		) (map[organic.UID]string, error) {
			time.Sleep(10 * time.Second)
			cause = context.Cause(ctx)
			return noAnswers, nil
		}}
		s := run(t, hooks)
		enqueue(t, s, 3)
		time.Sleep(time.Second)

		begun := time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, 9*time.Second, time.Since(begun))
		require.NoError(t, cause, "a soft stop must not cancel hooks")
		stats := s.Stats()
		require.EqualValues(t, 1, stats.Scored)
		require.Equal(t, 2, stats.Queued)
		require.False(t, stats.Running)
		requireAccounted(t, stats)
	})
}

func TestStopWhenNothingRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, promptHooks{})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			require.NoError(t, s.Stop(t.Context()), "never started")
			require.NoError(t, s.Stop(ended), "there is nothing to wait for")
		}
		require.NoError(t, s.Start(t.Context()), "a Stop before does not count")
		require.True(t, s.Stats().Running)
		for range 3 {
			require.NoError(t, s.Stop(t.Context()))
		}
		require.NoError(t, s.Stop(ended))
	})
}

func TestStopFromManyGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(10*time.Second), organic.WithSynth(endless))
		time.Sleep(time.Second)
		stops := newJournal()
		for range 50 {
			go func() {
				if s.Stop(t.Context()) == nil {
					stops.note()
				}
			}()
		}
		time.Sleep(time.Minute)
		require.Len(t, stops.times(), 50)
		for _, at := range stops.times() {
			require.Equal(t, 9*time.Second, at, "nil means that no hook runs")
		}
	})
}

func TestStopEndsAWaitAtOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		opts []organic.Option
	}{
		{name: "seconds", opts: []organic.Option{
			organic.WithSynth(endless),
			organic.WithTrigger(organic.Seconds{Frequency: 4 * time.Second}),
		}},
		{name: "steps", opts: []organic.Option{
			organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 4}),
		}},
		{name: "nothing to score", opts: nil},
		{name: "plain queue", opts: []organic.Option{organic.WithQueue[string](&plainQueue{})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := run(t, promptHooks{}, tt.opts...)
				time.Sleep(300 * time.Millisecond)
				begun := time.Now()
				require.NoError(t, s.Stop(t.Context()))
				require.Zero(t, time.Since(begun))
			})
		})
	}
}

func TestStopWhoseCtxEndsCancelsHooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var causes []error
		var attempts []int
		stubborn := promptHooks{GenerateRewardsFunc: func(
			ctx context.Context, sample promptSample, _ map[organic.UID]string, _ string,
		) (organic.Rewards, error) {
			attempts = append(attempts, sample.Attempt)
			<-ctx.Done()
			causes = append(causes, context.Cause(ctx))
			time.Sleep(5 * time.Second) // cleans up
			return nil, ctx.Err()
		}}
		s := run(t, stubborn)
		enqueue(t, s, 1)
		time.Sleep(time.Second)

		begun := time.Now()
		require.ErrorIs(t, s.Stop(soon(t, 2*time.Second, errPatience)), errPatience)
		require.Equal(t, 2*time.Second, time.Since(begun), "at once when its ctx ends")
		synctest.Wait()
		require.Len(t, causes, 1)
		require.ErrorIs(t, causes[0], errPatience, "hooks see why")
		require.ErrorIs(t, s.Stop(soon(t, time.Second, errDeploy)), errDeploy, "the hook is still there")

		require.NoError(t, s.Stop(t.Context()), "called again it waits")
		require.Equal(t, 7*time.Second, time.Since(begun))
		requireReturned(t, s)

		require.NoError(t, s.Start(t.Context()))
		time.Sleep(time.Second)
		require.ErrorIs(t, s.Stop(soon(t, 0, errPatience)), errPatience)
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, []int{1, 1}, attempts, "an interruption costs no attempt")
	})
}

func TestStopPutsBackWhatIsDelayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failing := promptHooks{QueryMinersFunc: func(
			context.Context, promptSample,
		) (map[organic.UID]string, error) {
			return nil, errFailed
		}}
		queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
		require.NoError(t, err)
		s := run(t, failing, organic.WithQueue(queue),
			organic.WithRetry(organic.RetryPolicy{Delay: time.Hour}),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		enqueue(t, s, 3)
		time.Sleep(10 * time.Second)
		require.Equal(t, 3, s.Stats().Delayed)
		require.NoError(t, s.Stop(t.Context()))
		requireAccounted(t, s.Stats())
		for _, sample := range queue.TakeAll() {
			require.Equal(t, 2, sample.Attempt)
		}
	})
}

func TestStopCutsABackoffShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := newJournal()
		s := run(t, promptHooks{SetWeightsFunc: func(
			context.Context, promptSample, organic.Rewards,
		) error {
			tries.note()
			return errFailed
		}}, organic.WithStage(organic.StageWeights, organic.StagePolicy{Tries: 3, Backoff: time.Hour}))
		enqueue(t, s, 1)
		time.Sleep(time.Minute)
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, []time.Duration{0, time.Minute, time.Minute}, tries.times(),
			"the remaining tries follow at once")
		require.EqualValues(t, 1, s.Stats().Retried)
	})
}

func TestNothingRunsAfterStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(10*time.Second), organic.WithSynth(endless), organic.WithConcurrency(4),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		enqueue(t, s, 10)
		time.Sleep(90 * time.Second)
		require.NoError(t, s.Stop(t.Context()))
		before := starts.count()
		enqueue(t, s, 10)
		s.IncrementStep()
		s.Resume()
		time.Sleep(time.Hour)
		require.Equal(t, before, starts.count())
	})
}

func TestDrainOfWhatIsEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, promptHooks{})
		require.NoError(t, s.Drain(t.Context()), "not running, and nothing there")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, s.Drain(ended))
	})
}

func TestDrainWaitsForEverySample(t *testing.T) {
	t.Parallel()
	fails := func(times int) organic.SynthFunc[string] { // an error for the first calls
		return func(context.Context) (string, error) {
			if times--; times >= 0 {
				return "", errFailed
			}
			return "", nil
		}
	}
	tests := []struct {
		name    string
		samples int
		failing int
		opts    []organic.Option
		want    time.Duration
		slack   time.Duration // a delay has its jitter, and the trigger its interval
	}{
		{name: "in flight", samples: 1, want: 10 * time.Second},
		{name: "queued", samples: 4, want: 70 * time.Second},
		{name: "delayed", samples: 1, failing: 1, want: 310 * time.Second, slack: 100 * time.Second},
		{
			name: "beside synthetic ones", samples: 4, opts: []organic.Option{organic.WithSynth(endless)},
			want: 70 * time.Second,
		},
		{
			name: "beside overlapping synthetic ones", samples: 4, want: 70 * time.Second,
			opts: []organic.Option{
				organic.WithSynth(endless), organic.WithConcurrency(3),
			},
		},
		{
			name: "delayed beside synthetic ones", samples: 1, failing: 1,
			opts: []organic.Option{organic.WithSynth(endless)}, want: 310 * time.Second,
			slack: 100 * time.Second,
		},
		{
			name: "dead letters", samples: 2, failing: 2,
			opts: []organic.Option{organic.WithRetry(organic.RetryPolicy{Attempts: 1})},
			want: 30 * time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				outcome, took := fails(tt.failing), 10*time.Second
				hooks := promptHooks{QueryMinersFunc: func(
					ctx context.Context, sample promptSample,
				) (map[organic.UID]string, error) {
					time.Sleep(took)
					if sample.Origin == organic.Synthetic {
						return noAnswers, nil
					}
					_, err := outcome(ctx)
					return nil, err
				}}
				opts := []organic.Option{
					organic.WithTrigger(organic.Seconds{Frequency: 20 * time.Second, ScalingFactor: 1e18}),
					organic.WithRetry(organic.RetryPolicy{Delay: 5 * time.Minute, MaxDelay: 5 * time.Minute}),
				}
				s := build(t, hooks, append(opts, tt.opts...)...)
				enqueue(t, s, tt.samples)
				require.NoError(t, s.Start(t.Context()))
				begun := time.Now()
				require.NoError(t, s.Drain(t.Context()))
				require.InDelta(t, tt.want, time.Since(begun), float64(tt.slack))
				stats := s.Stats()
				require.Zero(t, stats.Queued+stats.Delayed+stats.InFlightOrganic)
				require.EqualValues(t, tt.samples, stats.Scored+stats.Dead)
				require.True(t, stats.Running)
			})
		})
	}
}

func TestDrainWhoseCtxEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(time.Minute))
		enqueue(t, s, 2)
		require.ErrorIs(t, s.Drain(soon(t, time.Second, errPatience)), errPatience)
		require.Equal(t, time.Second, time.Since(starts.begun))
		require.True(t, s.Stats().Running, "it stops nothing")
		require.NoError(t, s.Drain(t.Context()))
	})
}

func TestDrainOfAScorerThatDoesNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, promptHooks{})
		enqueue(t, s, 1)
		require.ErrorIs(t, s.Drain(soon(t, time.Hour, errPatience)), errPatience)
		drained := make(chan error, 1)
		go func() { drained <- s.Drain(t.Context()) }()
		synctest.Wait()
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.NoError(t, <-drained, "Iterate was called")
	})
}

func TestDrainSeesAQueueThatOthersEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &plainQueue{}
		s := build(t, promptHooks{}, organic.WithQueue[string](queue))
		enqueue(t, s, 1)
		begun := time.Now()
		go func() {
			time.Sleep(time.Minute)
			_, _ = queue.Sample(t.Context())
		}()
		require.NoError(t, s.Drain(t.Context()))
		require.InDelta(t, time.Minute, time.Since(begun), float64(2*time.Second))
	})
}

func TestManyDrainAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, newJournal().hooks(time.Second))
		enqueue(t, s, 3)
		drained := newJournal()
		for range 20 {
			go func() {
				if s.Drain(t.Context()) == nil {
					drained.note()
				}
			}()
		}
		time.Sleep(10 * time.Minute)
		require.Len(t, drained.times(), 20)
		for _, at := range drained.times() {
			require.Equal(t, drained.times()[0], at)
		}
	})
}

func TestDrainDoesNotWaitForSyntheticSamples(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, promptHooks{QueryMinersFunc: func(
			_ context.Context, sample promptSample,
		) (map[organic.UID]string, error) {
			if sample.Origin == organic.Synthetic {
				time.Sleep(time.Hour)
			}
			return noAnswers, nil
		}}, organic.WithSynth(endless), organic.WithConcurrency(10))
		time.Sleep(61 * time.Second)
		enqueue(t, s, 1)
		require.Equal(t, 5, s.Stats().InFlight)
		require.Zero(t, s.Stats().InFlightOrganic)
		begun := time.Now()
		require.NoError(t, s.Drain(t.Context()))
		require.Equal(t, 13800*time.Millisecond, time.Since(begun), "until the next start")
		require.Equal(t, 5, s.Stats().InFlight)
	})
}

func TestPauseHoldsStartsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts, axon := newJournal(), &organictest.Axon{}
		hooks := starts.hooks(10 * time.Second)
		hooks.OnOrganicEntryFunc = okEntry
		s := run(t, hooks, organic.WithAxon(axon), organic.WithSynth(endless))
		time.Sleep(time.Second)
		s.Pause()
		s.Pause()
		require.True(t, s.Stats().Paused)
		require.True(t, s.Stats().Running)
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, s.Stats().SyntheticScored, "what is in flight is finished")

		enqueue(t, s, 5)
		status, _ := axon.Ask(t.Context(), &organic.Synapse{})
		require.Equal(t, http.StatusOK, status, "requests are served")
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, []time.Duration{0, 61 * time.Second}, starts.times(),
			"only Iterate has started one")

		s.Resume()
		synctest.Wait()
		require.Equal(t, 3, starts.count(), "what is due starts at once")
		require.False(t, s.Stats().Paused)
	})
}

func TestResumeDoesNotMakeUpForStartsMissed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless))
		time.Sleep(time.Second)
		s.Pause()
		time.Sleep(3 * time.Second)
		s.Resume()
		time.Sleep(12 * time.Second)
		require.Equal(t, every(15*time.Second, 2), starts.times(), "a short pause changes nothing")
		s.Pause()
		time.Sleep(time.Hour)
		s.Resume()
		s.Resume()
		time.Sleep(10 * time.Second)
		require.Equal(t, 3, starts.count())
	})
}

func TestPauseSurvivesStopAndStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := build(t, starts.hooks(0), organic.WithSynth(endless))
		s.Pause()
		for range 3 {
			require.NoError(t, s.Start(t.Context()))
			time.Sleep(time.Hour)
			require.NoError(t, s.Stop(t.Context()))
		}
		require.Zero(t, starts.count())
		require.NoError(t, s.Start(t.Context()))
		s.Resume()
		synctest.Wait()
		require.Equal(t, 1, starts.count())
	})
}

func TestPausedScorerStopsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, promptHooks{}, organic.WithSynth(endless))
		s.Pause()
		begun := time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.Zero(t, time.Since(begun))
	})
}

func TestIterateNeedsNoStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged *organic.Result[string, string]
		s := build(t, promptHooks{
			QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
				return map[organic.UID]string{3: "answer"}, nil
			},
			GenerateReferenceFunc: func(context.Context, promptSample) (string, error) {
				return "reference",
					nil
			},
			GenerateRewardsFunc: func(
				_ context.Context, _ promptSample, responses map[organic.UID]string, _ string,
			) (organic.Rewards, error) {
				return organic.Rewards{3: float64(len(responses[3]))}, nil
			},
			LogResultsFunc: func(_ context.Context, result *organic.Result[string, string]) error {
				logged = result
				return nil
			},
		})
		id, err := s.Enqueue(t.Context(), "text")
		require.NoError(t, err)
		result, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.Same(t, logged, result)
		require.Equal(t, id, result.Sample.ID)
		require.Equal(t, "reference", result.Reference)
		require.Equal(t, organic.Rewards{3: 6}, result.Rewards)
		require.False(t, s.Stats().Running)
		require.NoError(t, s.Stop(t.Context()))
		requireAccounted(t, s.Stats())
	})
}

func TestIterateReturnsWhatWentWrong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, promptHooks{GenerateRewardsFunc: func(
			context.Context, promptSample, map[organic.UID]string, string,
		) (organic.Rewards, error) {
			return nil, errFailed
		}})
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty)

		enqueue(t, s, 1)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
		var stage *organic.StageError
		require.ErrorAs(t, err, &stage)
		require.Equal(t, organic.StageRewards, stage.Stage)
		require.Equal(t, 1, s.Stats().Delayed, "dealt with as always")
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty, "not due yet")
		time.Sleep(time.Minute)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed, "due again without a loop")
		require.EqualValues(t, 2, s.Stats().Retried)
	})
}

func TestIterateIgnoresTriggerAndPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(time.Second), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 1000}))
		s.Pause()
		for range 5 {
			_, err := s.Iterate(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, every(time.Second, 5), starts.times())
	})
}

func TestIterateMovesNeitherClockNorCounter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		trigger organic.Trigger
	}{
		{name: "seconds", trigger: organic.Seconds{Frequency: 10 * time.Second}},
		{name: "steps", trigger: organic.Steps{Frequency: 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				starts := newJournal()
				s := run(t, starts.hooks(0), organic.WithSynth(endless), organic.WithTrigger(tt.trigger))
				step(s, 10)
				want := []time.Duration{0}
				for second := 1; second <= 20; second++ {
					time.Sleep(time.Second)
					step(s, 1)
					if second%10 == 0 {
						want = append(want, time.Duration(second)*time.Second)
					} else if second%3 == 0 {
						_, err := s.Iterate(t.Context())
						require.NoError(t, err)
						want = append(want, time.Duration(second)*time.Second)
					}
				}
				require.Equal(t, want, starts.times())
			})
		})
	}
}

func TestStopWaitsForIterate(t *testing.T) {
	t.Parallel()
	for _, started := range []bool{false, true} {
		t.Run(map[bool]string{false: "never started", true: "running"}[started], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				starts := newJournal()
				s := build(t, starts.hooks(10*time.Second), organic.WithSynth(endless),
					organic.WithTrigger(organic.Steps{Frequency: 3}))
				if started {
					require.NoError(t, s.Start(t.Context()))
				}
				iterated := make(chan error, 1)
				go func() {
					_, err := s.Iterate(t.Context())
					iterated <- err
				}()
				time.Sleep(time.Second)
				go func() {
					time.Sleep(time.Second)
					_, err := s.Iterate(t.Context())
					iterated <- err
				}()
				require.NoError(t, s.Stop(t.Context()))
				require.Equal(t, 10*time.Second, time.Since(starts.begun))
				synctest.Wait()
				require.ErrorIs(t, <-iterated, organic.ErrStopping, "none begins while stopping")
				require.NoError(t, <-iterated)
				_, err := s.Iterate(t.Context())
				require.NoError(t, err, "after the stop")
			})
		})
	}
}

func TestNoIterateBeginsWhileStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(10*time.Second), organic.WithSynth(endless), organic.WithConcurrency(3))
		synctest.Wait()
		stopAside(t, s)
		synctest.Wait()
		for range 100 { // there is a slot, and there is the stop
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, organic.ErrStopping)
		}
		<-s.Done()
		require.Equal(t, 1, starts.count())
	})
}

func TestStopWhoseCtxEndsCancelsIterate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen endOfRun
		s := build(t, seen.hooks())
		enqueue(t, s, 1)
		iterated := make(chan error, 1)
		go func() {
			_, err := s.Iterate(t.Context())
			iterated <- err
		}()
		synctest.Wait()
		require.ErrorIs(t, s.Stop(soon(t, time.Second, errPatience)), errPatience)
		require.NoError(t, s.Stop(t.Context()))
		require.Error(t, <-iterated)
		require.ErrorIs(t, seen.cause, errPatience)
		requireReturned(t, s)
	})
}

func TestIterateWhoseCtxEndsGivesTheSampleBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen endOfRun
		s := build(t, seen.hooks())
		enqueue(t, s, 1)
		_, err := s.Iterate(soon(t, 3*time.Second, errPatience))
		require.Error(t, err)
		require.ErrorIs(t, seen.cause, errPatience)
		requireReturned(t, s)

		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errDeploy)
		_, err = s.Iterate(ended)
		require.ErrorIs(t, err, errDeploy)
		require.Equal(t, 1, s.Stats().Queued)
	})
}

func TestWaitingForASlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(10*time.Second), organic.WithSynth(endless))
		synctest.Wait() // the loop has the only slot
		_, err := s.Iterate(soon(t, time.Second, errPatience))
		require.ErrorIs(t, err, errPatience)
		require.Equal(t, time.Second, time.Since(starts.begun))

		waiting := newJournal()
		stopped := make(chan error, 1)
		go func() {
			_, err := s.Iterate(t.Context())
			waiting.note()
			stopped <- err
		}()
		time.Sleep(time.Second)
		require.NoError(t, s.Stop(t.Context()))
		require.ErrorIs(t, <-stopped, organic.ErrStopping)
		require.Equal(t, every(time.Second, 2)[1:], waiting.times(), "Stop ends the wait at once")
		require.Equal(t, 1, starts.count())
	})
}

func TestIterateWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(10*time.Second), organic.WithSynth(endless),
			organic.WithTrigger(organic.Seconds{Frequency: time.Hour}))
		synctest.Wait()
		for range 2 {
			_, err := s.Iterate(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, every(10*time.Second, 3), starts.times())
	})
}

// slowQueue takes its time to say that it is empty, and to take a sample in.
type slowQueue struct {
	tellingQueue

	sampling, adding time.Duration
}

func (q *slowQueue) Sample(ctx context.Context) (organic.Lease[string], error) {
	lease, err := q.tellingQueue.Sample(ctx)
	if err != nil {
		time.Sleep(q.sampling)
	}
	return lease, err
}

func (q *slowQueue) Add(ctx context.Context, sample promptSample) error {
	time.Sleep(q.adding)
	return q.tellingQueue.Add(ctx, sample)
}

func TestArrivalWhileIterateFindsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithQueue[string](&slowQueue{sampling: 10 * time.Second}))
		time.Sleep(time.Minute) // the loop waits for an arrival
		empty := make(chan error, 1)
		go func() {
			_, err := s.Iterate(t.Context())
			empty <- err
		}()
		time.Sleep(time.Second)
		enqueue(t, s, 1) // the loop is woken while Iterate has the only slot
		require.ErrorIs(t, <-empty, organic.ErrEmpty)
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{70 * time.Second}, starts.times())
	})
}

func TestStopWaitsForIteratePuttingSamplesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &slowQueue{}
		s := build(t, promptHooks{QueryMinersFunc: func(
			context.Context, promptSample,
		) (map[organic.UID]string, error) {
			return nil, errFailed
		}}, organic.WithQueue[string](queue))
		enqueue(t, s, 1)
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
		time.Sleep(time.Hour)
		queue.adding = 5 * time.Second
		go func() { _, _ = s.Iterate(t.Context()) }()
		synctest.Wait() // it puts the delayed sample back
		require.NoError(t, s.Stop(t.Context()))
		requireAccounted(t, s.Stats())
	})
}

// hookNames are the hooks that the scorer calls, the dead-letter hook too.
var hookNames = []string{
	"QueryMiners", "GenerateReference", "GenerateRewards", "SetWeights", "LogResults",
	"OnOrganicEntry", "Blacklist", "Priority", "Verify", "dead letter",
}

// hooksCalling are hooks of which one calls a function, with its own ctx.
func hooksCalling(name string, call func(ctx context.Context)) promptHooks {
	calls := func(ctx context.Context, hook string) error {
		switch {
		case hook == name:
			call(ctx)
		case name == "dead letter" && hook == "QueryMiners":
			return organic.Discard(errFailed)
		}
		return nil
	}
	return promptHooks{
		QueryMinersFunc: func(ctx context.Context, _ promptSample) (map[organic.UID]string, error) {
			return map[organic.UID]string{}, calls(ctx, "QueryMiners")
		},
		GenerateReferenceFunc: func(ctx context.Context, _ promptSample) (string, error) {
			return "", calls(ctx, "GenerateReference")
		},
		GenerateRewardsFunc: func(
			ctx context.Context, _ promptSample, _ map[organic.UID]string, _ string,
		) (organic.Rewards, error) {
			return organic.Rewards{}, calls(ctx, "GenerateRewards")
		},
		SetWeightsFunc: func(
			ctx context.Context, _ promptSample, _ organic.Rewards,
		) error {
			return calls(ctx, "SetWeights")
		},
		LogResultsFunc: func(
			ctx context.Context, _ *organic.Result[string, string],
		) error {
			return calls(ctx, "LogResults")
		},
		OnOrganicEntryFunc: func(ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse) error {
			return calls(ctx, "OnOrganicEntry")
		},
		BlacklistFunc: func(
			ctx context.Context, _ *organic.Synapse,
		) error {
			return calls(ctx, "Blacklist")
		},
		PriorityFunc: func(
			ctx context.Context, _ *organic.Synapse,
		) float64 {
			_ = calls(ctx, "Priority")
			return 0
		},
		VerifyFunc: func(
			ctx context.Context, _ *organic.Synapse,
		) error {
			return calls(ctx, "Verify")
		},
	}
}

// inEachHook runs a test per hook in which that hook, once, calls something of
// a running scorer. Then is called when the hook has returned.
func inEachHook(
	t *testing.T, call func(ctx context.Context, s *promptScorer), then func(t *testing.T,
		s *promptScorer),
) {
	t.Helper()
	for _, name := range hookNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s *promptScorer
				calls := 0
				hook := func(ctx context.Context) {
					if calls++; calls == 1 {
						call(ctx, s)
					}
				}
				axon := &organictest.Axon{}
				s = build(t, hooksCalling(name, hook), organic.WithAxon(axon), organic.WithDeadLetter(
					func(ctx context.Context, _ promptSample, _ error) error {
						if name == "dead letter" {
							hook(ctx)
						}
						return nil
					}))
				require.NoError(t, s.Start(t.Context()))
				enqueue(t, s, 1)
				go axon.Ask(t.Context(), &organic.Synapse{})
				synctest.Wait()
				require.Equal(t, 1, calls)
				then(t, s)
			})
		})
	}
}

func TestStopInAHook(t *testing.T) {
	t.Parallel()
	inEachHook(t, func(ctx context.Context, s *promptScorer) {
		if err := s.Stop(ctx); err != organic.ErrStopInHook { //nolint:errorlint // exactly this one
			panic(err)
		}
		derived, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := s.Stop(derived); err != organic.ErrStopInHook { //nolint:errorlint // exactly this one
			panic(err)
		}
	}, func(t *testing.T, s *promptScorer) {
		t.Helper()
		require.True(t, closed(s.Done()), "the stop was requested and has come about")
		stats := s.Stats()
		require.Zero(t, stats.EntryFailed+stats.Failed-stats.Discarded+stats.LogFailed+stats.DeadLetterFailed)
		require.NoError(t, s.Start(t.Context()))
	})
}

func TestWaitingInAHookIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		call func(ctx context.Context, s *promptScorer) error
	}{
		{"Drain", func(ctx context.Context, s *promptScorer) error { return s.Drain(ctx) }},
		{"Run", func(ctx context.Context, s *promptScorer) error { return s.Run(ctx) }},
		{"Start", func(ctx context.Context, s *promptScorer) error { return s.Start(ctx) }},
		{"Iterate", func(ctx context.Context, s *promptScorer) error {
			_, err := s.Iterate(ctx)
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan error, len(hookNames))
			inEachHook(t, func(ctx context.Context, s *promptScorer) {
				got <- tt.call(ctx, s)
			}, func(t *testing.T, s *promptScorer) {
				t.Helper()
				require.ErrorIs(t, <-got, organic.ErrInHook)
				require.True(t, s.Stats().Running)
			})
		})
	}
}

func TestCallsThatHooksMayMake(t *testing.T) {
	t.Parallel()
	inEachHook(t, func(ctx context.Context, s *promptScorer) {
		s.Pause()
		if _, err := s.Enqueue(ctx, "follow-up"); err != nil {
			panic(err)
		}
		s.IncrementStep()
		s.SetStep(7)
		s.Done()
		if stats := s.Stats(); !stats.Running || !stats.Paused {
			panic("stats")
		}
	}, func(t *testing.T, s *promptScorer) {
		t.Helper()
		time.Sleep(time.Minute)
		stats := s.Stats()
		require.EqualValues(t, 2, stats.Accepted)
		require.GreaterOrEqual(t, stats.Queued, 1, "paused by the hook")
		require.Zero(t, stats.EntryFailed+stats.Failed-stats.Discarded+stats.LogFailed+stats.DeadLetterFailed)
		s.Resume()
		time.Sleep(time.Minute)
		require.Zero(t, s.Stats().Queued)
	})
}

func TestHookOfAnotherScorerMayWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := run(t, promptHooks{}, organic.WithSynth(endless))
		outer := run(t, hooksCalling("QueryMiners", func(ctx context.Context) {
			if err := inner.Drain(ctx); err != nil {
				panic(err)
			}
			if err := inner.Stop(ctx); err != nil {
				panic(err)
			}
		}), organic.WithSynth(endless))
		synctest.Wait()
		require.True(t, closed(inner.Done()))
		require.EqualValues(t, 1, outer.Stats().SyntheticScored)
	})
}

func TestStartInAHookOfIterateIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *promptScorer
		var started, ran error
		s = build(t, hooksCalling("QueryMiners", func(ctx context.Context) {
			started, ran = s.Start(ctx), s.Run(ctx)
		}), organic.WithSynth(endless))
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, started, organic.ErrInHook, "the run's ctx would end with the hook's")
		require.ErrorIs(t, ran, organic.ErrInHook)
	})
}

func TestStopInAHookOfIterate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *promptScorer
		var stopped error
		s = build(t, hooksCalling("QueryMiners", func(ctx context.Context) { stopped = s.Stop(ctx) }))
		enqueue(t, s, 1)
		_, err := s.Iterate(t.Context())
		require.NoError(t, err, "it is finished, as by any soft stop")
		require.ErrorIs(t, stopped, organic.ErrStopInHook)
		require.NoError(t, s.Stop(t.Context()))
		require.NoError(t, s.Start(t.Context()))
	})
}

func TestUnbuiltMemoryQueueReturnsAnError(t *testing.T) {
	t.Parallel()
	for _, queue := range []*organic.MemoryQueue[string]{nil, {}} {
		require.ErrorIs(t, queue.Add(t.Context(), promptSample{}), organic.ErrNotBuilt)
		_, err := queue.Sample(t.Context())
		require.ErrorIs(t, err, organic.ErrNotBuilt)
		require.Zero(t, queue.Size())
		require.Empty(t, queue.TakeAll())
		queue.Watch(organic.Watcher{})()
	}
}

// panickingAxon panics when a scorer is attached.
type panickingAxon struct{ value any }

func (a panickingAxon) Attach(organic.Handlers) (func(), error) { panic(a.value) }

// watchedMemory reports what happens in it, and counts its watchers.
type watchedMemory struct {
	*faultyQueue

	watchers int
	blunt    bool // its Watch returns no stop
}

func (q *watchedMemory) Watch(watcher organic.Watcher) (stop func()) {
	q.watchers++
	end := q.queue.Watch(watcher)
	if q.blunt {
		return nil
	}
	return func() {
		q.watchers--
		end()
	}
}

func TestAxonThatFailsLeavesNoTrace(t *testing.T) {
	t.Parallel()
	requirePanicked := func(t *testing.T, err error) {
		t.Helper()
		panicked, ok := errors.AsType[*organic.PanicError](err)
		require.True(t, ok, "%v", err)
		require.Contains(t, string(panicked.Stack()), "organic_test.go", "the stack is that of the panic")
		require.NotContains(t, err.Error(), "secret")
	}
	tests := []struct {
		name  string
		axon  organic.Axon
		check func(t *testing.T, err error)
	}{
		{name: "error", axon: &organictest.Axon{AttachErr: errFailed}, check: requireMishap},
		{name: "panic", axon: panickingAxon{"secret"}, check: requirePanicked},
		{name: "panic with an error", axon: panickingAxon{errFailed}, check: requirePanicked},
	}
	for _, tt := range tests {
		for _, blunt := range []bool{false, true} {
			t.Run(tt.name+" no stop "+strconv.FormatBool(blunt), func(t *testing.T) {
				t.Parallel()
				queue := &watchedMemory{faultyQueue: newFaultyQueue(t), blunt: blunt}
				scorer, err := organic.New(promptHooks{}, organic.WithQueue(queue),
					organic.WithAxon(&organictest.Axon{}), organic.WithAxon(tt.axon))
				require.Nil(t, scorer)
				tt.check(t, err)
				if !blunt {
					require.Zero(t, queue.watchers)
				}
			})
		}
	}
}

func TestQueueWhoseWatchReturnsNoStopIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, promptHooks{},
			organic.WithQueue(&watchedMemory{faultyQueue: newFaultyQueue(t), blunt: true}))
		s.enqueue("prompt")
		require.EqualValues(t, 1, s.drain().Scored)
	})
}

// typedNil is an error that is not nil and cannot be looked into: its Unwrap
// reads from a nil pointer.
func typedNil() error {
	var e *net.OpError
	return e
}

// requireLooked requires that a typed nil was found out before it did harm.
func requireLooked(t *testing.T, err error) {
	t.Helper()
	staged, ok := errors.AsType[*organic.StageError](err)
	require.True(t, ok, "%T", err)
	_, ok = errors.AsType[*organic.PanicError](staged.Err)
	require.True(t, ok, "%T", staged.Err)
}

// misleading makes a function that returns typed nils three times.
func misleading(wrap func(err error) error) func() error {
	var calls atomic.Int64
	return func() error {
		if calls.Add(1) <= 3 {
			return wrap(typedNil())
		}
		return nil
	}
}

func TestTypedNilErrorsAreFailuresAndNoMore(t *testing.T) {
	t.Parallel()
	wraps := []struct {
		name string
		wrap func(err error) error
	}{
		{"bare", func(err error) error { return err }},
		{"joined", func(err error) error { return errors.Join(errFailed, err) }},
		{"retry after", func(err error) error { return organic.RetryAfter(time.Second, err) }},
	}
	for _, place := range append(hookPlaces(), otherPlaces()...) {
		for _, w := range wraps {
			t.Run(place.name+" "+w.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					hooks, opts := place.build(t, misleading(w.wrap))
					s := newTestScorer(t, hooks, opts...)
					s.enqueue("first")
					s.start()
					time.Sleep(5 * time.Minute)
					s.enqueue("second", "third")
					time.Sleep(5 * time.Minute)
					requireMisbehaved(t, s, place, requireLooked)
				})
			})
		}
	}
}

func TestTypedNilErrorIsTriedAgainWithinTheStage(t *testing.T) {
	t.Parallel()
	for _, stage := range hookStages {
		t.Run(stage.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fail := misleading(func(err error) error { return err })
				s := newTestScorer(t, fiveHooks(func(_ context.Context, at organic.Stage) error {
					if at == stage {
						return fail()
					}
					return nil
				}), organic.WithStage(stage, organic.StagePolicy{Tries: 4, Timeout: time.Minute}))
				s.enqueue("prompt")
				stats := s.drain()
				require.EqualValues(t, 1, stats.Scored)
				require.Zero(t, stats.Failed)
				require.Len(t, s.all(organic.EventStageRetried), 3)
			})
		})
	}
}

func TestTypedNilErrorsOfQueryAndReferenceTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery || stage == organic.StageReference {
				return typedNil()
			}
			return nil
		}), organic.WithRetry(organic.RetryPolicy{Attempts: 2}))
		s.enqueue("prompt")
		stats := s.drain()
		require.EqualValues(t, 1, stats.Dead)
		require.EqualValues(t, 2, stats.Failed)
		for _, e := range s.all(organic.EventFailed) {
			requireLooked(t, e.Err)
		}
	})
}

func TestTypedNilErrorOfAnEntryHook(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"blacklist", "verify", "forward"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen calls
				axon := &organictest.Axon{}
				s := newTestScorer(t, seen.entryHooks(name, typedNil()), organic.WithAxon(axon))
				s.start()
				for range 3 {
					status, body := axon.Ask(t.Context(), &organic.Synapse{})
					require.Equal(t, http.StatusInternalServerError, status)
					require.Equal(t, http.StatusText(status), string(body))
				}
				events := s.all(organic.EventEntryFailed)
				require.Len(t, events, 3)
				requireLooked(t, events[0].Err)
				s.stop()
			})
		})
	}
}

func TestTypedNilErrorAtEnqueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fail := misleading(func(err error) error { return err })
		queue := newFaultyQueue(t)
		queue.beforeAdd = func(context.Context) error { return fail() }
		s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue))
		for range 3 {
			_, err := s.Enqueue(t.Context(), "prompt")
			require.Error(t, err)
			require.NotErrorIs(t, err, organic.ErrFull, "it can be looked into")
		}
		s.enqueue("prompt")
		stats := s.drain()
		require.EqualValues(t, 3, stats.Refused)
		require.EqualValues(t, 1, stats.Scored)
	})
}

func TestTypedNilErrorsAtTheStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var refuses atomic.Bool
		queue := newFaultyQueue(t)
		queue.beforeAdd = func(context.Context) error {
			if refuses.Load() {
				return typedNil()
			}
			return nil
		}
		g := deadLetters{before: func(context.Context) error { return typedNil() }}
		s := newTestScorer(t, later(time.Hour), organic.WithQueue(queue), g.option())
		s.enqueue("first", "second")
		refuses.Store(true)
		stats := s.runFor(time.Minute)
		require.EqualValues(t, 2, stats.Dropped)
		for _, e := range s.all(organic.EventPutBackFailed) {
			requireLooked(t, e.Err)
		}
	})
}

func TestTypedNilErrorAtAHardStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage != organic.StageQuery {
				return nil
			}
			<-ctx.Done()
			return typedNil()
		}))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(time.Second)
		kill()
		require.Equal(t, 1, s.stop().Queued)
		requireLooked(t, s.one(organic.EventReturned).Err)
	})
}

// scorerMethods are all the methods that embedding a scorer promotes.
var scorerMethods = []string{
	"Done", "Drain", "Enqueue", "EnqueueSample", "IncrementStep", "Iterate",
	"Pause", "Resume", "Run", "SetStep", "Start", "Stats", "Stop",
}

func methodsOf(t reflect.Type) []string {
	names := make([]string, 0, t.NumMethod())
	for method := range t.Methods() {
		names = append(names, method.Name)
	}
	return names
}

func TestEmbeddingPromotesNothingElse(t *testing.T) {
	t.Parallel()
	scorer := reflect.TypeFor[*organic.OrganicScorer[string, string]]()
	require.Equal(t, scorerMethods, methodsOf(scorer))
	hooks := methodsOf(reflect.TypeFor[organic.Hooks[string, string]]())
	require.Contains(t, hooks, "QueryMiners")
	for _, name := range scorerMethods {
		require.NotContains(t, hooks, name, "a hook of that name would be ambiguous")
	}
	for field := range scorer.Elem().Fields() {
		require.False(t, field.IsExported(), "no exported fields")
	}
}

func TestScorerThatWasNeverBuilt(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*promptScorer{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for method, call := range map[string]func() error{
				"Run": func() error { return s.Run(ctx) }, "Start": func() error { return s.Start(ctx) },
				"Stop": func() error { return s.Stop(ctx) }, "Drain": func() error { return s.Drain(ctx) },
				"Enqueue":       func() error { _, err := s.Enqueue(ctx, "text"); return err },
				"EnqueueSample": func() error { _, err := s.EnqueueSample(ctx, promptSample{}); return err },
				"Iterate":       func() error { _, err := s.Iterate(ctx); return err },
			} {
				require.ErrorIs(t, call(), organic.ErrNotBuilt, method)
			}
			s.IncrementStep()
			s.SetStep(3)
			s.Pause()
			s.Resume()
			require.Zero(t, s.Stats())
			<-s.Done()
		})
	}
}

func TestValidatorIsHalfBuiltDuringNew(t *testing.T) {
	t.Parallel()
	v := &embedding{} // its scorer is nil as long as New runs
	require.ErrorIs(t, v.Start(t.Context()), organic.ErrNotBuilt)
	var err error
	v.OrganicScorer, err = organic.New(v, organic.WithSynth(endless))
	require.NoError(t, err)
	result, err := v.Iterate(t.Context())
	require.NoError(t, err)
	require.Equal(t, organic.Synthetic, result.Sample.Origin)
	require.NoError(t, v.Stop(t.Context()))
}

func TestNewCallsNoHook(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		for _, name := range hookNames {
			hooks := hooksCalling(name, func(context.Context) { panic(name) })
			s, err := organic.New(hooks, organic.WithSynth(endless), organic.WithAxon(&organictest.Axon{}))
			require.NoError(t, err)
			enqueue(t, s, 1)
			time.Sleep(time.Hour)
			require.Equal(t, organic.Stats{Accepted: 1, Queued: 1}, s.Stats())
		}
	})
}

// base has what every validator must write, and serves each request that gets that far.
type base struct {
	organic.DefaultHooks[string, string]
}

func (base) QueryMiners(context.Context, promptSample) (map[organic.UID]string, error) {
	return map[organic.UID]string{}, nil
}

func (base) GenerateRewards(
	context.Context, promptSample, map[organic.UID]string, string,
) (organic.Rewards, error) {
	return organic.Rewards{}, nil
}

func (base) SetWeights(context.Context, promptSample, organic.Rewards) error { return nil }

func (base) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	return okEntry(ctx, w, synapse)
}

// direct writes its guards itself.
type direct struct{ base }

func (direct) Blacklist(_ context.Context, synapse *organic.Synapse) error {
	if synapse.Requester == "banned" {
		return organic.Refuse(http.StatusForbidden, "banned")
	}
	return nil
}

func (direct) Verify(_ context.Context, synapse *organic.Synapse) error {
	if synapse.Requester == "forged" {
		return organic.Refuse(http.StatusUnauthorized, "forged")
	}
	return nil
}

func (direct) Priority(_ context.Context, synapse *organic.Synapse) float64 {
	return float64(len(synapse.Requester))
}

// Ways of inheriting the guards.
type (
	child        struct{ direct }
	grandchild   struct{ child }
	pointerChild struct{ *direct }
	// mixed has guards of a type that has nothing else, before the base.
	mixed struct {
		guards
		base
	}
	guards struct{}
	// embedding is as the documentation has it, a level deeper.
	embedding struct {
		*organic.OrganicScorer[string, string]
		child
	}
)

func (guards) Blacklist(ctx context.Context, synapse *organic.Synapse) error {
	return direct{}.Blacklist(ctx, synapse)
}

func (guards) Verify(ctx context.Context, synapse *organic.Synapse) error {
	return direct{}.Verify(ctx, synapse)
}

func (guards) Priority(ctx context.Context, synapse *organic.Synapse) float64 {
	return direct{}.Priority(ctx, synapse)
}

func TestInheritedGuardsAreCalled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		hooks organic.Hooks[string, string]
	}{
		{name: "written by the validator", hooks: direct{}},
		{name: "of its embedded type", hooks: child{}},
		{name: "of a grandparent", hooks: grandchild{}},
		{name: "of a pointer", hooks: pointerChild{&direct{}}},
		{name: "of a mixin", hooks: mixed{}},
		{name: "beside the scorer", hooks: &embedding{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				axon := &organictest.Axon{}
				run(t, tt.hooks, organic.WithAxon(axon))
				for hotkey, want := range map[string]int{
					"banned": http.StatusForbidden, "forged": http.StatusUnauthorized, "friend": http.StatusOK,
				} {
					synapse := &organic.Synapse{Requester: hotkey}
					status, _ := axon.Ask(t.Context(), synapse)
					require.Equal(t, want, status, hotkey)
					require.InDelta(t, 6, axon.Handlers().Priority(t.Context(), synapse), 0)
				}
			})
		})
	}
}

func TestHooksCannotBeMadeWithoutTheirDefaults(t *testing.T) {
	t.Parallel()
	type pointer struct {
		*organic.DefaultHooks[string, string]
		required
	}
	_, err := organic.New[string, string](pointer{})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	require.ErrorContains(t, err, "by value")
	_, err = organic.New[string, string](nil)
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	_, err = organic.New[string, string]((*direct)(nil))
	require.ErrorIs(t, err, organic.ErrInvalidOption)
}

// required has the hooks without a default, and nothing else.
type required struct{}

func (required) QueryMiners(
	ctx context.Context, sample promptSample,
) (map[organic.UID]string, error) {
	return base{}.QueryMiners(ctx, sample)
}

func (required) GenerateRewards(
	ctx context.Context, sample promptSample, responses map[organic.UID]string, reference string,
) (organic.Rewards, error) {
	return base{}.GenerateRewards(ctx, sample, responses, reference)
}

func (required) SetWeights(
	ctx context.Context, sample promptSample, rewards organic.Rewards,
) error {
	return base{}.SetWeights(ctx, sample, rewards)
}

func TestNewDetachesWhatItHasAttachedWhenALaterAxonFails(t *testing.T) {
	t.Parallel()
	for _, ending := range endings {
		t.Run(ending.name, func(t *testing.T) {
			t.Parallel()
			var good, other organictest.Axon
			failing := attachFunc(func(organic.Handlers) (func(), error) { return nil, ending.end() })
			queue := &watchedMemory{faultyQueue: newFaultyQueue(t)}
			_, err := organic.New(promptHooks{}, organic.WithQueue[string](queue),
				organic.WithAxon(&good), organic.WithAxon(&other), organic.WithAxon(failing))
			require.Error(t, err)
			ending.check(t, err)
			require.Nil(t, good.Handlers().Forward)
			require.Nil(t, other.Handlers().Forward)
			require.Zero(t, queue.watchers)

			s, err := organic.New(promptHooks{}, organic.WithQueue[string](queue), organic.WithAxon(&good),
				organic.WithAxon(&other))
			require.NoError(t, err, "New can be tried again")
			require.NotNil(t, good.Handlers().Forward)
			require.NoError(t, s.Stop(t.Context()))
			require.NotNil(t, good.Handlers().Forward, "a stop detaches nothing")
		})
	}
}

// watchFails is a queue whose Watch misbehaves.
type watchFails struct {
	*organic.MemoryQueue[string]

	end func() error
}

func (w watchFails) Watch(organic.Watcher) func() {
	_ = w.end()
	return nil
}

func TestNewReportsAQueueWhoseWatchMisbehaves(t *testing.T) {
	t.Parallel()
	panics := func() error { panic("at the watch") }
	_, err := organic.New(promptHooks{}, organic.WithQueue[string](watchFails{newMemory(t), panics}))
	require.Len(t, panicsIn(err), 1)
	leaves := func() error {
		runtime.Goexit()
		return nil
	}
	_, err = organic.New(promptHooks{}, organic.WithQueue[string](watchFails{newMemory(t), leaves}))
	require.ErrorIs(t, err, organic.ErrGoexit)
}

func TestNilContextCountsAsBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var none context.Context
		s, err := organic.New(promptHooks{})
		require.NoError(t, err)
		_, err = s.Enqueue(none, "first")
		require.NoError(t, err)
		_, err = s.Iterate(none)
		require.NoError(t, err)
		require.NoError(t, s.Start(none))
		_, err = s.Enqueue(none, "second")
		require.NoError(t, err)
		require.NoError(t, s.Drain(none))
		require.NoError(t, s.Stop(none))
		require.EqualValues(t, 2, s.Stats().Scored)
	})
}

func TestIterateReturnsTheErrorOfAQueueInBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFaultyQueue(t)
		failures := 0
		queue.beforeSample = func(context.Context) error {
			if failures++; failures == 1 {
				return errFailed
			}
			return nil
		}
		s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue))
		s.enqueue("prompt")
		for range 3 {
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errFailed)
			require.NotErrorIs(t, err, organic.ErrEmpty)
		}
		time.Sleep(time.Second)
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
	})
}

func TestIterateWhoseCtxEndsDuringAPutBackBlamesNoQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h := newHangingScorer(t)
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
		time.Sleep(time.Minute)
		cause := errors.New("tired of waiting")
		_, err = s.Iterate(soon(t, time.Second, cause))
		require.ErrorIs(t, err, cause)
		require.Zero(t, s.Stats().PutBackFailed)
		h.hangs.Store(false)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed, "the queue is asked at once")
	})
}

// TestPauseStopsTheLoopAtOnce starts as many iterations as it can while another
// goroutine pauses: none may begin after Pause has returned.
func TestPauseStopsTheLoopAtOnce(t *testing.T) {
	t.Parallel()
	var paused atomic.Bool
	var late atomic.Int64
	s := run(t, promptHooks{QueryMinersFunc: func(
		context.Context, promptSample,
	) (map[organic.UID]string, error) {
		return noAnswers, nil
	}}, eager, organic.WithSynth(always("made up")), organic.WithConcurrency(4), organic.WithObserver(func(e organic.Event) {
		if e.Kind == organic.EventStarted && paused.Load() {
			late.Add(1)
		}
	}))
	for range 500 {
		s.Pause()
		for s.Stats().InFlight > 0 {
			runtime.Gosched()
		}
		paused.Store(true)
		runtime.Gosched()
		paused.Store(false)
		s.Resume()
		runtime.Gosched()
	}
	require.Zero(t, late.Load())
}

// sizePanics is a queue whose Size panics.
type sizePanics struct{ *memory }

func (sizePanics) Size() int { panic("no connection") }

func (q sizePanics) Add(ctx context.Context, sample promptSample) error {
	return q.queue.Add(ctx, sample)
}

func (q sizePanics) Sample(ctx context.Context) (promptLease, error) { return q.queue.Sample(ctx) }

func TestQueueWhoseSizePanicsIsReportedAndSampled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, promptHooks{}, organic.WithQueue[string](sizePanics{&memory{newMemory(t)}}))
		s.enqueue("prompt")
		s.start()
		time.Sleep(time.Minute)
		stats := s.Stats()
		require.EqualValues(t, 1, stats.Scored)
		require.Zero(t, stats.Queued)
		require.NoError(t, s.Stop(t.Context()))
		for _, event := range s.all(organic.EventSourceFailed) {
			require.Equal(t, "queue", event.Source)
			require.Len(t, panicsIn(event.Err), 1)
		}
		require.NotEmpty(t, s.all(organic.EventSourceFailed))
	})
}

func TestSeedRepeatsTheChoicesOfTheDefaultQueue(t *testing.T) {
	t.Parallel()
	order := func(seed uint64) (payloads []string) {
		s, err := organic.New(promptHooks{}, organic.WithSeed(seed))
		require.NoError(t, err)
		for n := range 50 {
			_, err := s.Enqueue(t.Context(), fmt.Sprint(n))
			require.NoError(t, err)
		}
		for range 50 {
			result, err := s.Iterate(t.Context())
			require.NoError(t, err)
			payloads = append(payloads, result.Sample.Payload)
		}
		return payloads
	}
	first, again := order(7), order(7)
	require.Equal(t, first, again)
	require.NotEqual(t, first, order(8))
	largest, repeated := order(math.MaxUint64), order(math.MaxUint64)
	require.Equal(t, largest, repeated, "no seed is like none")

	own := newQueue[string](t, organic.MemoryConfig{Seed: 7})
	for n := range 50 {
		require.NoError(t, own.Add(t.Context(), organic.NewSample(fmt.Sprint(n))))
	}
	var payloads []string
	for range 50 {
		lease, err := own.Sample(t.Context())
		require.NoError(t, err)
		payloads = append(payloads, lease.Sample.Payload)
	}
	require.NotEqual(t, first, payloads, "the queue and the scorer draw different numbers")
}

func TestAxonThatAttachesInPartIsDetachedWhenItFails(t *testing.T) {
	t.Parallel()
	detached := 0
	_, err := organic.New(promptHooks{},
		organic.WithAxon(attachFunc(func(organic.Handlers) (func(), error) {
			return func() { detached++ }, errFailed
		})))
	require.ErrorIs(t, err, errFailed)
	require.Equal(t, 1, detached)
}

// callingContext calls a function whenever a value of it is asked for.
type callingContext struct {
	context.Context

	call func()
}

func (c callingContext) Value(key any) any {
	c.call()
	return c.Context.Value(key)
}

func TestContextThatCallsTheScorerDoesNotBlockAHardStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage != organic.StageQuery {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}))
		s.enqueue("prompt")
		base, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			ctx := callingContext{base, func() { s.Stats() }}
			_, _ = s.Iterate(ctx) //nolint:contextcheck // derived from base
		}()
		synctest.Wait()
		ended, end := context.WithCancel(t.Context())
		end()
		require.ErrorIs(t, s.Stop(ended), context.Canceled)
		synctest.Wait()
		require.Zero(t, s.stop().Scored)
	})
}

func TestObserverThatCallsStatsSeesAQueueWhoseSizePanicsOnce(t *testing.T) {
	t.Parallel()
	var s *testScorer
	depth, deepest := 0, 0
	s = newTestScorer(t, promptHooks{}, organic.WithQueue(sizePanics{&memory{newMemory(t)}}),
		organic.WithObserver(func(organic.Event) {
			depth++
			deepest = max(deepest, depth)
			if depth < 100 {
				s.Stats()
			}
			depth--
		}))
	s.Stats()
	require.Equal(t, 1, deepest)
	s.Stats()
	require.EqualValues(t, 1, s.Stats().SourceFailed, "reported once until Size works again")
}

func TestObserverThatLeavesWhenTheQueueDropsLosesNoSample(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name             string
		kind             organic.EventKind
		dropped, expired uint64
		scored           uint64
		do               func(s *testScorer)
	}{
		{
			name: "expired at Sample", kind: organic.EventExpired, expired: 3, scored: 1,
			do: func(s *testScorer) {
				s.enqueue("old", "old", "old")
				time.Sleep(59 * time.Second)
				s.enqueue("young")
				time.Sleep(2 * time.Second)
			},
		},
		{name: "only expired ones", kind: organic.EventExpired, expired: 3, do: func(s *testScorer) {
			s.enqueue("old", "old", "old")
			time.Sleep(2 * time.Minute)
		}},
		{
			name: "dropped at Add", kind: organic.EventDropped, dropped: 1, scored: 4,
			do: func(s *testScorer) {
				for range 5 {
					added := make(chan struct{})
					go func() { // the observer can take this goroutine
						defer close(added)
						_, _ = s.Enqueue(s.t.Context(), "prompt")
					}()
					<-added
				}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var left atomic.Int64
				queue := newMemory(t, organic.MemoryConfig{Capacity: 4, MaxAge: time.Minute})
				s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue),
					leaver(organic.Event{Kind: tt.kind}, &left, 100))
				tt.do(s)
				stats := s.runFor(10 * time.Second)
				require.EqualValues(t, tt.dropped+tt.expired, left.Load())
				require.Equal(t, []uint64{tt.scored, tt.dropped, tt.expired},
					[]uint64{stats.Scored, stats.Dropped, stats.Expired})
			})
		})
	}
}

func TestSampleThatIsDroppedWhenItIsPutBackIsCountedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var left atomic.Int64
		queue := newMemory(t, organic.MemoryConfig{Capacity: 1})
		s := newTestScorer(t, failing(organic.StageQuery, errFailed), organic.WithQueue(queue),
			organic.WithTrigger(organic.Seconds{
				Frequency: time.Hour,
				Min:       time.Hour,
			}), leaver(organic.Event{Kind: organic.EventDropped}, &left, 1))
		s.enqueue("first")
		s.start()
		time.Sleep(time.Second)
		s.enqueue("second")
		time.Sleep(time.Minute) // the first comes back, and the older of them is dropped
		require.EqualValues(t, 1, left.Load())
		stats := s.stop()
		require.EqualValues(t, 1, stats.Dropped)
		require.Equal(t, 1, stats.Queued)
	})
}

// delayingQueue keeps the delays of its samples itself, up to a longest one, and
// does not count those samples.
type delayingQueue struct {
	*faultyQueue

	longest time.Duration
}

func (q *delayingQueue) Sample(ctx context.Context) (promptLease, error) {
	lease, err := q.faultyQueue.Sample(ctx)
	lease.Settle = func(ctx context.Context, verdict organic.Verdict) error {
		if verdict.Outcome == organic.OutcomeReturn {
			ctx = context.WithoutCancel(ctx)
			time.AfterFunc(min(verdict.Delay, q.longest), func() { _ = q.queue.Add(ctx, lease.Sample) })
		}
		return nil
	}
	return lease, err
}

func TestDrainAwaitsTheDelaysThatAQueueKeeps(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{
		"as asked": time.Hour, "shorter than asked": 365 * 24 * time.Hour,
		"longest duration": math.MaxInt64,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				weighed := newHookDiary()
				s := newTestScorer(t, unsteady(weighed, organic.RetryAfter(delay, errFailed)),
					organic.WithQueue(&delayingQueue{newFaultyQueue(t), time.Hour}))
				s.enqueue("prompt")
				s.start()
				time.Sleep(time.Second)
				require.NoError(t, s.Drain(soon(t, 2*time.Hour, errFailed)))
				require.Equal(t, []string{"prompt"}, weighed.noted(), "scored before Drain returns")
				require.Less(t, time.Since(s.begun), time.Hour+time.Minute)
				s.stop()
			})
		})
	}
}

func TestCauseOfAHardStopMayBeHostile(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]error{
		"contains itself": endlessError{},
		"unwraps itself":  selfError{},
		"nil pointer":     (*pointerError)(nil),
		"Is panics":       hostileError{inIs: true},
		"As panics":       hostileError{inAs: true},
		"Error panics":    hostileError{inError: true},
		"not comparable":  severalErrors{errFailed},
		"Error leaves":    leavingError{},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newTestScorer(t, fiveHooks(func(ctx context.Context, _ organic.Stage) error {
					<-ctx.Done()
					return nil
				}))
				s.enqueue("prompt")
				ctx, cancel := context.WithCancelCause(t.Context())
				require.NoError(t, s.Start(ctx))
				time.Sleep(time.Second)
				cancel(cause)
				<-s.Done()
				stats := s.stop()
				require.Equal(t, 1, stats.Queued)
				require.EqualValues(t, 1, stats.Returned)
				require.NoError(t, s.one(organic.EventInterrupted).Err, "no hook has failed")
			})
		})
	}
}

// selfError wraps itself.
type selfError struct{}

func (selfError) Error() string   { return "self" }
func (e selfError) Unwrap() error { return e }

// leavingError ends the goroutine in which it is printed.
type leavingError struct{}

func (leavingError) Error() string {
	runtime.Goexit()
	return ""
}

// severalErrors cannot be compared.
type severalErrors []error

func (e severalErrors) Error() string { return "several" }

func TestIterateReturnsTheErrorOfAQueueThatTakesNoSampleBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newFaultyQueue(t)
		var refuses bool
		queue.beforeAdd = func(context.Context) error {
			if refuses {
				return errRefused
			}
			return nil
		}
		s := newTestScorer(t, later(time.Minute), organic.WithQueue(queue))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
		refuses = true
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty, "the sample is delayed")
		time.Sleep(time.Minute)
		for range 3 {
			_, err = s.Iterate(t.Context())
			require.ErrorIs(t, err, errRefused, "the sample waits")
			require.NotErrorIs(t, err, organic.ErrEmpty)
		}
		refuses = false
		time.Sleep(time.Second)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
		s.stop()
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
	})
}

var errRefused = errors.New("refused")
