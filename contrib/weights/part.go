package weights

import (
	"math"
	"slices"
	"time"
)

// reward is one reward that a guard has let through.
type reward struct {
	value     float64
	requester requesterKey
	at        time.Time
	neutral   bool // PenaltyOnly: it ages the others and adds nothing
}

// negligible is a mass that has faded to nothing: dividing by less could
// overflow.
const negligible = 1e-12

// part is what is known of a miner's rewards of one origin. The rewards are
// finite as float32, so nothing computed of them here can overflow.
//
// The exponential average is kept in two numbers. Mass is the share of all
// weights that rewards have taken: it grows from 0 to 1 with them, and fades
// while there are none, if so configured. Mean is the average over those
// rewards alone. The average as others define it, which begins at 0, is their
// product; apart they tell a miner that is new from one that is bad.
type part struct {
	Count    int     `json:"count"` // rewards that were counted
	Mass     float64 `json:"mass"`
	Mean     float64 `json:"mean"`
	Variance float64 `json:"variance"`
	// Requesters has what each brought in, where a guard wants to know.
	Requesters []contribution `json:"requesters,omitempty"`
	// Latest has the rewards of a Window, the oldest first.
	Latest []latest `json:"latest,omitempty"`
}

// latest is a reward in a Window.
type latest struct {
	Value     float64      `json:"value"`
	At        int64        `json:"at"` // Unix nanoseconds
	Requester requesterKey `json:"requester,omitzero"`
	Neutral   bool         `json:"neutral,omitzero"`
}

// add takes a reward in. With tracked above 0 it notes the requester too, for
// at most that many of them.
func (p *part) add(average Average, r reward, tracked int) {
	if average.kind == window {
		if len(p.Latest) >= average.size {
			p.Latest = slices.Delete(p.Latest, 0, len(p.Latest)-average.size+1)
		}
		p.Latest = append(p.Latest, latest{Value: r.value, At: r.at.UnixNano(), Requester: r.requester, Neutral: r.neutral})
		return
	}
	if r.neutral {
		p.fade(average.alpha)
		return
	}
	p.scale(average.alpha)
	if tracked > 0 {
		p.Requesters = contribute(p.Requesters, r.requester, average.alpha, r.value, tracked)
	}
	p.Count = min(p.Count+1, math.MaxInt32)
	p.Mass = min(p.Mass+average.alpha, 1)
	share := average.alpha / p.Mass
	away := r.value - p.Mean
	p.Mean += float64(share * away)
	p.Variance = (1 - share) * (p.Variance + float64(share*float64(away*away)))
}

// fade lets what was taken in count less. It is a reward of 0 to the product
// of mass and mean, and leaves the mean as it is.
func (p *part) fade(alpha float64) {
	if p.scale(alpha); p.Mass < negligible {
		*p = part{Requesters: p.Requesters[:0]}
	}
}

// scale makes room for the weight alpha.
func (p *part) scale(alpha float64) {
	p.Mass *= 1 - alpha
	p.Requesters = fadeAll(p.Requesters, alpha)
}

// reading is what a part says at one moment.
type reading struct {
	count     int
	mass      float64 // how much is known, from 0 to 1
	mean      float64
	deviation float64 // the standard deviation
}

// read tells what the part says now. It changes nothing, so that rewards too
// old for a Window are passed over and not removed.
func (p *part) read(average Average, now time.Time) reading {
	if average.kind != window {
		return reading{count: p.Count, mass: p.Mass, mean: p.Mean, deviation: math.Sqrt(p.Variance)}
	}
	var r reading
	var squares float64
	for entry := range p.fresh(average, now) {
		r.count++
		away := entry.Value - r.mean
		r.mean += away / float64(r.count)
		squares += float64(away * (entry.Value - r.mean))
	}
	if r.count > 0 {
		r.deviation = math.Sqrt(squares / float64(r.count))
	}
	r.mass = float64(r.count) / float64(average.size)
	return r
}

// fresh goes through the newest rewards of a Window that count and are not too
// old.
func (p *part) fresh(average Average, now time.Time) func(yield func(latest) bool) {
	entries := p.Latest[max(0, len(p.Latest)-average.size):]
	return func(yield func(latest) bool) {
		for _, entry := range entries {
			if entry.Neutral || average.age > 0 && now.UnixNano()-entry.At > int64(average.age) {
				continue
			}
			if !yield(entry) {
				return
			}
		}
	}
}

// contributions returns what each requester brought in, in shares of the same
// whole as the mass.
func (p *part) contributions(average Average, now time.Time) []contribution {
	if average.kind != window {
		return p.Requesters
	}
	var all []contribution
	for entry := range p.fresh(average, now) {
		share := 1 / float64(average.size)
		all = contribute(all, entry.Requester, share, entry.Value, average.size)
	}
	return all
}
