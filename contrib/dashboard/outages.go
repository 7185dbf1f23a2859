package dashboard

import (
	"slices"
	"time"
)

// maxOutages is how many outages that have ended are kept.
const maxOutages = 50

// outage is a time in which something did not work. A zero end means that it lasts.
type outage struct {
	what       string
	begin, end time.Time
}

// outages keeps the outages that last and the last ones that have ended. What can
// fail is a fixed list.
type outages struct {
	open  []outage
	ended []outage // the oldest first
	more  int      // ended before those
}

// update begins and ends outages, given what does not work now.
func (o *outages) update(now time.Time, failing []string) {
	o.open = slices.DeleteFunc(o.open, func(open outage) bool {
		if slices.Contains(failing, open.what) {
			return false
		}
		open.end = now
		o.ended = append(o.ended, open)
		return true
	})
	if excess := len(o.ended) - maxOutages; excess > 0 {
		o.ended = slices.Delete(o.ended, 0, excess)
		o.more += excess
	}
	for _, what := range failing {
		if !slices.ContainsFunc(o.open, func(open outage) bool { return open.what == what }) {
			o.open = append(o.open, outage{what: what, begin: now})
		}
	}
}

// all returns the outages, the newest first.
func (o *outages) all() []outage {
	list := append(slices.Clone(o.ended), o.open...)
	slices.SortStableFunc(list, func(a, b outage) int { return b.begin.Compare(a.begin) })
	return list
}

// problems names what does not work now, for the list of outages.
func (d *Dashboard) problems(r *reading) []string {
	var failing []string
	add := func(is bool, what string) {
		if is {
			failing = append(failing, what)
		}
	}
	add(!r.stats.Running, "scorer does not run")
	add(r.stats.Paused, "scorer is paused")
	add(r.stats.LoopBackoff > 0, "all iterations fail")
	add(d.observed.skips(r.at), "a source of samples fails")
	add(d.cfg.queue.Capacity > 0 && r.stats.Queued >= d.cfg.queue.Capacity, "queue is full")
	add(d.cfg.setter != nil && (r.setter.Failures > 0 || r.setter.Stopped), "weights cannot be set")
	add(d.cfg.chain != nil && r.chain.Endpoint == "", "no node of the chain")
	add(len(r.silent) > 0, "a part does not answer")
	return failing
}
