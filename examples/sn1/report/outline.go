package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"
)

// point is a value that holds from a moment on.
type point struct {
	at    time.Duration
	value float64
}

// sorted returns the points in the order of time, without those whose value is
// no number.
func sorted(points []point) []point {
	points = slices.DeleteFunc(slices.Clone(points), func(p point) bool {
		return math.IsNaN(p.value) || math.IsInf(p.value, 0)
	})
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	return points
}

// outline returns at most limit of the sorted points: of each slice of time the
// first, the lowest, the highest and the last, so that a line through them
// covers what a line through all of them does.
func outline(points []point, limit int) []point {
	if len(points) <= limit {
		return points
	}
	begin, slices := points[0].at, max(1, limit/4)
	width := float64(points[len(points)-1].at-begin) / float64(slices)
	slice := func(p point) int {
		if width <= 0 {
			return 0
		}
		return min(int(float64(p.at-begin)/width), slices-1)
	}
	var kept []point
	for len(points) > 0 {
		end, at := 1, slice(points[0])
		for end < len(points) && slice(points[end]) == at {
			end++
		}
		kept = append(kept, corners(points[:end])...)
		points = points[end:]
	}
	return kept
}

// corners returns the first, the lowest, the highest and the last of points,
// each once and in their order.
func corners(points []point) []point {
	lowest, highest := 0, 0
	for i, p := range points {
		if p.value < points[lowest].value {
			lowest = i
		}
		if p.value > points[highest].value {
			highest = i
		}
	}
	order := []int{0, lowest, highest, len(points) - 1}
	slices.Sort(order)
	var kept []point
	for _, i := range slices.Compact(order) {
		kept = append(kept, points[i])
	}
	return kept
}

// steps returns the path of a line that holds each value until the next. Its
// coordinates are whole numbers, which keeps the page small.
func steps(points []point, across func(time.Duration) int, up func(float64) int) string {
	if len(points) == 0 {
		return ""
	}
	x, y := across(points[0].at), up(points[0].value)
	path := append(strconv.AppendInt([]byte{'M'}, int64(x), 10), ' ')
	path = strconv.AppendInt(path, int64(y), 10)
	drawn := x
	for _, p := range points[1:] {
		x = across(p.at)
		next := up(p.value)
		if next == y {
			continue
		}
		if x != drawn {
			path = strconv.AppendInt(append(path, 'H'), int64(x), 10)
		}
		path = strconv.AppendInt(append(path, 'V'), int64(next), 10)
		drawn, y = x, next
	}
	if x != drawn {
		path = strconv.AppendInt(append(path, 'H'), int64(x), 10)
	}
	return string(path)
}
