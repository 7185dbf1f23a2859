package dashboard

import (
	"fmt"
	"strings"
	"time"
)

// level says how bad something is. The order is that of the numbers.
type level int

const (
	good level = iota
	attention
	bad
)

// finding is one thing to know about the health of the validator.
type finding struct {
	Level level
	Text  string
}

// Name returns the level in words, and as a class of the style sheet.
func (l level) Name() string { return [...]string{"good", "attention", "bad"}[l] }

// verdict is what the page says first.
type verdict struct {
	Level    level
	Text     string
	Findings []finding
}

// stalled is how long samples may wait without one being scored.
const stalled = time.Hour

// judge says whether the validator is healthy, and why not. In a report, which is
// about a run that may have ended, a stopped scorer is nothing bad.
func (d *Dashboard) judge(r *reading, live bool) verdict {
	v := verdict{}
	add := func(is bool, l level, format string, args ...any) {
		if is {
			v.Findings = append(v.Findings, finding{l, fmt.Sprintf(format, args...)})
			v.Level = max(v.Level, l)
		}
	}
	s := &r.stats
	add(len(r.silent) > 0, bad, "These parts do not answer: %s.", strings.Join(r.silent, ", "))
	stopped := good
	if live {
		stopped = bad
	}
	add(!s.Running, stopped, "The scorer does not run.")
	add(s.Running && s.Paused, attention, "The scorer is paused.")
	add(
		s.LoopBackoff > 0,
		bad,
		"All iterations fail; the loop starts one every %s only.",
		duration(s.LoopBackoff),
	)
	since := d.scoredSince(r)
	add(
		s.Running && !s.Paused && s.Queued > 0 && since > stalled,
		bad,
		"%s in the queue, and none was scored for %s.",
		count(s.Queued, "sample waits", "samples wait"),
		duration(since),
	)
	add(s.Abandoned > 0, attention, "%s the end of the ctx and still %s.",
		count(s.Abandoned, "hook ignores", "hooks ignore"), plural(s.Abandoned, "runs", "run"))
	add(s.Overdue > 0, attention, "%s longer than the timeout of the stage.",
		count(s.Overdue, "hook runs", "hooks run"))
	if capacity := d.cfg.queue.Capacity; capacity > 0 {
		add(
			s.Queued >= capacity,
			bad,
			"The queue is full (%d): samples are dropped or refused.",
			capacity,
		)
		add(s.Queued < capacity && s.Queued >= capacity-capacity/5, attention,
			"The queue is nearly full: %d of %d.", s.Queued, capacity)
	}
	add(
		d.observed.skips(r.at),
		attention,
		"A source of samples fails and is skipped for a while.",
	)
	add(d.cfg.chain != nil && r.chain.Endpoint == "", bad, "No node of the chain is connected.")
	if d.cfg.setter != nil {
		add(!r.setter.Running, stopped, "The setter does not run: no weights will be set.")
		d.judgeSetter(r, add)
	}
	v.Text = v.summary(r)
	if len(v.Findings) == 0 {
		v.Findings = []finding{
			{good, fmt.Sprintf("The scorer runs. Last sample scored: %s.", moment(s.LastScored))},
		}
	}
	return v
}

// judgeSetter adds what hinders the weights.
func (d *Dashboard) judgeSetter(
	r *reading,
	add func(is bool, l level, format string, args ...any),
) {
	s := &r.setter
	add(s.Stopped, bad, "The setter has stopped and waits for Recheck: %s.", text(s.Err))
	add(!s.Stopped && s.Failures > 0, attention, "The last %s to set weights failed: %s.",
		count(s.Failures, "try", "tries"), text(s.Err))
	add(s.Overdue, attention, "A call of the setter (%s) does not return.", s.Call)
	add(s.Lost > 0 && s.Sets == 0, attention, "%s, and none was set.",
		count(s.Lost, "submission was lost", "submissions were lost"))
	add(s.Running && s.Held != "", good, "The first weights wait: %s.", s.Held)
}

// scoredSince returns how long ago a sample was last scored, or the page began if
// none was.
func (d *Dashboard) scoredSince(r *reading) time.Duration {
	last := r.stats.LastScored
	if last.IsZero() {
		last = d.started
	}
	return r.at.Sub(last)
}

func (v *verdict) summary(r *reading) string {
	switch {
	case v.Level == bad && !r.stats.Running:
		return "Stopped"
	case v.Level == bad:
		return "Unhealthy"
	case !r.stats.Running:
		return "Ended"
	case r.stats.Paused:
		return "Paused"
	case v.Level == attention:
		return "Needs attention"
	default:
		return "Healthy"
	}
}
