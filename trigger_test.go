package organic_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// goldenSeconds are the waits of the Python original for a frequency of 15, a
// minimum of 2 and a factor of 5, for 0 to 100 queued samples.
var goldenSeconds = []float64{
	15.0, 14.8, 14.6, 14.4, 14.2, 14.0, 13.8, 13.6, 13.4, 13.2,
	13.0, 12.8, 12.6, 12.4, 12.2, 12.0, 11.8, 11.6, 11.4, 11.2,
	11.0, 10.8, 10.6, 10.4, 10.2, 10.0, 9.8, 9.6, 9.4, 9.2,
	9.0, 8.8, 8.6, 8.4, 8.2, 8.0, 7.8, 7.6, 7.4, 7.2,
	7.0, 6.8, 6.6, 6.4, 6.2, 6.0, 5.8, 5.6, 5.4, 5.2,
	5.0, 4.8, 4.6, 4.4, 4.2, 4.0, 3.8, 3.6, 3.4, 3.2,
	3.0, 2.8, 2.6, 2.4, 2.2, 2.0, 2.0, 2.0, 2.0, 2.0,
	2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0,
	2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0,
	2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0,
	2.0,
}

// goldenSteps are the original's thresholds and the last size that has them.
var goldenSteps = []struct{ threshold, upTo int }{
	{15, 0},
	{14, 5},
	{13, 10},
	{12, 15},
	{11, 20},
	{10, 25},
	{9, 30},
	{8, 35},
	{7, 40},
	{6, 45},
	{5, 50},
	{4, 55},
	{3, 60},
	{2, 100},
}

func TestWaitIsTheOriginals(t *testing.T) {
	t.Parallel()
	trigger := organic.Seconds{Frequency: 15 * time.Second, Min: 2 * time.Second, ScalingFactor: 5}
	require.Len(t, goldenSeconds, 101)
	for size, want := range goldenSeconds {
		golden := time.Duration(math.Round(want*10)) * 100 * time.Millisecond
		require.InDelta(t, golden, trigger.Wait(size), 1, "%d queued: %v", size, trigger.Wait(size))
	}
}

func TestThresholdIsTheOriginals(t *testing.T) {
	t.Parallel()
	trigger := organic.Steps{Frequency: 15, Min: 2, ScalingFactor: 5}
	size := 0
	for _, golden := range goldenSteps {
		for ; size <= golden.upTo; size++ {
			require.Equal(t, golden.threshold, trigger.Threshold(size), "%d queued", size)
		}
	}
	require.Equal(t, 101, size)
}

func TestWait(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		trigger organic.Seconds
		size    int
		want    time.Duration
	}{
		{
			name: "zero factor is 5", trigger: organic.Seconds{Frequency: time.Minute}, size: 25,
			want: 55 * time.Second,
		},
		{
			name: "zero minimum is 2 s", trigger: organic.Seconds{Frequency: time.Minute}, size: 1000,
			want: 2 * time.Second,
		},
		{
			name: "zero minimum is a shorter frequency", trigger: organic.Seconds{Frequency: time.Second},
			size: 1000, want: time.Second,
		},
		{name: "explicit minimum", trigger: organic.Seconds{
			Frequency: 4 * time.Second,
			Min:       100 * time.Millisecond, ScalingFactor: 1,
		}, size: 500, want: 100 * time.Millisecond},
		{
			name: "minimum of one nanosecond", trigger: organic.Seconds{Frequency: time.Second, Min: 1},
			size: math.MaxInt, want: 1,
		},
		{
			name: "factor below 1", trigger: organic.Seconds{Frequency: time.Minute, ScalingFactor: 0.1},
			size: 2, want: 40 * time.Second,
		},
		{name: "tiny factor", trigger: organic.Seconds{
			Frequency:     time.Minute,
			ScalingFactor: math.SmallestNonzeroFloat64,
		}, size: 1, want: 2 * time.Second},
		{
			name: "negative size is an empty queue", trigger: organic.Seconds{Frequency: time.Minute},
			size: -7, want: time.Minute,
		},
		{
			name: "nearest nanosecond", trigger: organic.Seconds{Frequency: time.Minute, ScalingFactor: 3},
			size: 1, want: 59_666_666_667,
		},
		{
			name: "longest frequency", trigger: organic.Seconds{Frequency: math.MaxInt64}, size: 0,
			want: math.MaxInt64,
		},
		{
			name:    "a hundred years and one nanosecond",
			trigger: organic.Seconds{Frequency: 876_000*time.Hour + 1}, size: 0,
			want: 876_000*time.Hour + 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.trigger.Wait(tt.size))
		})
	}
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		trigger organic.Steps
		size    int
		want    int
	}{
		{name: "zero factor is 5", trigger: organic.Steps{Frequency: 60}, size: 25, want: 55},
		{name: "zero minimum is 2", trigger: organic.Steps{Frequency: 60}, size: 1000, want: 2},
		{
			name: "zero minimum is a lower frequency", trigger: organic.Steps{Frequency: 1}, size: 1000,
			want: 1,
		},
		{name: "one sample lowers by one", trigger: organic.Steps{Frequency: 15}, size: 1, want: 14},
		{
			name: "minimum of one", trigger: organic.Steps{Frequency: 15, Min: 1, ScalingFactor: 1},
			size: math.MaxInt, want: 1,
		},
		{
			name: "negative size is an empty queue", trigger: organic.Steps{Frequency: 60}, size: -7,
			want: 60,
		},
		{
			name: "highest frequency", trigger: organic.Steps{Frequency: math.MaxInt}, size: 0,
			want: math.MaxInt,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.trigger.Threshold(tt.size))
		})
	}
}

