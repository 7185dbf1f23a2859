package organic_test

import (
	"fmt"
	"math"
	"testing"
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
		{name: "zero factor is 5", trigger: organic.Seconds{Frequency: time.Minute}, size: 25, want: 55 * time.Second},
		{name: "zero minimum is 2 s", trigger: organic.Seconds{Frequency: time.Minute}, size: 1000, want: 2 * time.Second},
		{name: "zero minimum is a shorter frequency", trigger: organic.Seconds{Frequency: time.Second}, size: 1000, want: time.Second},
		{name: "explicit minimum", trigger: organic.Seconds{Frequency: 4 * time.Second, Min: 100 * time.Millisecond, ScalingFactor: 1}, size: 500, want: 100 * time.Millisecond},
		{name: "minimum of one nanosecond", trigger: organic.Seconds{Frequency: time.Second, Min: 1}, size: math.MaxInt, want: 1},
		{name: "factor below 1", trigger: organic.Seconds{Frequency: time.Minute, ScalingFactor: 0.1}, size: 2, want: 40 * time.Second},
		{name: "tiny factor", trigger: organic.Seconds{Frequency: time.Minute, ScalingFactor: math.SmallestNonzeroFloat64}, size: 1, want: 2 * time.Second},
		{name: "negative size is an empty queue", trigger: organic.Seconds{Frequency: time.Minute}, size: -7, want: time.Minute},
		{name: "nearest nanosecond", trigger: organic.Seconds{Frequency: time.Minute, ScalingFactor: 3}, size: 1, want: 59_666_666_667},
		{name: "longest frequency", trigger: organic.Seconds{Frequency: math.MaxInt64}, size: 0, want: math.MaxInt64},
		{name: "a hundred years and one nanosecond", trigger: organic.Seconds{Frequency: 876_000*time.Hour + 1}, size: 0, want: 876_000*time.Hour + 1},
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
		{name: "zero minimum is a lower frequency", trigger: organic.Steps{Frequency: 1}, size: 1000, want: 1},
		{name: "one sample lowers by one", trigger: organic.Steps{Frequency: 15}, size: 1, want: 14},
		{name: "minimum of one", trigger: organic.Steps{Frequency: 15, Min: 1, ScalingFactor: 1}, size: math.MaxInt, want: 1},
		{name: "negative size is an empty queue", trigger: organic.Steps{Frequency: 60}, size: -7, want: 60},
		{name: "highest frequency", trigger: organic.Steps{Frequency: math.MaxInt}, size: 0, want: math.MaxInt},
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
			_, err := organic.New(textHooks{}, organic.WithTrigger(trigger))
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
		seconds := organic.Seconds{Frequency: time.Duration(frequency), Min: time.Duration(lowest), ScalingFactor: factor}
		if _, err := organic.New(textHooks{}, organic.WithTrigger(seconds)); err == nil {
			requireRate(t, frequency, lowest, int64(seconds.Wait(size)), int64(seconds.Wait(more)))
		}
		steps := organic.Steps{Frequency: int(frequency), Min: int(lowest), ScalingFactor: factor}
		if _, err := organic.New(textHooks{}, organic.WithTrigger(steps)); err == nil {
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
