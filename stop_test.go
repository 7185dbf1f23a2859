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

var errPatience = errors.New("patience is over")

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cause error
		hooks := textHooks{QueryMinersFunc: func(ctx context.Context, _ textSample) (map[organic.UID]string, error) {
			time.Sleep(10 * time.Second)
			cause = context.Cause(ctx)
			return nobody, nil
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
		s := build(t, textHooks{})
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
		{name: "seconds", opts: []organic.Option{organic.WithSynth(endless), organic.WithTrigger(organic.Seconds{Frequency: 4 * time.Second})}},
		{name: "steps", opts: []organic.Option{organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 4})}},
		{name: "nothing to score", opts: nil},
		{name: "plain queue", opts: []organic.Option{organic.WithQueue[string](&plainQueue{})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := run(t, textHooks{}, tt.opts...)
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
		stubborn := textHooks{GenerateRewardsFunc: func(ctx context.Context, sample textSample, _ map[organic.UID]string, _ string) (organic.Rewards, error) {
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
		failing := textHooks{QueryMinersFunc: func(context.Context, textSample) (map[organic.UID]string, error) {
			return nil, errHook
		}}
		queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
		require.NoError(t, err)
		s := run(t, failing, organic.WithQueue(queue), organic.WithRetry(organic.RetryPolicy{Delay: time.Hour}),
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
		s := run(t, textHooks{SetWeightsFunc: func(context.Context, textSample, organic.Rewards) error {
			tries.note()
			return errHook
		}}, organic.WithStage(organic.StageWeights, organic.StagePolicy{Tries: 3, Backoff: time.Hour}))
		enqueue(t, s, 1)
		time.Sleep(time.Minute)
		require.NoError(t, s.Stop(t.Context()))
		require.Equal(t, []time.Duration{0, time.Minute, time.Minute}, tries.times(), "the remaining tries follow at once")
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
