package organic_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

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
		require.Equal(t, []time.Duration{0, 61 * time.Second}, starts.times(), "only Iterate has started one")

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
		s := run(t, textHooks{}, organic.WithSynth(endless))
		s.Pause()
		begun := time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.Zero(t, time.Since(begun))
	})
}
