package dashboard

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The size of a plot and of its margins, in the units of its text: small, so that
// the text is readable where the page is narrow.
const (
	plotWidth, plotHeight              = 340.0, 190.0
	marginLeft, marginRight, marginTop = 40.0, 10.0, 20.0
	marginBottom                       = 34.0
)

// plot is lines over time, ready to be drawn.
type plot struct {
	Title, Unit    string // Unit of the y axis
	XTitle         string
	Lines          []line
	XTicks, YTicks []tick
	Width, Height  float64
	Left, Right    float64 // of the area inside the axes
	Top, Bottom    float64
}

type line struct {
	Name   string
	Class  string // of the color and the dashes
	Points string // of an SVG polyline
}

type tick struct {
	At    float64
	Text  string
	Class string // how the text stands to At
}

// newPlot draws values, one row for each name, over times. The y axis begins at 0.
func newPlot(title, unit string, times []time.Time, names []string, values [][]float64) plot {
	p := plot{
		Title: title, Unit: unit, Width: plotWidth, Height: plotHeight,
		Left: marginLeft, Right: plotWidth - marginRight,
		Top: marginTop, Bottom: plotHeight - marginBottom,
	}
	top := 0.0
	for _, row := range values {
		for _, v := range row {
			top = max(top, v)
		}
	}
	step := niceStep(top, 4, unit)
	top = max(step, math.Ceil(top/step-1e-9)*step)
	for i := 0; float64(i)*step <= top+step/2; i++ {
		v := float64(i) * step
		p.YTicks = append(p.YTicks, tick{At: p.y(v / top), Text: significant(v)})
	}
	p.timeTicks(times)
	for i, row := range values {
		p.Lines = append(p.Lines, line{names[i], fmt.Sprintf("s%d", i), p.points(times, row, top)})
	}
	return p
}

func (p *plot) y(share float64) float64 { return round(p.Bottom - share*(p.Bottom-p.Top)) }

func (p *plot) x(share float64) float64 { return round(p.Left + share*(p.Right-p.Left)) }

func round(v float64) float64 { return math.Round(v*10) / 10 }

// points returns the points of a polyline, but for those between two that are as high.
func (p *plot) points(times []time.Time, row []float64, top float64) string {
	var b strings.Builder
	last := len(row) - 1
	for i, v := range row {
		if i > 0 && i < last && row[i-1] == v && row[i+1] == v {
			continue
		}
		fmt.Fprintf(&b, "%v,%v ", p.x(shareOf(times, times[i])), p.y(v/top))
	}
	if last == 0 { // a line needs two points
		fmt.Fprintf(&b, "%v,%v", p.Right, p.y(row[0]/top))
	}
	return strings.TrimSpace(b.String())
}

// shareOf returns where a time stands between the first and the last one.
func shareOf(times []time.Time, t time.Time) float64 {
	span := times[len(times)-1].Sub(times[0])
	if span <= 0 {
		return 0
	}
	return float64(t.Sub(times[0])) / float64(span)
}

// timeTicks sets at most five ticks at round times of the day.
func (p *plot) timeTicks(times []time.Time) {
	p.XTitle = "time (UTC)"
	if len(times) == 0 {
		return
	}
	first, last := times[0].UTC(), times[len(times)-1].UTC()
	step := timeStep(last.Sub(first))
	layout := "15:04"
	switch {
	case step < time.Minute:
		layout = "15:04:05"
	case step >= 24*time.Hour:
		layout = "Jan 2"
	case last.Sub(first) > 24*time.Hour:
		layout = "Jan 2 15h"
	}
	for t := first.Truncate(step); !t.After(last); t = t.Add(step) {
		if !t.Before(first) {
			at, class := p.x(shareOf(times, t)), "middle"
			if at > p.Right-20 {
				class = "end"
			}
			p.XTicks = append(p.XTicks, tick{at, t.Format(layout), class})
		}
	}
}

// timeStep returns a round step that divides a time into at most four parts.
func timeStep(span time.Duration) time.Duration {
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second,
		10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute,
		10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if span <= 4*step {
			return step
		}
	}
	days := int(math.Ceil(span.Hours() / 24 / 4))
	return time.Duration(days) * 24 * time.Hour
}

// niceStep returns 1, 2 or 5 times a power of ten, so that about n steps reach top.
// What is counted has whole steps.
func niceStep(top float64, n int, unit string) float64 {
	counted := unit != "seconds" && unit != "percent"
	if !(top > 0) || (counted && top < float64(n)) {
		return 1
	}
	raw := top / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw-1e-12 {
			return m * power
		}
	}
	return 10 * power
}

// bars is horizontal bars, ready to be drawn. Mark is a second value of a bar, such
// as the 95th percentile beside the median.
type bars struct {
	Title, Unit   string
	MarkName      string
	Bars          []bar
	Ticks         []tick
	Width, Height float64
	Left, Bottom  float64
}

type bar struct {
	Name, Class  string
	Text         string // the value with its unit
	Value, Mark  float64
	Y, W, MarkX  float64 // where it is drawn
	TextX, TextY float64
}

const (
	barsLeft = 108.0
	barStep  = 20.0
)

// newBars lays the bars out. Values must not be negative.
func newBars(title, unit, markName string, list []bar) bars {
	b := bars{
		Title: title, Unit: unit, MarkName: markName, Bars: list, Width: plotWidth, Left: barsLeft,
		Bottom: marginTop + barStep*float64(len(list)),
	}
	b.Height = b.Bottom + marginBottom
	top := 0.0
	for _, bar := range list {
		top = max(top, bar.Value, bar.Mark)
	}
	step := niceStep(top, 3, unit)
	top = max(step, math.Ceil(top/step-1e-9)*step)
	scale := (plotWidth - marginRight - 10 - barsLeft) / top
	for i := 0; float64(i)*step <= top+step/2; i++ {
		v := float64(i) * step
		b.Ticks = append(b.Ticks, tick{At: round(barsLeft + v*scale), Text: significant(v)})
	}
	for i := range b.Bars {
		bar := &b.Bars[i]
		bar.Y = round(marginTop + barStep*float64(i) + 3)
		bar.W = round(bar.Value * scale)
		bar.MarkX = round(barsLeft + bar.Mark*scale)
		bar.TextY = bar.Y + 11
	}
	return b
}
