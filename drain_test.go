package organic_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

func TestDrainOfWhatIsEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := build(t, textHooks{})
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
				return "", errHook
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
		{name: "beside synthetic ones", samples: 4, opts: []organic.Option{organic.WithSynth(endless)}, want: 70 * time.Second},
		{name: "beside overlapping synthetic ones", samples: 4, want: 70 * time.Second, opts: []organic.Option{
			organic.WithSynth(endless), organic.WithConcurrency(3),
		}},
		{name: "delayed beside synthetic ones", samples: 1, failing: 1, opts: []organic.Option{organic.WithSynth(endless)}, want: 310 * time.Second, slack: 100 * time.Second},
		{name: "dead letters", samples: 2, failing: 2, opts: []organic.Option{organic.WithRetry(organic.RetryPolicy{Attempts: 1})}, want: 30 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				outcome, took := fails(tt.failing), 10*time.Second
				hooks := textHooks{QueryMinersFunc: func(ctx context.Context, sample textSample) (map[organic.UID]string, error) {
					time.Sleep(took)
					if sample.Origin == organic.Synthetic {
						return nobody, nil
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
		s := build(t, textHooks{})
		enqueue(t, s, 1)
		require.ErrorIs(t, s.Drain(soon(t, time.Hour, errPatience)), errPatience)
		drained := make(chan error, 1)
		go func() { drained <- s.Drain(t.Context()) }()
		synctest.Wait()
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.NoError(t, <-drained, "somebody called Iterate")
	})
}

func TestDrainSeesAQueueThatOthersEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &plainQueue{}
		s := build(t, textHooks{}, organic.WithQueue[string](queue))
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
		s := run(t, textHooks{QueryMinersFunc: func(_ context.Context, sample textSample) (map[organic.UID]string, error) {
			if sample.Origin == organic.Synthetic {
				time.Sleep(time.Hour)
			}
			return nobody, nil
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
