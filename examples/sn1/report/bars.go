package report

import (
	"slices"
	"strconv"
	"time"
)

const (
	rowHeight = 40 // pixels: the name, and below it the bar
	barTop    = 19
	barHeight = 13
	rowLimit  = 32
)

// bars is a plot of rows.
type bars struct {
	ID     string
	Title  string
	Desc   string
	Height int
	Ticks  []tick
	Left   int // rows that are not drawn
}

// newBars returns a plot with room for so many rows.
func newBars(id, title string, rows int) bars {
	return bars{ID: id, Title: title, Height: rowHeight * min(rows, rowLimit), Left: max(0, rows-rowLimit)}
}

// row is where a row lies, in pixels from above.
type row struct {
	Name   string
	Text   int // baseline
	Top    int // of the bar
	Middle int
	Bottom int
	Height int
}

// newRow returns the place of a row.
func newRow(index int, name string) row {
	top := index*rowHeight + barTop
	return row{Name: clean(name, tagSize+4), Text: top - 6, Top: top, Middle: top + barHeight/2, Bottom: top + barHeight, Height: barHeight}
}

// fatesPlot is what became of the samples.
type fatesPlot struct {
	bars

	Rows []fateRow
}

// fateRow is one fate.
type fateRow struct {
	row

	Count string
	Width string
}

// newFates returns the plot, or nil if there are no fates.
func newFates(fates []Fate) *fatesPlot {
	if len(fates) == 0 {
		return nil
	}
	p := &fatesPlot{bars: newBars("fates", "What became of every sample", len(fates))}
	most := uint64(1)
	p.Desc = "Samples by what became of them:"
	for i, f := range fates[:len(fates)-p.Left] {
		most = max(most, f.Count)
		if i > 0 {
			p.Desc += ","
		}
		p.Desc += " " + clean(f.Name, tagSize) + " " + grouped(f.Count)
	}
	p.Desc += "."
	for i, f := range fates[:len(fates)-p.Left] {
		p.Rows = append(p.Rows, fateRow{
			row: newRow(i, f.Name), Count: grouped(f.Count),
			Width: share(fraction(float64(f.Count) / float64(most))),
		})
	}
	return p
}

// stagesPlot is how long the stages took.
type stagesPlot struct {
	bars

	Rows []stageRow
}

// stageRow is one stage. The bar goes from the tenth to the ninetieth
// percentile, the line from the shortest to the longest.
type stageRow struct {
	row

	Count, Median, P90, Max             string
	XMin, XLow, XMedian, XHigh, XMax, W string
}

// newStages returns the plot, or nil if there are no times.
func newStages(points []StagePoint) *stagesPlot {
	var names []string
	times := map[string][]time.Duration{}
	for _, p := range points {
		if p.Took < 0 {
			continue
		}
		if times[p.Stage] == nil {
			names = append(names, p.Stage)
		}
		times[p.Stage] = append(times[p.Stage], p.Took)
	}
	if len(names) == 0 {
		return nil
	}
	p := &stagesPlot{bars: newBars("stages", "Stage times", len(names))}
	names = names[:len(names)-p.Left]
	least, most := times[names[0]][0], time.Duration(0)
	for _, name := range names {
		slices.Sort(times[name])
		least, most = min(least, times[name][0]), max(most, times[name][len(times[name])-1])
	}
	scale := newDecades(least, most)
	for _, at := range scale.ticks() {
		place := scale.at(at)
		p.Ticks = append(p.Ticks, tick{Place: share(place), Text: decade(at), Anchor: anchor(place)})
	}
	for i, name := range names {
		p.Rows = append(p.Rows, newStageRow(newRow(i, name), times[name], scale))
	}
	p.Desc = "Durations of " + strconv.Itoa(len(names)) + " stages on a logarithmic scale; the table below has the numbers."
	return p
}

// newStageRow returns the row of a stage, from its times in ascending order.
func newStageRow(place row, times []time.Duration, scale decades) stageRow {
	low, median, high := quantile(times, 0.1), quantile(times, 0.5), quantile(times, 0.9)
	longest := times[len(times)-1]
	return stageRow{
		row: place, Count: grouped(len(times)),
		Median: length(median), P90: length(high), Max: length(longest),
		XMin: share(scale.at(times[0])), XLow: share(scale.at(low)), XMedian: share(scale.at(median)),
		XHigh: share(scale.at(high)), XMax: share(scale.at(longest)),
		W: share(fraction(scale.at(high) - scale.at(low))),
	}
}

// quantile returns the least of the ascending times that so large a part of
// them does not exceed.
func quantile(times []time.Duration, part float64) time.Duration {
	rank := int(part*float64(len(times)) + 0.999999)
	return times[min(max(rank, 1), len(times))-1]
}

// decade writes a tick of a logarithmic scale, which has no minutes.
func decade(at time.Duration) string {
	if at >= time.Second {
		return compact(at.Seconds()) + " s"
	}
	return length(at)
}
