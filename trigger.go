package organic

import (
	"math"
	"time"

	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/steps"
)

// Trigger says when the next iteration starts: [Seconds] or [Steps].
type Trigger interface {
	check() option.Problems
}

// The defaults that a zero field of a trigger stands for.
const (
	defaultMinWait      = 2 * time.Second
	defaultMinThreshold = 2
	defaultScaling      = 5
)

// Seconds starts an iteration every so many seconds, the sooner the more
// samples wait. The first one starts at once; the next starts Wait(size)
// after the start of the one before, however long that one took. A sample that
// arrives when an iteration is due starts it at once; else its arrival only
// shortens the wait by the formula.
type Seconds struct {
	// Frequency is the wait when no sample is queued. It must be above zero.
	Frequency time.Duration
	// Min is the shortest wait, at most Frequency. Zero means 2 s, or
	// Frequency if that is smaller.
	Min time.Duration
	// ScalingFactor is how many queued samples shorten the wait by one second.
	// Zero means 5.
	ScalingFactor float64
}

// Wait returns the time between two starts while size samples are queued:
// max(Frequency − size/ScalingFactor, Min), computed in float64 seconds and
// rounded to the nearest nanosecond. This is sample_rate_dynamic of the Python
// original. It is meant for triggers that New accepts.
func (t Seconds) Wait(size int) time.Duration {
	t = t.withDefaults()
	wait := rate(t.Frequency.Seconds(), t.Min.Seconds(), t.ScalingFactor, size)
	if wait >= t.Frequency.Seconds() {
		return t.Frequency // which a float64 may not hold
	}
	return min(max(time.Duration(math.Round(wait*float64(time.Second))), t.Min), t.Frequency)
}

func (t Seconds) withDefaults() Seconds {
	if t.Min == 0 {
		t.Min = min(defaultMinWait, t.Frequency)
	}
	if t.ScalingFactor == 0 {
		t.ScalingFactor = defaultScaling
	}
	return t
}

func (t Seconds) check() (wrong option.Problems) {
	wrong.If(t.Frequency <= 0, "Seconds.Frequency is %v, must be above 0", t.Frequency)
	wrong.If(t.Min < 0 || t.Frequency > 0 && t.Min > t.Frequency,
		"Seconds.Min is %v, must be from 0 to Frequency (%v)", t.Min, t.Frequency)
	checkScaling(&wrong, "Seconds", t.ScalingFactor)
	return wrong
}

// Steps starts an iteration every so many steps, the sooner the more samples
// wait. Steps are counted by [OrganicScorer.IncrementStep], for instance once
// per block. An iteration starts when the counter has reached Threshold(size);
// the counter keeps the remainder, counter mod threshold. So steps that are
// missed during a long iteration are coalesced as a time.Ticker does, and a
// jump by [OrganicScorer.SetStep] starts one iteration and never a burst.
type Steps struct {
	// Frequency is the threshold when no sample is queued. It must be at
	// least 1.
	Frequency int
	// Min is the lowest threshold, at most Frequency. Zero means 2, or
	// Frequency if that is smaller.
	Min int
	// ScalingFactor is how many queued samples lower the threshold by one
	// step. Zero means 5.
	ScalingFactor float64
}

// Threshold returns the steps between two iterations while size samples are
// queued: max(Frequency − size/ScalingFactor, Min), truncated to a whole
// number, so that a single queued sample lowers 15 steps to 14. This is
// sample_rate_dynamic of the Python original. It is meant for triggers that
// New accepts.
func (t Steps) Threshold(size int) int {
	t = t.withDefaults()
	threshold := rate(float64(t.Frequency), float64(t.Min), t.ScalingFactor, size)
	if threshold >= float64(t.Frequency) {
		return t.Frequency // which a float64 may not hold
	}
	return max(int(threshold), t.Min)
}

func (t Steps) withDefaults() Steps {
	if t.Min == 0 {
		t.Min = min(defaultMinThreshold, t.Frequency)
	}
	if t.ScalingFactor == 0 {
		t.ScalingFactor = defaultScaling
	}
	return t
}

func (t Steps) check() (wrong option.Problems) {
	wrong.If(t.Frequency < 1, "Steps.Frequency is %d, must be at least 1", t.Frequency)
	wrong.If(t.Min < 0 || t.Frequency > 0 && t.Min > t.Frequency,
		"Steps.Min is %d, must be from 0 to Frequency (%d)", t.Min, t.Frequency)
	checkScaling(&wrong, "Steps", t.ScalingFactor)
	return wrong
}

func checkScaling(wrong *option.Problems, trigger string, factor float64) {
	wrong.If(factor < 0 || math.IsNaN(factor) || math.IsInf(factor, 0),
		"%s.ScalingFactor is %v, must be a finite number above 0, or 0 for the default",
		trigger, factor)
}

// rate is the formula that both triggers share.
func rate(frequency, lowest, scaling float64, size int) float64 {
	return max(frequency-float64(max(size, 0))/scaling, lowest)
}

// pacer decides when the loop may start the next iteration. Only the loop
// calls it.
type pacer struct {
	trigger Trigger
	steps   *steps.Counter // under Steps; it goes on from run to run
	last    time.Time      // when an iteration was last started, zero before the first of the run
	armed   bool           // a start is due: the last one found nothing to score
}

// until returns how long a start must wait while size samples are queued: 0 if
// it is due, forever if only a step can make it due.
func (p *pacer) until(size int) time.Duration {
	switch trigger := p.trigger.(type) {
	case Seconds:
		if !p.armed {
			return p.since(trigger.Wait(size))
		}
	case Steps:
		if !p.steps.Reached(trigger.Threshold(size)) && !p.armed {
			return forever
		}
	}
	return 0
}

// started notes that an iteration has started, size samples being queued.
func (p *pacer) started(at time.Time, size int) {
	p.last, p.armed = at, false
	if trigger, ok := p.trigger.(Steps); ok {
		p.steps.KeepRemainder(trigger.Threshold(size))
	}
}

// since returns what is left of a wait that began with the last start.
func (p *pacer) since(wait time.Duration) time.Duration {
	if p.last.IsZero() {
		return 0
	}
	return max(wait-time.Since(p.last), 0)
}

// look returns how soon to look again at a queue that had nothing to give and
// reports no arrivals: at the next step, or after a time that keeps a very short
// trigger from becoming a busy loop.
func (p *pacer) look(size int) time.Duration {
	switch trigger, ok := p.trigger.(Seconds); {
	case ok:
		return max(trigger.Wait(size), time.Second)
	case p.steps.AwaitNext():
		return forever
	default:
		return 0
	}
}

// triggerWait is the wait from which the loop's back-off doubles.
func (e *engine[S, R]) triggerWait(size int) time.Duration {
	if seconds, ok := e.trigger.(Seconds); ok {
		return seconds.Wait(size)
	}
	return time.Second
}
