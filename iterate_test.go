package organic_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

func TestIterateNeedsNoStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged *organic.Result[string, string]
		s := build(t, textHooks{
			QueryMinersFunc: func(context.Context, textSample) (map[organic.UID]string, error) {
				return map[organic.UID]string{3: "answer"}, nil
			},
			GenerateReferenceFunc: func(context.Context, textSample) (string, error) { return "reference", nil },
			GenerateRewardsFunc: func(_ context.Context, _ textSample, responses map[organic.UID]string, _ string) (organic.Rewards, error) {
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

func TestIterateTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, textHooks{GenerateRewardsFunc: func(context.Context, textSample, map[organic.UID]string, string) (organic.Rewards, error) {
			return nil, errHook
		}})
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty)

		enqueue(t, s, 1)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errHook)
		var stage *organic.StageError
		require.ErrorAs(t, err, &stage)
		require.Equal(t, organic.StageRewards, stage.Stage)
		require.Equal(t, 1, s.Stats().Delayed, "dealt with as always")
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty, "not due yet")
		time.Sleep(time.Minute)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errHook, "due again without a loop")
		require.EqualValues(t, 2, s.Stats().Retried)
	})
}

func TestIterateIgnoresTriggerAndPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(time.Second), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 1000}))
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
				s := build(t, starts.hooks(10*time.Second), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 3}))
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
		s := run(t, starts.hooks(10*time.Second), organic.WithSynth(endless), organic.WithTrigger(organic.Seconds{Frequency: time.Hour}))
		synctest.Wait()
		for range 2 {
			_, err := s.Iterate(t.Context())
			require.NoError(t, err)
		}
		require.Equal(t, every(10*time.Second, 3), starts.times())
	})
}
