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

var errDeploy = errors.New("deploy")

func TestRunBlocksUntilItIsEnded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(ctx context.Context, s *textScorer, cancel context.CancelFunc) error
	}{
		{name: "by its ctx", end: func(_ context.Context, _ *textScorer, cancel context.CancelFunc) error {
			cancel()
			return nil
		}},
		{name: "by Stop", end: func(ctx context.Context, s *textScorer, _ context.CancelFunc) error { return s.Stop(ctx) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := build(t, textHooks{}, organic.WithSynth(endless))
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

func (e *endOfRun) hooks() textHooks {
	return textHooks{QueryMinersFunc: func(ctx context.Context, _ textSample) (map[organic.UID]string, error) {
		begun := time.Now()
		<-ctx.Done()
		e.cause, e.after = context.Cause(ctx), time.Since(begun)
		return nil, ctx.Err()
	}}
}

func TestEndOfCtxIsTheHardStop(t *testing.T) {
	t.Parallel()
	for _, softStop := range []bool{false, true} {
		t.Run(map[bool]string{false: "while running", true: "during a soft stop"}[softStop], func(t *testing.T) {
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
func requireReturned(t *testing.T, s *textScorer) {
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
		s := build(t, seen.hooks(), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 5}))
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
		s := build(t, textHooks{})
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
