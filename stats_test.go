package organic_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

func TestGaugesFollowTheIterationsInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				time.Sleep(time.Minute)
			}
			return nil
		}), organic.WithConcurrency(3), organic.WithSynth(always("made up")), organic.WithTrigger(organic.Seconds{Frequency: 10 * time.Second}))
		require.Zero(t, s.Stats())
		s.enqueue("prompt")
		require.Equal(t, organic.Stats{Accepted: 1, Queued: 1}, s.Stats())
		s.start()
		time.Sleep(25 * time.Second)
		require.Equal(t, organic.Stats{
			Accepted: 1, InFlight: 3, InFlightOrganic: 1, OldestInFlight: 25 * time.Second, Running: true,
		}, s.Stats())
		s.Pause()
		time.Sleep(40 * time.Second)
		stats := s.Stats()
		require.Equal(t, 60*time.Second, stats.LastScored.Sub(s.begun))
		require.Equal(t, []int{2, 0}, []int{stats.InFlight, stats.InFlightOrganic})
		require.InDelta(t, 55, stats.OldestInFlight.Seconds(), 0.5)
		require.True(t, stats.Paused)
		stats = s.stop()
		require.Equal(t, 80*time.Second, stats.LastScored.Sub(s.begun).Round(time.Second), "a synthetic sample counts")
		require.Equal(t, []uint64{1, 2}, []uint64{stats.Scored, stats.SyntheticScored})
		require.Zero(t, stats.OldestInFlight)
	})
}

func TestDelayedSamplesAreCountedUntilTheyAreBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, failing(organic.StageQuery, organic.RetryAfter(time.Hour, errMishap)))
		s.enqueue("first", "second")
		s.start()
		time.Sleep(time.Minute)
		stats := s.Stats()
		require.Equal(t, []int{0, 2, 0}, []int{stats.Queued, stats.Delayed, stats.InFlight})
		require.True(t, stats.LastScored.IsZero())
		require.Equal(t, 2, s.stop().Queued)
	})
}

// TestDocumentedDefaultsAreTheRealOnes looks at what the comments promise for
// options that are left out. Those of retries and stages have tests of their
// own.
func TestDocumentedDefaultsAreTheRealOnes(t *testing.T) {
	t.Parallel()
	require.Equal(t, 15*time.Second, organic.Seconds{Frequency: 15 * time.Second}.Wait(0))
	require.Equal(t, 14800*time.Millisecond, organic.Seconds{Frequency: 15 * time.Second}.Wait(1), "scaling factor 5")
	require.Equal(t, 2*time.Second, organic.Seconds{Frequency: 15 * time.Second}.Wait(1000), "at least 2 s")
	require.Equal(t, time.Second, organic.Seconds{Frequency: time.Second}.Wait(1000), "or Frequency")
	require.Equal(t, []int{15, 14, 2}, []int{
		organic.Steps{Frequency: 15}.Threshold(0), organic.Steps{Frequency: 15}.Threshold(1), organic.Steps{Frequency: 15}.Threshold(1000),
	})
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		inFlight, most := 0, 0
		begun := time.Now()
		scorer, err := organic.New(promptHooks{QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
			starts = append(starts, time.Since(begun))
			inFlight++
			most = max(most, inFlight)
			time.Sleep(50 * time.Second)
			inFlight--
			return map[organic.UID]string{}, nil
		}})
		require.NoError(t, err)
		for range 10_001 {
			_, err := scorer.Enqueue(t.Context(), "prompt")
			require.NoError(t, err)
		}
		require.Equal(t, 10_000, scorer.Stats().Queued, "a memory queue of 10 000")
		require.Equal(t, uint64(1), scorer.Stats().Dropped)
		require.NoError(t, scorer.Start(t.Context()))
		time.Sleep(125 * time.Second)
		require.NoError(t, scorer.Stop(t.Context()))
		require.Equal(t, 1, most, "one iteration at a time")
		require.Equal(t, []time.Duration{0, 50 * time.Second, 100 * time.Second}, starts)
		require.Zero(t, scorer.Stats().SyntheticScored, "no synthetic samples")
	})
}

func TestDefaultTriggerIsFifteenSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		begun := time.Now()
		scorer, err := organic.New(promptHooks{SetWeightsFunc: func(context.Context, promptSample, organic.Rewards) error {
			starts = append(starts, time.Since(begun))
			return nil
		}}, organic.WithSynth(always("made up")))
		require.NoError(t, err)
		require.NoError(t, scorer.Start(t.Context()))
		time.Sleep(40 * time.Second)
		require.NoError(t, scorer.Stop(t.Context()))
		require.Equal(t, []time.Duration{0, 15 * time.Second, 30 * time.Second}, starts)
	})
}
