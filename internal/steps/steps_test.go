package steps_test

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/notify"
	"github.com/organic-scoring/organic/internal/steps"
)

// woken reports whether the signal is set, and resets it.
func woken(signal notify.Signal) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

func TestCounterWakesAtItsThreshold(t *testing.T) {
	t.Parallel()
	signal := notify.NewSignal()
	counter := steps.NewCounter(signal)
	counter.Increment()
	require.False(t, woken(signal), "there is no waiter")
	require.False(t, counter.Reached(3))
	counter.Increment()
	require.False(t, woken(signal))
	counter.Increment()
	require.True(t, woken(signal))
	require.True(t, counter.Reached(3))
	counter.Increment()
	require.False(t, woken(signal), "there is no waiter any more")

	counter.KeepRemainder(3)
	require.True(t, counter.Reached(1))
	require.False(t, counter.Reached(2))
	require.True(t, counter.AwaitNext())
	counter.Increment()
	require.True(t, woken(signal))
}

func TestSetWakesAndDoesNotOverflow(t *testing.T) {
	t.Parallel()
	signal := notify.NewSignal()
	counter := steps.NewCounter(signal)
	for _, n := range []int{5, -5, math.MaxInt, math.MinInt} {
		counter.Set(n)
		require.True(t, woken(signal))
		counter.Increment()
		require.Equal(t, n > 0, counter.Reached(1))
	}
	counter.Set(17)
	counter.KeepRemainder(5)
	require.True(t, counter.Reached(2))
	require.False(t, counter.Reached(3))
}

// TestRemainderOfACountBelowTheThresholdIsTheCount: a start that the steps have
// not asked for, or a Set between Reached and KeepRemainder, takes nothing.
func TestRemainderOfACountBelowTheThresholdIsTheCount(t *testing.T) {
	t.Parallel()
	for _, n := range []int{9, 0, -1, -25, math.MinInt / 4} {
		counter := steps.NewCounter(notify.NewSignal())
		counter.Set(n)
		counter.KeepRemainder(10)
		require.True(t, counter.Reached(n))
		require.False(t, counter.Reached(n+1), n)
	}
}

func TestStepsOfManyGoroutinesAreCountedOnce(t *testing.T) {
	t.Parallel()
	const adders, each, threshold = 8, 5000, 7
	signal := notify.NewSignal()
	counter := steps.NewCounter(signal)
	var group sync.WaitGroup
	var added atomic.Int64
	for range adders {
		group.Go(func() {
			for range each {
				added.Add(1)
				counter.Increment()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		group.Wait()
	}()
	for waiting := true; waiting; {
		if counter.Reached(threshold) {
			counter.KeepRemainder(threshold)
			continue
		}
		select {
		case <-signal:
		case <-ended: // the signal may be set too
			waiting = counter.Reached(threshold)
		}
	}
	require.EqualValues(t, adders*each, added.Load())
	rest := adders * each % threshold
	require.True(t, rest == 0 || counter.Reached(rest))
	require.False(t, counter.Reached(rest+1))
}
