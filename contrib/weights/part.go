package weights

import (
	"math"
	"slices"
	"time"
)

// reward is one reward on its way into an average.
type reward struct {
	value     float64
	weight    float64 // of its requester, above 0 and at most 1
	requester requesterKey
	at        time.Time
}

// negligible is a mass that has decayed to nothing: dividing by less could overflow.
const negligible = 1e-12

// part is what is known of a miner's rewards of one origin. The rewards are in a finite range, so
// nothing that is computed of them here can overflow.
//
// The exponential average is kept in two numbers. Mass is the share of all weights that rewards
// have taken: it grows from 0 to 1 with them, and decays while there are none, if so configured.
// Mean is the average over those rewards alone. The average as others define it, which begins at
// 0, is their product; the two numbers distinguish a miner that is new from one that is bad.
type part struct {
	Count int     `json:"count"` // rewards that were ever counted
	Mass  float64 `json:"mass"`
	Mean  float64 `json:"mean"`
	// Requesters has the share of each requester, where a guard needs it.
	Requesters []contribution `json:"requesters,omitempty"`
	// Latest has the rewards of a Window, the oldest first.
	Latest []latest `json:"latest,omitempty"`
}

// latest is a reward in a Window.
type latest struct {
	Value     float64      `json:"value"`
	Weight    float64      `json:"weight"`
	At        int64        `json:"at"` // Unix nanoseconds
	Requester requesterKey `json:"requester,omitzero"`
}

// add counts a reward. With tracked above 0 it notes the requester too, for at most that many.
func (p *part) add(average Average, r reward, tracked int) {
	p.Count = min(p.Count+1, math.MaxInt32)
	if average.kind == window {
		if len(p.Latest) >= average.size {
			p.Latest = slices.Delete(p.Latest, 0, len(p.Latest)-average.size+1)
		}
		p.Latest = append(p.Latest,
			latest{Value: r.value, Weight: r.weight, At: r.at.UnixNano(), Requester: r.requester})
		return
	}
	alpha := float64(average.alpha * r.weight)
	p.scale(alpha)
	if tracked > 0 {
		p.Requesters = contribute(p.Requesters, r.requester, alpha, r.value, tracked)
	}
	p.Mass = min(p.Mass+alpha, 1)
	p.Mean += float64(alpha / p.Mass * (r.value - p.Mean))
}

// fade lets what was counted count less. It is a reward of 0 to the product of mass and mean, and
// leaves the mean as it is.
func (p *part) fade(alpha float64) {
	if p.scale(alpha); p.Mass < negligible {
		*p = part{Count: p.Count, Requesters: p.Requesters[:0]}
	}
}

// scale reduces what was counted by the weight alpha of what is new.
func (p *part) scale(alpha float64) {
	p.Mass *= 1 - alpha
	p.Requesters = fadeAll(p.Requesters, alpha)
}

// reading is what a part says at one moment.
type reading struct {
	count int     // rewards in the average
	mass  float64 // how much of the average they fill, from 0 to 1
	mean  float64
}

// read returns what the part says now. It changes nothing, so that rewards too old for a Window
// are passed over and not removed.
func (p *part) read(average Average, now time.Time) reading {
	if average.kind != window {
		return reading{count: p.Count, mass: p.Mass, mean: p.Mean}
	}
	var r reading
	var total float64
	for entry := range p.fresh(average, now) {
		r.count++
		total += entry.Weight
		r.mean += float64(entry.Weight / total * (entry.Value - r.mean))
	}
	r.mass = total / float64(average.size)
	return r
}

// fresh goes through the newest rewards of a Window that are not too old.
func (p *part) fresh(average Average, now time.Time) func(yield func(latest) bool) {
	entries := p.Latest[max(0, len(p.Latest)-average.size):]
	return func(yield func(latest) bool) {
		for _, entry := range entries {
			if average.age > 0 && now.UnixNano()-entry.At > int64(average.age) {
				continue
			}
			if !yield(entry) {
				return
			}
		}
	}
}
