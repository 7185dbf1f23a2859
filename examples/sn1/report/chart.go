package report

import (
	"strconv"
	"time"
)

// Lines are drawn in a box of this width, stretched over the page, and of ten
// units to the pixel in height, which is not stretched.
const (
	boxWidth = 4000
	boxUnit  = 10
)

// chart is a plot of values over time. Text and lines have their size in
// pixels, only positions across are relative: so it fits every width.
type chart struct {
	ID     string // unique in the page
	Title  string
	Desc   string
	Height int // pixels, without the axis
	Across []tick
	Up     []tick
	Lines  []line
	Tags   []tag

	time   clock
	values linear
}

// tick is a labelled place on an axis.
type tick struct {
	Place  string // percent across, or pixels from above
	Text   string
	Anchor string
	Odd    bool // to be left out where it is narrow
}

// line is one of a chart. Its look does not depend on colour alone.
type line struct {
	UID    uint16
	Name   string
	Kind   string
	Colour int
	Dash   string // of the style sheet
	Title  string
	Path   string
	DotX   string // the last point: percent across
	DotY   string // and pixels from above
}

// tag is the text beside the end of a line.
type tag struct {
	line

	End  string // pixels from above, where the line ends
	Mid  string // where the text is
	Base string // the text's baseline
}

// newChart returns a chart with axes. Format writes a value, given the step
// between ticks.
func newChart(id string, height int, span clock, values linear, format func(value, step float64) string) chart {
	c := chart{ID: id, Height: height, time: span, values: values}
	for i, at := range span.ticks() {
		place := span.at(at)
		c.Across = append(c.Across, tick{
			Place: share(place), Text: moment(at, span.step), Anchor: anchor(place), Odd: i%2 > 0,
		})
	}
	for _, value := range values.ticks() {
		c.Up = append(c.Up, tick{Place: c.pixels(value), Text: format(value, values.step)})
	}
	return c
}

// add draws sorted points as a line.
func (c *chart) add(l line, points []point) {
	l.Path = steps(points, func(at time.Duration) int {
		return int(c.time.at(at)*boxWidth + 0.5)
	}, func(value float64) int {
		return int((1-c.values.at(value))*float64(c.Height*boxUnit) + 0.5)
	})
	last := points[len(points)-1]
	l.DotX, l.DotY = share(c.time.at(last.at)), c.pixels(last.value)
	c.Lines = append(c.Lines, l)
}

// Box is the viewBox of the lines.
func (c *chart) Box() string {
	return "0 0 " + strconv.Itoa(boxWidth) + " " + strconv.Itoa(c.Height*boxUnit)
}

// pixels returns how far from above a value is.
func (c *chart) pixels(value float64) string {
	return decimal((1 - c.values.at(value)) * float64(c.Height))
}

// anchor keeps the text at either end of an axis within the plot.
func anchor(place float64) string {
	switch {
	case place > 0.97:
		return "end"
	case place < 0.03:
		return "start"
	default:
		return "middle"
	}
}

// share writes a fraction as a length.
func share(fraction float64) string { return decimal(fraction*100) + "%" }

// decimal writes a coordinate.
func decimal(value float64) string {
	return strconv.FormatFloat(float64(int(value*100+0.5))/100, 'f', -1, 64)
}
