package organic_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

func TestSecondsMakeADayOfIterations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		run(t, starts.hooks(0), organic.WithSynth(endless))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		require.Equal(t, every(15*time.Second, 5760+1), starts.times(), "one at once, then one every 15 s")
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
		{name: "longer: next one at once, no overlap", took: 25 * time.Second, interval: 25 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				starts := newJournal()
				run(t, starts.hooks(tt.took), organic.WithSynth(endless), organic.WithTrigger(organic.Seconds{Frequency: 10 * time.Second}))
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
		s := build(t, starts.hooks(3*time.Second), organic.WithTrigger(organic.Seconds{Frequency: 15 * time.Second}))
		enqueue(t, s, 3)
		require.NoError(t, s.Start(t.Context()))
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{0, 14600 * time.Millisecond, 29400 * time.Millisecond}, starts.times(),
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
		{name: "by the formula", trigger: organic.Seconds{Frequency: 15 * time.Second}, arrive: time.Second, samples: 10, want: 13 * time.Second},
		{name: "to at once when overdue by then", trigger: organic.Seconds{Frequency: 15 * time.Second}, arrive: 14 * time.Second, samples: 10, want: 14 * time.Second},
		{name: "never below the minimum", trigger: organic.Seconds{Frequency: 15 * time.Second}, arrive: time.Millisecond, samples: 9000, want: 2 * time.Second},
		{
			name:    "five hundred at once",
			trigger: organic.Seconds{Frequency: 4 * time.Second, Min: 100 * time.Millisecond, ScalingFactor: 1},
			arrive:  100 * time.Millisecond, samples: 500, want: 100 * time.Millisecond,
		},
		{
			name:    "five hundred before the minimum is over",
			trigger: organic.Seconds{Frequency: 4 * time.Second, Min: 100 * time.Millisecond, ScalingFactor: 1},
			arrive:  30 * time.Millisecond, samples: 500, want: 100 * time.Millisecond,
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
		s := build(t, starts.hooks(0), organic.WithTrigger(organic.Seconds{Frequency: 15 * time.Second, Min: 250 * time.Millisecond}))
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
		run(t, textHooks{QueryMinersFunc: func(context.Context, textSample) (map[organic.UID]string, error) {
			starts.note()
			return nil, errHook
		}}, organic.WithSynth(endless))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, every(15*time.Second, 5), starts.times())
	})
}

func TestSecondsBeginAnewWithEachRun(t *testing.T) {
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
