package report_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/sn1/report"
)

func TestLength(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0 s":            -time.Second,
		"7 ns":           7,
		"1.23 µs":        1234,
		"1 s":            999_900 * time.Microsecond,
		"12.3 ms":        12_345 * time.Microsecond,
		"1 min":          59_960 * time.Millisecond,
		"10 min 3 s":     10*time.Minute + 3*time.Second,
		"1 h":            59*time.Minute + 59*time.Second + 800*time.Millisecond,
		"2 h 5 min":      2*time.Hour + 5*time.Minute + 9*time.Second,
		"1 d 2 h":        26 * time.Hour,
		"106,751 d 23 h": math.MaxInt64,
		"1 d":            24*time.Hour - time.Second,
		"59.9 s":         59_900 * time.Millisecond,
	} {
		require.Equal(t, want, report.Length(d), "%d", d)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0", report.Grouped(0))
	require.Equal(t, "999", report.Grouped(999))
	require.Equal(t, "65,535", report.Grouped(65_535))
	require.Equal(t, "−1,234,567", report.Grouped(-1_234_567))
	require.Equal(t, "−9,223,372,036,854,775,808", report.Grouped(math.MinInt64))

	require.Equal(t, "0", report.Compact(0))
	require.Equal(t, "500", report.Compact(500))
	require.Equal(t, "150k", report.Compact(150_000))
	require.Equal(t, "2.5M", report.Compact(2_500_000))
	require.Equal(t, "1e+18", report.Compact(1e18))

	require.Equal(t, "15 %", report.Percent(0.15, 0.05))
	require.Equal(t, "1.0 %", report.Percent(0.01, 0.002))
	require.Equal(t, "0.00001 %", report.Percent(1e-7, 1e-7))

	require.Equal(t, "0.1235", report.Reward(0.12345678))
	require.Equal(t, "−1.0000", report.Reward(-1))
	require.Equal(t, "1e+300", report.Reward(1e300))
	for _, missing := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		require.Equal(t, "–", report.Reward(missing))
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	require.Equal(t, "al\ufffdder", report.Clean("al\x00der", 20))
	require.Equal(t, "\ufffdgnp", report.Clean("\u202egnp", 20), "nobody turns the direction of our text")
	require.Equal(t, "\ufffd\ufffda", report.Clean("\xff\na", 20))
	require.Equal(t, "日本語", report.Clean("日本語", 3))
	require.Equal(t, "日本…", report.Clean("日本語版", 3))
	require.Equal(t, strings.Repeat("x", report.Tag-1)+"…", report.Clean(strings.Repeat("x", 1_000_000), report.Tag))
}
