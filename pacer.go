package organic

import (
	"math"
	"sync/atomic"
	"time"
)

// pacer decides when the loop may start the next iteration. Only the loop
// calls it.
type pacer interface {
	// until returns how long a start must wait while size samples are queued:
	// 0 when it is due, forever when only a step can make it so.
	until(size int) time.Duration
	// started notes when an iteration has started, size samples being queued.
	started(at time.Time, size int)
	// look returns how soon to look again at a queue that had nothing to give
	// and does not tell of arrivals.
	look(size int) time.Duration
}

// newPacer returns the pacer of a run. Seconds begin anew with each run, the
// count of steps goes on.
func (s *OrganicScorer[S, R]) newPacer() pacer {
	if s.steps != nil {
		return s.steps
	}
	seconds, _ := s.trigger.(Seconds)
	return &secondsPacer{trigger: seconds}
}

type secondsPacer struct {
	trigger Seconds
	last    time.Time // the last start, zero before the first
}

func (p *secondsPacer) until(size int) time.Duration {
	if p.last.IsZero() {
		return 0
	}
	return max(p.trigger.Wait(size)-time.Since(p.last), 0)
}

func (p *secondsPacer) started(at time.Time, _ int) { p.last = at }

// look keeps a very short trigger from becoming a busy loop.
func (p *secondsPacer) look(size int) time.Duration {
	return max(p.trigger.Wait(size), time.Second)
}

// stepPacer counts steps. A step that is added looks at the target after it
// has been counted, and the loop looks at the count after it has set the
// target: so one of them always sees the other.
type stepPacer struct {
	trigger Steps
	wakeup  chan<- struct{}
	count   atomic.Int64
	target  atomic.Int64 // the count that wakes the loop
}

// noTarget is never reached: the loop has no use for steps.
const noTarget = math.MaxInt64

func newStepPacer(trigger Steps, wakeup chan<- struct{}) *stepPacer {
	p := &stepPacer{trigger: trigger, wakeup: wakeup}
	p.target.Store(noTarget)
	return p
}

func (p *stepPacer) increment() {
	if p.count.Add(1) >= p.target.Load() {
		wake(p.wakeup)
	}
}

// set always wakes the loop: its target may be one that the new count, when it
// is lower, does not reach in time.
func (p *stepPacer) set(n int) {
	p.count.Store(int64(n))
	wake(p.wakeup)
}

func (p *stepPacer) until(size int) time.Duration {
	threshold := int64(p.trigger.Threshold(size))
	p.target.Store(threshold)
	if p.count.Load() < threshold {
		return forever
	}
	p.target.Store(noTarget)
	return 0
}

// started keeps the remainder of the count.
func (p *stepPacer) started(_ time.Time, size int) {
	threshold := int64(p.trigger.Threshold(size))
	for {
		count := p.count.Load()
		if p.count.CompareAndSwap(count, count%threshold) {
			return
		}
	}
}

// look waits for the next step.
func (p *stepPacer) look(int) time.Duration {
	seen := p.count.Load()
	p.target.Store(seen + 1)
	if p.count.Load() != seen {
		return 0 // the step came before its target
	}
	return forever
}
