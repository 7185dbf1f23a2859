package dashboard

import (
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// point is a row of the history of the queue: samples that wait, samples that are
// delayed, and organic and synthetic iterations in flight.
type point [4]int

// history keeps a bounded number of points over time. When it is full, it halves
// its resolution, by the larger of two neighbours, as long as the step allows, and
// drops its oldest point from then on.
type history struct {
	limit         int
	step, maxStep time.Duration
	times         []time.Time
	points        []point
}

func newHistory(limit int, step, maxStep time.Duration) *history {
	return &history{limit: limit, step: step, maxStep: maxStep}
}

func (h *history) add(now time.Time, p point) {
	if n := len(h.times); n > 0 && now.Sub(h.times[n-1]) < h.step-h.step/4 { // a ticker is not exact
		h.points[n-1] = larger(h.points[n-1], p)
		return
	}
	if len(h.times) == h.limit {
		h.shrink()
	}
	h.times = append(h.times, now)
	h.points = append(h.points, p)
}

func (h *history) shrink() {
	if h.step*2 > h.maxStep {
		h.times = slices.Delete(h.times, 0, 1)
		h.points = slices.Delete(h.points, 0, 1)
		return
	}
	h.step *= 2
	half := 0
	for i := 0; i+1 < len(h.times); i += 2 {
		h.times[half] = h.times[i]
		h.points[half] = larger(h.points[i], h.points[i+1])
		half++
	}
	h.times, h.points = h.times[:half], h.points[:half]
}

func larger(a, b point) point {
	for i := range a {
		a[i] = max(a[i], b[i])
	}
	return a
}

// minerHistory keeps the share of each miner over the whole time.
type minerHistory struct {
	limit  int
	step   time.Duration
	times  []time.Time
	shares map[organic.UID][]float32 // as many as times
}

func newMinerHistory(limit int, step time.Duration) *minerHistory {
	return &minerHistory{limit: limit, step: step, shares: map[organic.UID][]float32{}}
}

// add takes in the shares of a reading once in each step. There are as many UIDs as
// the subnet has at most.
func (h *minerHistory) add(now time.Time, r *reading) {
	if n := len(h.times); len(r.standings) == 0 || (n > 0 && now.Sub(h.times[n-1]) < h.step-h.step/4) {
		return
	}
	if len(h.times) == h.limit {
		h.shrink()
	}
	h.times = append(h.times, now)
	for uid, share := range sharesOf(r) {
		kept := h.shares[uid]
		if missing := len(h.times) - 1 - len(kept); missing > 0 {
			kept = append(kept, make([]float32, missing)...)
		}
		h.shares[uid] = append(kept, float32(share))
	}
	for uid, kept := range h.shares {
		if len(kept) < len(h.times) {
			h.shares[uid] = append(kept, 0)
		}
	}
}

// shrink drops every second point.
func (h *minerHistory) shrink() {
	h.step *= 2
	half := len(h.times) / 2
	for i := range half {
		h.times[i] = h.times[2*i]
	}
	h.times = h.times[:half]
	for uid, kept := range h.shares {
		for i := range half {
			kept[i] = kept[2*i]
		}
		h.shares[uid] = kept[:half]
	}
}

// sharesOf returns the share of each miner in the weights, or in the sum of the
// scores while these give no weights.
func sharesOf(r *reading) map[organic.UID]float64 {
	shares := make(map[organic.UID]float64, len(r.standings))
	if r.noVector == nil && len(r.vector.UIDs) > 0 {
		sum := 0.0
		for _, weight := range r.vector.Weights {
			sum += float64(weight)
		}
		for i, uid := range r.vector.UIDs {
			shares[uid] = float64(r.vector.Weights[i]) / max(sum, 1)
		}
		return shares
	}
	sum := 0.0
	for i := range r.standings {
		sum += max(r.standings[i].Score, 0)
	}
	for i := range r.standings {
		if sum > 0 {
			shares[r.standings[i].UID] = max(r.standings[i].Score, 0) / sum
		}
	}
	return shares
}

// weightsOf returns the weight of each miner.
func weightsOf(v *weights.Vector) map[organic.UID]uint16 {
	byUID := make(map[organic.UID]uint16, len(v.UIDs))
	for i, uid := range v.UIDs {
		byUID[uid] = v.Weights[i]
	}
	return byUID
}
