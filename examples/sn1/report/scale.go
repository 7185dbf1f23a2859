package report

import (
	"math"
	"time"
)

// linear is a scale that begins at zero.
type linear struct{ high, step float64 }

// newLinear returns a scale up to a round number, with about so many steps that
// are 1, 2 or 5 times a power of ten. Whole forbids steps below one.
func newLinear(high float64, steps int, whole bool) linear {
	if math.IsNaN(high) || high <= 0 {
		high = 1
	}
	high = min(high, 1e300)
	step := roundUp(high / float64(steps))
	if whole {
		step = max(step, 1)
	}
	return linear{high: math.Ceil(high/step-1e-9) * step, step: step}
}

// roundUp returns the next of 1, 2 and 5 times a power of ten.
func roundUp(value float64) float64 {
	power := math.Floor(math.Log10(value))
	unit := math.Pow(10, power)
	for _, factor := range []float64{1, 2, 5} {
		if value <= factor*unit*(1+1e-9) {
			return factor * unit
		}
	}
	return math.Pow(10, power+1)
}

// at returns where on the scale a value lies, from 0 to 1.
func (s linear) at(value float64) float64 { return fraction(value / s.high) }

// ticks returns the round values, zero first.
func (s linear) ticks() []float64 {
	ticks := make([]float64, int(math.Round(s.high/s.step))+1)
	for i := range ticks {
		ticks[i] = float64(i) * s.step
	}
	return ticks
}

// clock is a scale of time that begins at zero. It ends where the run ends,
// which need not be round.
type clock struct{ high, step time.Duration }

// newClock returns a scale with at most so many steps.
func newClock(high time.Duration, steps int) clock {
	if high <= 0 {
		high = time.Second
	}
	least := high / time.Duration(steps)
	if high%time.Duration(steps) > 0 {
		least++
	}
	return clock{high, stepUp(least)}
}

// stepUp returns the next duration by which clocks and calendars are divided.
func stepUp(least time.Duration) time.Duration {
	if least <= time.Second/2 {
		return time.Duration(roundUp(float64(least)))
	}
	for _, step := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day,
	} {
		if least <= step {
			return step
		}
	}
	return time.Duration(roundUp(float64(least)/float64(day))) * day
}

// at returns where on the scale a moment lies, from 0 to 1.
func (c clock) at(moment time.Duration) float64 {
	return fraction(float64(moment) / float64(c.high))
}

// ticks returns the round moments, zero first.
func (c clock) ticks() []time.Duration {
	ticks := make([]time.Duration, c.high/c.step+1)
	for i := range ticks {
		ticks[i] = time.Duration(i) * c.step
	}
	return ticks
}

// decades is a logarithmic scale of durations between two powers of ten, which
// are exponents of nanoseconds.
type decades struct{ low, high int }

// newDecades returns the scale that holds two durations. What is below a
// microsecond lies at its beginning.
func newDecades(least, most time.Duration) decades {
	exponent := func(d time.Duration) float64 { return math.Log10(float64(max(d, time.Microsecond))) }
	low := int(math.Floor(exponent(least) + 1e-9))
	return decades{low, max(low+1, int(math.Ceil(exponent(most)-1e-9)))}
}

// at returns where on the scale a duration lies, from 0 to 1.
func (s decades) at(d time.Duration) float64 {
	return fraction((math.Log10(float64(max(d, 1))) - float64(s.low)) / float64(s.high-s.low))
}

// ticks returns the powers of ten: with what lies between where they are few,
// and not all where they are many.
func (s decades) ticks() []time.Duration {
	factors, stride := []float64{1}, 1+(s.high-s.low)/6
	if s.high-s.low <= 2 {
		factors = []float64{1, 2, 5}
	}
	var ticks []time.Duration
	for exponent := s.low; exponent < s.high; exponent += stride {
		for _, factor := range factors {
			ticks = append(ticks, time.Duration(factor*math.Pow10(exponent)))
		}
	}
	if (s.high-s.low)%stride == 0 && s.high <= 18 { // a Duration ends below 10^19
		ticks = append(ticks, time.Duration(math.Pow10(s.high)))
	}
	return ticks
}

// fraction forces a value into 0..1, so that nothing else can reach a plot.
func fraction(value float64) float64 {
	if math.IsNaN(value) {
		return 0
	}
	return min(max(value, 0), 1)
}