func TestNewRefusesTriggersThatCannotWork(t *testing.T) {
	t.Parallel()
	triggers := []organic.Trigger{
		nil,
		organic.Seconds{},
		organic.Seconds{Frequency: -5 * time.Second},
		organic.Seconds{Frequency: -5 * time.Second, Min: -10 * time.Second},
		organic.Seconds{Frequency: time.Second / 2, Min: 2 * time.Second},
		organic.Seconds{Frequency: time.Minute, Min: -1},
		organic.Seconds{Frequency: time.Minute, ScalingFactor: -1},
		organic.Seconds{Frequency: time.Minute, ScalingFactor: math.NaN()},
		organic.Seconds{Frequency: time.Minute, ScalingFactor: math.Inf(1)},
		organic.Steps{},
		organic.Steps{Frequency: -3},
		organic.Steps{Frequency: 3, Min: -1},
		organic.Steps{Frequency: 3, Min: 4},
		organic.Steps{Frequency: 3, ScalingFactor: -1},
		organic.Steps{Frequency: 3, ScalingFactor: math.NaN()},
		organic.Steps{Frequency: 3, ScalingFactor: math.Inf(-1)},
	}
	for _, trigger := range triggers {
		t.Run(fmt.Sprintf("%T%+v", trigger, trigger), func(t *testing.T) {
			t.Parallel()
			_, err := organic.New(promptHooks{}, organic.WithTrigger(trigger))
			require.ErrorIs(t, err, organic.ErrInvalidOption)
		})
	}
}

// FuzzRate holds every trigger that New accepts to its bounds: from Min to
// Frequency, and the more samples wait the sooner.
func FuzzRate(f *testing.F) {
	f.Add(int64(15*time.Second), int64(2*time.Second), 5.0, 64)
	f.Add(int64(time.Second/2), int64(0), 0.0, 1)
	f.Add(int64(1), int64(1), 1e-300, 0)
	f.Add(int64(math.MaxInt64), int64(0), 1e300, -1)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), 0.5, math.MaxInt)
	f.Add(int64(1<<53+1), int64(3), 3.0, 7)
	f.Fuzz(func(t *testing.T, frequency, lowest int64, factor float64, size int) {
		more := max(size, size+size/2+1)
		seconds := organic.Seconds{
			Frequency: time.Duration(frequency), Min: time.Duration(lowest),
			ScalingFactor: factor,
		}
		if _, err := organic.New(promptHooks{}, organic.WithTrigger(seconds)); err == nil {
			requireRate(t, frequency, lowest, int64(seconds.Wait(size)), int64(seconds.Wait(more)))
		}
		steps := organic.Steps{Frequency: int(frequency), Min: int(lowest), ScalingFactor: factor}
		if _, err := organic.New(promptHooks{}, organic.WithTrigger(steps)); err == nil {
			requireRate(t, frequency, lowest, int64(steps.Threshold(size)), int64(steps.Threshold(more)))
		}
	})
}

func requireRate(t *testing.T, frequency, lowest, rate, rateOfMore int64) {
	t.Helper()
	require.Positive(t, rate)
	require.GreaterOrEqual(t, rate, lowest)
	require.LessOrEqual(t, rate, frequency)
	require.LessOrEqual(t, rateOfMore, rate, "a longer queue must not wait longer")
}

func TestSecondsMakeADayOfIterations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		run(t, starts.hooks(0), organic.WithSynth(endless))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Equal(t, every(15*time.Second, 5760+1), starts.times(),
			"one at once, then one every 15 s")
	})
}

func TestSecondsPaceStartsHoweverLongHooksTake(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		took     time.Duration
		interval time.Duration
	}{
		{name: "nothing", took: 0, interval: 10 * time.Second},
		{name: "almost the interval", took: 10*time.Second - 1, interval: 10 * time.Second},
		{name: "the interval", took: 10 * time.Second, interval: 10 * time.Second},
		{
			name: "longer: next one at once, no overlap", took: 25 * time.Second,
			interval: 25 * time.Second,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				starts := newJournal()
				run(t, starts.hooks(tt.took), organic.WithSynth(endless),
					organic.WithTrigger(organic.Seconds{Frequency: 10 * time.Second}))
				time.Sleep(4 * tt.interval)
				synctest.Wait()
				require.Equal(t, every(tt.interval, 5), starts.times())
			})
		})
	}
}

