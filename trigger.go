package organic

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/internal/notify"
)

// Trigger says when the next iteration starts: [Seconds] or [Steps].
type Trigger interface {
	check() error
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

func (t Seconds) check() error {
	switch {
	case t.Frequency <= 0:
		return fmt.Errorf("Seconds.Frequency is %v, must be above 0", t.Frequency)
	case t.Min < 0 || t.Min > t.Frequency:
		return fmt.Errorf("Seconds.Min is %v, must be from 0 to Frequency (%v)", t.Min, t.Frequency)
	}
	return checkScaling("Seconds", t.ScalingFactor)
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

func (t Steps) check() error {
	switch {
	case t.Frequency < 1:
		return fmt.Errorf("Steps.Frequency is %d, must be at least 1", t.Frequency)
	case t.Min < 0 || t.Min > t.Frequency:
		return fmt.Errorf("Steps.Min is %d, must be from 0 to Frequency (%d)", t.Min, t.Frequency)
	}
	return checkScaling("Steps", t.ScalingFactor)
}

func checkScaling(trigger string, factor float64) error {
	if factor < 0 || math.IsNaN(factor) || math.IsInf(factor, 0) {
		return fmt.Errorf("%s.ScalingFactor is %v, must be a finite number above 0, "+
			"or 0 for the default", trigger, factor)
	}
	return nil
}

// rate is the formula that both triggers share.
func rate(frequency, lowest, scaling float64, size int) float64 {
	return max(frequency-float64(max(size, 0))/scaling, lowest)
}

// pacer decides when the loop may start the next iteration. Only the loop
// calls it.
type pacer struct {
	seconds Seconds      // the trigger if steps is nil
	steps   *stepCounter // goes on from run to run
	last    time.Time    // when an iteration was last started, zero before the first of the run
	armed   bool         // a start is due: the last one found nothing to score
}

func (e *engine[S, R]) newPacer() *pacer {
	seconds, _ := e.trigger.(Seconds)
	return &pacer{seconds: seconds, steps: e.steps}
}

// until returns how long a start must wait while size samples are queued: 0 if
// it is due, forever if only a step can make it due.
func (p *pacer) until(size int) time.Duration {
	switch {
	case p.steps == nil && !p.armed:
		return p.since(p.seconds.Wait(size))
	case p.steps != nil && !p.steps.reached(size) && !p.armed:
		return forever
	default:
		return 0
	}
}

// started notes that an iteration has started, size samples being queued.
func (p *pacer) started(at time.Time, size int) {
	p.last, p.armed = at, false
	if p.steps != nil {
		p.steps.keepRemainder(size)
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
	switch {
	case p.steps == nil:
		return max(p.seconds.Wait(size), time.Second)
	case p.steps.awaitNext():
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

// stepCounter counts steps. The counter and the target are compared by the one
// who adds a step after it has been added, and by the loop after it has set the
// target, so that one of them always sees the other.
type stepCounter struct {
	trigger Steps
	wakeup  notify.Signal
	count   atomic.Int64
	target  atomic.Int64 // the count that wakes the loop
}

// noTarget is never reached: the loop does not wait for steps.
const noTarget = math.MaxInt64

// maxSteps bounds SetStep, so that the steps after it cannot overflow.
const maxSteps = math.MaxInt64 / 2

func newStepCounter(trigger Steps, wakeup notify.Signal) *stepCounter {
	c := &stepCounter{trigger: trigger, wakeup: wakeup}
	c.target.Store(noTarget)
	return c
}

func (c *stepCounter) increment() {
	if c.count.Add(1) >= c.target.Load() {
		c.wakeup.Set()
	}
}

// set always wakes the loop, whose target may be one that a lower count does
// not reach in time.
func (c *stepCounter) set(n int) {
	c.count.Store(min(max(int64(n), -maxSteps), maxSteps))
	c.wakeup.Set()
}

// reached reports whether the counter has reached the threshold. If it has not,
// the step that reaches it wakes the loop.
func (c *stepCounter) reached(size int) bool {
	threshold := int64(c.trigger.Threshold(size))
	c.target.Store(threshold)
	if c.count.Load() < threshold {
		return false
	}
	c.target.Store(noTarget)
	return true
}

// keepRemainder takes whole thresholds from the counter.
func (c *stepCounter) keepRemainder(size int) {
	threshold := int64(c.trigger.Threshold(size))
	for {
		count := c.count.Load()
		if c.count.CompareAndSwap(count, count%threshold) {
			return
		}
	}
}

// awaitNext has the next step wake the loop. It returns false if that step has
// come meanwhile.
func (c *stepCounter) awaitNext() bool {
	seen := c.count.Load()
	c.target.Store(seen + 1)
	return c.count.Load() == seen
}
