package report_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/sn1/report"
)

func TestLinearTicks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		high  float64
		steps int
		whole bool
		want  []float64
	}{
		{"a share", 0.23, 5, false, []float64{0, 0.05, 0.1, 0.15, 0.2, 0.25}},
		{"all of it", 1, 5, false, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}},
		{"tiny", 3e-7, 5, false, []float64{0, 1e-7, 2e-7, 3e-7}},
		{"counts are whole", 2, 5, true, []float64{0, 1, 2}},
		{"large counts", 123_456, 3, true, []float64{0, 50_000, 100_000, 150_000}},
		{"nothing", 0, 3, true, []float64{0, 1}},
		{"negative", -5, 3, true, []float64{0, 1}},
		{"not a number", math.NaN(), 2, false, []float64{0, 0.5, 1}},
		{"infinite", math.Inf(1), 2, false, []float64{0, 5e299, 1e300}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.InEpsilonSlice(t, tt.want[1:], report.LinearTicks(tt.high, tt.steps, tt.whole)[1:], 1e-9)
			require.Zero(t, report.LinearTicks(tt.high, tt.steps, tt.whole)[0])
		})
	}
}

func TestClockTicks(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name string
		high time.Duration
		want []string
	}{
		{"nothing", 0, []string{"0", "200 ms", "400 ms", "600 ms", "800 ms", "1,000 ms"}},
		{"negative", -time.Hour, []string{"0", "200 ms", "400 ms", "600 ms", "800 ms", "1,000 ms"}},
		{"one nanosecond", 1, []string{"0", "1 ns"}},
		{"seconds", 7 * time.Second, []string{"0", "2 s", "4 s", "6 s"}},
		{"half minutes", 150 * time.Second, []string{"0", "30 s", "60 s", "90 s", "120 s", "150 s"}},
		{"minutes", 10*time.Minute + 3*time.Second, []string{"0", "2 min", "4 min", "6 min", "8 min", "10 min"}},
		{"quarters", 80 * time.Minute, []string{"0", "15 min", "30 min", "45 min", "60 min", "75 min"}},
		{"hours", 14 * time.Hour, []string{"0", "3 h", "6 h", "9 h", "12 h"}},
		{"a week", 7 * day, []string{"0", "2 d", "4 d", "6 d"}},
		{"all there is", math.MaxInt64, []string{"0", "20,000 d", "40,000 d", "60,000 d", "80,000 d", "100,000 d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, report.ClockTicks(tt.high, 6))
		})
	}
}

func TestDecadeTicks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		least, most time.Duration
		want        []string
	}{
		{"within a decade", 120 * time.Millisecond, 800 * time.Millisecond, []string{"100 ms", "200 ms", "500 ms", "1 s"}},
		{"one value", time.Second, time.Second, []string{"1 s", "2 s", "5 s", "10 s"}},
		{"several decades", time.Millisecond, 8 * time.Second, []string{"1 ms", "10 ms", "100 ms", "1 s", "10 s"}},
		{"many decades", 0, 1000 * time.Second, []string{"1 µs", "100 µs", "10 ms", "1 s", "100 s"}},
		{"nothing", 0, 0, []string{"1 µs", "2 µs", "5 µs", "10 µs"}},
		{"all there is", 0, math.MaxInt64, []string{"1 µs", "1 ms", "1 s", "1k s", "1M s", "1B s"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, report.DecadeTicks(tt.least, tt.most))
		})
	}
}

func TestScalesStayWithinThePlot(t *testing.T) {
	t.Parallel()
	for _, value := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 0.5, 1, math.MaxFloat64} {
		for _, high := range []float64{math.NaN(), 0, 1e-300, 1, math.MaxFloat64} {
			at := report.LinearAt(high, value)
			require.True(t, at >= 0 && at <= 1, "%v of %v lies at %v", value, high, at)
		}
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0, 1, time.Second, math.MaxInt64} {
		at := report.DecadeAt(time.Millisecond, time.Second, d)
		require.True(t, at >= 0 && at <= 1, "%v lies at %v", d, at)
	}
	require.InDelta(t, 0.5, report.LinearAt(1, 0.5), 1e-12)
	require.InDelta(t, 2.0/3, report.DecadeAt(time.Millisecond, time.Second, 100*time.Millisecond), 1e-12)
}
