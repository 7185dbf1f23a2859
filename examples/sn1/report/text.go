package report

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	missing  = "–"
	nameSize = 64 // of a name in the table
	lineSize = 32 // of a name of a line
	tagSize  = 20 // of a name beside a line
	day      = 24 * time.Hour
)

// clean makes a name from outside fit to be shown: what cannot be seen, among
// it characters that turn the direction of text, becomes U+FFFD, and what is
// longer than size is cut. Escaping is left to the template.
func clean(name string, size int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, name))
	if len(runes) > size {
		return string(runes[:size-1]) + "…"
	}
	return string(runes)
}

// grouped writes an integer with commas.
func grouped[T int | int64 | uint16 | uint64](value T) string {
	digits, sign := strconv.FormatUint(uint64(value), 10), ""
	if value < 0 {
		digits, sign = strconv.FormatUint(-uint64(value), 10), "−"
	}
	var out strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(digit)
	}
	return sign + out.String()
}

// compact writes a count for an axis, in at most six characters up to 10^15.
func compact(value float64) string {
	units := []struct {
		size   float64
		suffix string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}}
	if math.Abs(value) >= 1e15 {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	for _, unit := range units {
		if math.Abs(value) >= unit.size {
			return strconv.FormatFloat(value/unit.size, 'g', 4, 64) + unit.suffix
		}
	}
	return strconv.FormatFloat(value, 'g', 4, 64)
}

// percent writes a share, with as many decimals as a step between shares needs.
func percent(share, step float64) string {
	decimals := 0
	for size := step * 100; size < 0.999 && decimals < 6; size *= 10 {
		decimals++
	}
	return strconv.FormatFloat(share*100, 'f', decimals, 64) + " %"
}

// reward writes a mean reward.
func reward(value float64) string {
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0):
		return missing
	case math.Abs(value) >= 1e6:
		return strconv.FormatFloat(value, 'g', 4, 64)
	default:
		return strings.Replace(strconv.FormatFloat(value, 'f', 4, 64), "-", "−", 1)
	}
}

// units are those of time, the largest first.
var units = []struct {
	size time.Duration
	name string
}{
	{day, "d"},
	{time.Hour, "h"},
	{time.Minute, "min"},
	{time.Second, "s"},
	{time.Millisecond, "ms"},
	{time.Microsecond, "µs"},
	{time.Nanosecond, "ns"},
}

// moment writes a tick of a time axis, in the largest unit of which the step is
// a multiple.
func moment(at, step time.Duration) string {
	if at == 0 {
		return "0"
	}
	for _, unit := range units {
		if step%unit.size == 0 {
			return grouped(int64(at/unit.size)) + " " + unit.name
		}
	}
	return at.String()
}

// length writes a duration: in two units from a minute on, below that in one
// with three digits.
func length(d time.Duration) string {
	if d <= 0 {
		return "0 s"
	}
	d = rounded(d)
	for i, unit := range units {
		if d < unit.size {
			continue
		}
		if unit.size < time.Minute {
			value := float64(d) / float64(unit.size)
			return strconv.FormatFloat(value, 'g', 3, 64) + " " + unit.name
		}
		next := units[i+1]
		text := grouped(int64(d/unit.size)) + " " + unit.name
		if rest := d % unit.size / next.size; rest > 0 {
			text += " " + grouped(int64(rest)) + " " + next.name
		}
		return text
	}
	return d.String()
}

// rounded is d as exact as length writes it, so that 999.9 ms become 1 s and
// not 1e+03 ms.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= day:
		return d.Round(time.Hour)
	case d >= time.Hour:
		return d.Round(time.Minute)
	case d >= time.Minute:
		return d.Round(time.Second)
	}
	step := time.Duration(1)
	for d/step >= 1000 {
		step *= 10
	}
	return d.Round(step)
}