func TestSecondsCountFromTheStartWithTheSizeOfNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := build(t, starts.hooks(3*time.Second),
			organic.WithTrigger(organic.Seconds{Frequency: 15 * time.Second}))
		enqueue(t, s, 3)
		require.NoError(t, s.Start(t.Context()))
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{0, 14600 * time.Millisecond, 29400 * time.Millisecond},
			starts.times(),
			"2 and then 1 wait after the starts")
	})
}

func TestArrivalWhenDueStartsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithTrigger(organic.Seconds{Frequency: time.Minute}))
		time.Sleep(7 * time.Second)
		enqueue(t, s, 1)
		synctest.Wait()
		require.Equal(t, []time.Duration{7 * time.Second}, starts.times())
		time.Sleep(100 * time.Second)
		enqueue(t, s, 1)
		synctest.Wait()
		require.Equal(t, []time.Duration{7 * time.Second, 107 * time.Second}, starts.times())
	})
}

func TestArrivalShortensTheWait(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		trigger organic.Seconds
		arrive  time.Duration // after the first start
		samples int
		want    time.Duration // the next start
	}{
		{
			name: "by the formula", trigger: organic.Seconds{Frequency: 15 * time.Second},
			arrive: time.Second, samples: 10, want: 13 * time.Second,
		},
		{
			name: "to at once when overdue by then", trigger: organic.Seconds{Frequency: 15 * time.Second},
			arrive: 14 * time.Second, samples: 10, want: 14 * time.Second,
		},
		{
			name: "never below the minimum", trigger: organic.Seconds{Frequency: 15 * time.Second},
			arrive: time.Millisecond, samples: 9000, want: 2 * time.Second,
		},
		{
			name: "five hundred at once",
			trigger: organic.Seconds{
				Frequency: 4 * time.Second, Min: 100 * time.Millisecond,
				ScalingFactor: 1,
			},
			arrive: 100 * time.Millisecond, samples: 500, want: 100 * time.Millisecond,
		},
		{
			name: "five hundred before the minimum is over",
			trigger: organic.Seconds{
				Frequency: 4 * time.Second, Min: 100 * time.Millisecond,
				ScalingFactor: 1,
			},
			arrive: 30 * time.Millisecond, samples: 500, want: 100 * time.Millisecond,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				starts := newJournal()
				s := build(t, starts.hooks(0), organic.WithTrigger(tt.trigger))
				enqueue(t, s, 1)
				require.NoError(t, s.Start(t.Context()))
				time.Sleep(tt.arrive)
				synctest.Wait()
				enqueue(t, s, tt.samples)
				time.Sleep(tt.want - tt.arrive + 1)
				require.Equal(t, []time.Duration{0, tt.want}, starts.times())
			})
		})
	}
}

func TestFullQueueIsServedAtTheMinimum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := build(t, starts.hooks(0),
			organic.WithTrigger(organic.Seconds{Frequency: 15 * time.Second, Min: 250 * time.Millisecond}))
		enqueue(t, s, 5000)
		require.NoError(t, s.Start(t.Context()))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, every(250*time.Millisecond, 41), starts.times())
	})
}

func TestFailureIsNotFasterThanTheTrigger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		run(t, promptHooks{QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string,
			error,
		) {
			starts.note()
			return nil, errFailed
		}}, organic.WithSynth(endless))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, every(15*time.Second, 5), starts.times())
	})
}

func TestSecondsStartAgainWithEachRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless))
		time.Sleep(4 * time.Second)
		require.NoError(t, s.Stop(t.Context()))
		time.Sleep(time.Second)
		require.NoError(t, s.Start(t.Context()))
		time.Sleep(16 * time.Second)
		require.Equal(t, []time.Duration{0, 5 * time.Second, 20 * time.Second}, starts.times())
	})
}

func TestStepsDoNothingUnderSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless))
		for range 1000 {
			s.IncrementStep()
			s.SetStep(5_000_000)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		require.Equal(t, every(15*time.Second, 2), starts.times())
	})
}

// step adds single steps, with time for the loop after each.
func step(s *promptScorer, n int) {
	for range n {
		s.IncrementStep()
		synctest.Wait()
	}
}

func TestStepsStartAnIterationPerThreshold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
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
		s := run(t, starts.hooks(0), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 15}))
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
		s := run(t, starts.hooks(0), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 10}))
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
		s := run(t, starts.hooks(time.Minute), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
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
		s := run(t, starts.hooks(0), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: goroutines*each + 1}))
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
		s := build(t, starts.hooks(0), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
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
		s := run(t, starts.hooks(0), organic.WithSynth(endless),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
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

func TestLargestStepDoesNotStopTheTrigger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithSynth(always("made up")),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
		for _, n := range []int{math.MaxInt, math.MinInt, math.MaxInt - 1} {
			s.SetStep(n)
			synctest.Wait()
			s.IncrementStep()
			synctest.Wait()
		}
		before := starts.count()
		require.NotZero(t, before)
		s.SetStep(0)
		step(s, 3)
		require.Equal(t, before+1, starts.count())
	})
}
