package report

import (
	"strings"
	"time"
)

const (
	queueHeight = 150
	queueSize   = 1500 // points of a line
)

// queuePlots are the length of the queue and the iterations in flight, each
// with its own axis: the one may be a hundred times the other.
type queuePlots []queuePlot

// queuePlot is one of them.
type queuePlot struct {
	chart

	Peak string
	Last string
}

// newQueue returns the plots, or nil if there are no readings.
func newQueue(readings []QueuePoint, span clock) queuePlots {
	if len(readings) == 0 {
		return nil
	}
	queued, inFlight := make([]point, len(readings)), make([]point, len(readings))
	for i, r := range readings {
		queued[i] = point{r.At, float64(max(r.Queued, 0))}
		inFlight[i] = point{r.At, float64(max(r.InFlight, 0))}
	}
	return queuePlots{
		newQueuePlot("queued", "Queued", 0, queued, span),
		newQueuePlot("flight", "In flight", 1, inFlight, span),
	}
}

// newQueuePlot draws one line.
func newQueuePlot(id, title string, colour int, points []point, span clock) queuePlot {
	points = sorted(points)
	peak, last := 0.0, points[len(points)-1]
	for _, p := range points {
		peak = max(peak, p.value)
	}
	compacted := func(value, _ float64) string { return compact(value) }
	p := queuePlot{chart: newChart(id, queueHeight, span, newLinear(peak, 3, true), compacted)}
	p.Title, p.Peak, p.Last = title, whole(peak), whole(last.value)
	p.Desc = "Samples " + strings.ToLower(title) + " over " + length(span.high) +
		": at most " + p.Peak + ", at the end " + p.Last + "."
	p.add(line{Title: title, Colour: colour, Dash: "honest"}, outline(points, queueSize))
	return p
}

// whole writes a count that came from an int.
func whole(value float64) string {
	if value < 1<<53 {
		return grouped(int64(value))
	}
	return compact(value)
}

// span returns the scale of time of the whole page: the length of the run, or
// up to the last point if that is later.
func (run Run) span() clock {
	high := time.Duration(0)
	if run.timed() {
		high = run.Ended.Sub(run.Started)
	}
	for _, w := range run.Weights {
		high = max(high, w.At)
	}
	for _, q := range run.Queue {
		high = max(high, q.At)
	}
	return newClock(high, 6)
}

// timed reports whether it is known how long the run took.
func (run Run) timed() bool {
	return !run.Started.IsZero() && !run.Ended.Before(run.Started)
}
