package report_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/examples/sn1/report"
)

// noise returns points of small values, one for each second.
func noise(count int) []report.Point {
	random := rand.New(rand.NewPCG(1, 2))
	points := make([]report.Point, count)
	for i := range points {
		points[i] = report.NewPoint(time.Duration(i)*time.Second, random.Float64())
	}
	return points
}

func TestOutlineKeepsExtremesAndEnds(t *testing.T) {
	t.Parallel()
	points := noise(10_000)
	highest, lowest := report.NewPoint(4321*time.Second, 9), report.NewPoint(8765*time.Second, -9)
	points[4321], points[8765] = highest, lowest
	kept := report.Outline(points, 400)
	require.LessOrEqual(t, len(kept), 400)
	require.Greater(t, len(kept), 300)
	require.Subset(t, points, kept)
	require.Contains(t, kept, highest)
	require.Contains(t, kept, lowest)
	require.Equal(t, points[0], kept[0])
	require.Equal(t, points[len(points)-1], kept[len(kept)-1])
	require.Equal(t, kept, report.Sorted(kept), "in the order of time")
}

func TestOutlineOfFewPoints(t *testing.T) {
	t.Parallel()
	points := noise(8)
	require.Equal(t, points, report.Outline(points, 8))
	require.Empty(t, report.Outline(nil, 8))
	require.Len(t, report.Outline(noise(1), 8), 1)
}

func TestOutlineOfOneMoment(t *testing.T) {
	t.Parallel()
	points := make([]report.Point, 100)
	for i := range points {
		points[i] = report.NewPoint(time.Second, float64(i%7))
	}
	kept := report.Outline(points, 8)
	require.LessOrEqual(t, len(kept), 4)
	require.Contains(t, kept, report.NewPoint(time.Second, 6))
}

func TestOutlineOfAllTime(t *testing.T) {
	t.Parallel()
	points := noise(100)
	points[99] = report.NewPoint(math.MaxInt64, 3)
	kept := report.Outline(points, 8)
	require.LessOrEqual(t, len(kept), 8)
	require.Equal(t, points[99], kept[len(kept)-1])
}

func TestSortedLeavesOutWhatIsNoNumber(t *testing.T) {
	t.Parallel()
	points := []report.Point{
		report.NewPoint(3, 1), report.NewPoint(2, math.NaN()), report.NewPoint(1, 2), report.NewPoint(0, math.Inf(-1)),
	}
	require.Equal(t, []report.Point{report.NewPoint(1, 2), report.NewPoint(3, 1)}, report.Sorted(points))
	require.True(t, math.IsNaN(points[1].Value()), "the caller's points are left as they are")
}

func TestSteps(t *testing.T) {
	t.Parallel()
	p := report.NewPoint
	for _, tt := range []struct {
		name   string
		points []report.Point
		want   string
	}{
		{"none", nil, ""},
		{"one", []report.Point{p(5, 10)}, "M5 90"},
		{"a value holds until the next", []report.Point{p(0, 0), p(10, 20), p(20, 30)}, "M0 100H10V80H20V70"},
		{"to the end", []report.Point{p(0, 5), p(10, 5), p(20, 5)}, "M0 95H20"},
		{"within one column", []report.Point{p(0, 5), p(0, 9), p(0, 1), p(4, 1)}, "M0 95V91V99H4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, report.Steps(tt.points...))
		})
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	require.Equal(t, []float64{10, 50, 90}, report.Spread([]float64{10, 50, 90}, 16, 100), "room enough")
	require.Equal(t, []float64{10, 26, 42}, report.Spread([]float64{10, 11, 12}, 16, 100), "pushed down")
	require.Equal(t, []float64{68, 84, 100}, report.Spread([]float64{98, 99, 100}, 16, 100), "but not below the plot")
	require.Empty(t, report.Spread(nil, 16, 100))
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	times := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for part, want := range map[float64]time.Duration{0: 1, 0.1: 1, 0.5: 5, 0.9: 9, 0.91: 10, 1: 10} {
		require.Equal(t, want, report.Quantile(times, part), "%v", part)
	}
	require.Equal(t, time.Duration(7), report.Quantile([]time.Duration{7}, 0.9))
}
