package report

import "time"

// Tag is how wide a name beside a line may be.
const Tag = tagSize

// LinearTicks returns the ticks of a scale of values.
func LinearTicks(high float64, steps int, whole bool) []float64 {
	return newLinear(high, steps, whole).ticks()
}

// LinearAt returns where a value lies on such a scale.
func LinearAt(high, value float64) float64 { return newLinear(high, 5, false).at(value) }

// ClockTicks returns the texts of the ticks of a scale of time.
func ClockTicks(high time.Duration, steps int) []string {
	clock := newClock(high, steps)
	var texts []string
	for _, at := range clock.ticks() {
		texts = append(texts, moment(at, clock.step))
	}
	return texts
}

// DecadeTicks returns the texts of the ticks of a logarithmic scale.
func DecadeTicks(least, most time.Duration) []string {
	var texts []string
	for _, at := range newDecades(least, most).ticks() {
		texts = append(texts, decade(at))
	}
	return texts
}

// DecadeAt returns where a duration lies on such a scale.
func DecadeAt(least, most, d time.Duration) float64 { return newDecades(least, most).at(d) }

// Point is a point of a line.
type Point = point

// NewPoint returns a point.
func NewPoint(at time.Duration, value float64) Point { return point{at, value} }

// Value is what holds from the point on.
func (p point) Value() float64 { return p.value }

// The functions under test.
var (
	Outline  = outline
	Sorted   = sorted
	Spread   = spread
	Clean    = clean
	Length   = length
	Percent  = percent
	Compact  = compact
	Reward   = reward
	Quantile = quantile
)

// Grouped writes an integer.
func Grouped(value int64) string { return grouped(value) }

// Steps returns the path of a line in a box of 100 by 100.
func Steps(points ...Point) string {
	return steps(points, func(at time.Duration) int { return int(at) }, func(value float64) int { return 100 - int(value) })
}
