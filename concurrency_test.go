package organic_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// overlap measures how many iterations are in the hooks at the same time.
type overlap struct {
	now, most, all atomic.Int64
}

func (o *overlap) hooks(took time.Duration) textHooks {
	return textHooks{
		QueryMinersFunc: func(context.Context, textSample) (map[organic.UID]string, error) {
			now := o.now.Add(1)
			for most := o.most.Load(); now > most && !o.most.CompareAndSwap(most, now); {
				most = o.most.Load()
			}
			o.all.Add(1)
			time.Sleep(took)
			return nobody, nil
		},
		LogResultsFunc: func(context.Context, *organic.Result[string, string]) error {
			time.Sleep(took)
			o.now.Add(-1)
			return nil
		},
	}
}

func TestConcurrencyIsReachedAndNeverExceeded(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 16} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen overlap
				s := run(t, seen.hooks(30*time.Second), organic.WithSynth(endless), organic.WithConcurrency(n),
					organic.WithTrigger(organic.Seconds{Frequency: time.Millisecond}))
				time.Sleep(time.Hour - time.Second)
				require.EqualValues(t, n, seen.now.Load())
				require.Equal(t, n, s.Stats().InFlight)
				require.NoError(t, s.Stop(t.Context()))
				require.EqualValues(t, n, seen.most.Load())
				require.GreaterOrEqual(t, seen.all.Load(), int64(59*n))
			})
		})
	}
}

func TestIterateSharesTheSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, callers = 3, 10
		var seen overlap
		s := run(t, seen.hooks(time.Second), organic.WithSynth(endless), organic.WithConcurrency(slots),
			organic.WithTrigger(organic.Seconds{Frequency: time.Millisecond}))
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				for range 5 {
					_, _ = s.Iterate(t.Context())
				}
			})
		}
		time.Sleep(time.Second)
		require.EqualValues(t, slots, seen.now.Load())
		group.Wait()
		require.NoError(t, s.Stop(t.Context()))
		require.EqualValues(t, slots, seen.most.Load())
	})
}

func TestIterateAloneIsBoundToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen overlap
		s := build(t, seen.hooks(time.Second), organic.WithSynth(endless), organic.WithConcurrency(4))
		begun := time.Now()
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { _, _ = s.Iterate(t.Context()) })
		}
		group.Wait()
		require.EqualValues(t, 4, seen.most.Load())
		require.Equal(t, 10*time.Second, time.Since(begun), "five rounds of two seconds")
	})
}

func TestTriggerPacesTheStartsOfOverlappingIterations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		run(t, starts.hooks(time.Minute), organic.WithSynth(endless), organic.WithConcurrency(100))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, every(15*time.Second, 41), starts.times())
	})
}

func TestStepsPaceTheStartsOfOverlappingIterations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(time.Hour), organic.WithSynth(endless), organic.WithConcurrency(5), organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 12)
		require.Equal(t, 4, starts.count())
		s.SetStep(1000)
		synctest.Wait()
		require.Equal(t, 5, starts.count(), "a jump is one start, however many slots are free")
	})
}

func TestFreedSlotIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		run(t, starts.hooks(50*time.Second), organic.WithSynth(endless), organic.WithConcurrency(2))
		time.Sleep(3 * time.Minute)
		require.Equal(t, []time.Duration{
			0, 15 * time.Second, 50 * time.Second, 65 * time.Second, 100 * time.Second, 115 * time.Second,
			150 * time.Second, 165 * time.Second,
		}, starts.times())
	})
}
