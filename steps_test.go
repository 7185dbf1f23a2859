package organic_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// step adds single steps, with time for the loop after each.
func step(s *textScorer, n int) {
	for range n {
		s.IncrementStep()
		synctest.Wait()
	}
}

func TestStepsStartAnIterationPerThreshold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 3}))
		time.Sleep(time.Hour)
		require.Zero(t, starts.count(), "without steps nothing is due")
		step(s, 2)
		require.Zero(t, starts.count())
		step(s, 1)
		require.Equal(t, 1, starts.count(), "the first one after three steps")
		step(s, 297)
		require.Equal(t, 100, starts.count())
		require.Equal(t, time.Hour, starts.times()[99], "steps are not waited for by polling")
	})
}

func TestJumpStartsExactlyOneIteration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 15}))
		s.SetStep(5_000_000) // 5 beyond a multiple of 15
		time.Sleep(time.Hour)
		require.Equal(t, 1, starts.count())
		step(s, 9)
		require.Equal(t, 1, starts.count())
		step(s, 1)
		require.Equal(t, 2, starts.count(), "the counter keeps the remainder")
	})
}

func TestSetStepSetsTheCounter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 10}))
		step(s, 9)
		s.SetStep(0)
		step(s, 9)
		require.Zero(t, starts.count())
		s.SetStep(-10)
		step(s, 19)
		require.Zero(t, starts.count())
		step(s, 1)
		require.Equal(t, 1, starts.count())
	})
}

func TestStepsMissedInALongIterationCoalesce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(time.Minute), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 3)
		require.Equal(t, 1, starts.count())
		step(s, 10)
		require.Equal(t, 1, starts.count(), "one at a time")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, 2, starts.count(), "three thresholds were missed, one iteration follows")
		time.Sleep(time.Hour)
		step(s, 1)
		require.Equal(t, 2, starts.count())
		step(s, 1)
		require.Equal(t, 3, starts.count(), "one step remained of the ten")
	})
}

func TestQueueGrowthLowersTheThreshold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithTrigger(organic.Steps{Frequency: 15}))
		step(s, 14)
		require.Zero(t, starts.count())
		enqueue(t, s, 1)
		synctest.Wait()
		require.Equal(t, 1, starts.count(), "one sample makes it 14")

		step(s, 5)
		enqueue(t, s, 45)
		synctest.Wait()
		require.Equal(t, 1, starts.count(), "45 samples make it 6")
		enqueue(t, s, 1)
		synctest.Wait()
		require.Equal(t, 2, starts.count(), "46 samples make it 5")
	})
}

func TestArrivalAfterTheStepsStartsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithTrigger(organic.Steps{Frequency: 5}))
		step(s, 7)
		time.Sleep(time.Minute)
		enqueue(t, s, 1)
		synctest.Wait()
		require.Equal(t, []time.Duration{time.Minute}, starts.times())
	})
}

func TestStepsFromManyGoroutinesAreAllCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const goroutines, each = 50, 20
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: goroutines*each + 1}))
		var group sync.WaitGroup
		for range goroutines {
			group.Go(func() {
				for range each {
					s.IncrementStep()
				}
			})
		}
		group.Wait()
		synctest.Wait()
		require.Zero(t, starts.count(), "one step too few")
		step(s, 1)
		require.Equal(t, 1, starts.count())
	})
}

func TestStepsAreCountedWhileTheScorerDoesNotRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := build(t, starts.hooks(0), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 2)
		require.NoError(t, s.Start(t.Context()))
		step(s, 1)
		require.Equal(t, 1, starts.count(), "two steps were made before Start")

		step(s, 1)
		require.NoError(t, s.Stop(t.Context()))
		step(s, 2)
		require.Equal(t, 1, starts.count())
		require.NoError(t, s.Start(t.Context()))
		synctest.Wait()
		require.Equal(t, 2, starts.count(), "the count goes on over Stop and Start")
	})
}

func TestStepsWhilePausedAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless), organic.WithTrigger(organic.Steps{Frequency: 3}))
		s.Pause()
		step(s, 100)
		require.Zero(t, starts.count())
		s.Resume()
		synctest.Wait()
		require.Equal(t, 1, starts.count())
		step(s, 2)
		require.Equal(t, 2, starts.count(), "one step remained of the hundred")
	})
}
