package weights

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Guard limits what organic queries can do to the scores: anyone who may send queries can send
// them to its own miner, or send queries that only its own miner can answer. Guards are values, and
// [WithGuards] takes any of them together. They look at organic rewards, since synthetic queries
// are the validator's own; [RampUp] looks at both.
type Guard struct {
	kind  guardKind
	name  string
	apply func(g *guards) error
}

type guardKind uint8

const (
	bandGuard guardKind = iota
	organicShareGuard
	requesterShareGuard
	selfDealingGuard
	rampGuard
	guardKinds // how many there are
)

// guards is what the guards configure. The zero value limits nothing.
type guards struct {
	names        [guardKinds]string // empty for those that are not set
	band         bool
	below, above float64
	organicShare float64 // 0 is no limit
	maxShare     float64 // of one requester; 0 is no limit
	noSelfDealer bool
	samples      int
	deadline     time.Duration
}

// DefaultGuards returns the guards of [NewScores] if [WithGuards] is not given:
//
//	AroundSynthetic(0.1, 0.1), MaxOrganicShare(0.5), MaxRequesterShare(0.2),
//	NoSelfDealing(), RampUp(20, 24 * time.Hour)
//
// With them, organic queries raise a score by at most 5 % and lower one by at most 5 %, however
// many names they come from: a cheater that raises its own miner and lowers all others at once has
// at most 1.05/0.95 = 1.105 times an honest share. docs/weights.md has the measured table.
func DefaultGuards() []Guard {
	return []Guard{
		AroundSynthetic(0.1, 0.1), MaxOrganicShare(0.5), MaxRequesterShare(0.2),
		NoSelfDealing(), RampUp(20, 24*time.Hour),
	}
}

// AroundSynthetic counts the organic average of a miner only inside a band around its synthetic
// one: from (1-below) to (1+above) times it. What is outside counts as the nearer edge, so neither
// praise nor sabotage by organic queries gets further than that. Below is from 0 to 1, above is 0
// or more. With above = 0 organic rewards can only lower a score.
//
// Organic rewards must be on the scale of the synthetic ones: if they are lower for all miners,
// they are all at the lower edge and say nothing. [GuardStatus].Affected shows that. A miner
// without synthetic rewards has no score. As long as fewer than half of the miners that have
// rewards have synthetic ones, it is taken to have the mean of those. If no miner has any, the
// guard has nothing to compare with, organic rewards count as they are, and Status shows it.
//
// The subnet G.O.D limits the organic part to the synthetic mean plus half a standard deviation,
// and vidaio lets organic queries only lower scores.
func AroundSynthetic(below, above float64) Guard {
	name := fmt.Sprintf("AroundSynthetic(%v, %v)", below, above)
	return Guard{bandGuard, name, func(g *guards) error {
		if !(below >= 0 && below <= 1) || !(above >= 0) || math.IsInf(above, 1) {
			return errors.New("below must be from 0 to 1, and above finite and not negative")
		}
		g.band, g.below, g.above = true, below, above
		return nil
	}}
}

// MaxOrganicShare limits the share that the organic average has in a score, above 0 and at most 1,
// whatever [WithOriginWeights], the averaging rule, and the number of organic queries make of it.
// It has no effect while there are no synthetic rewards.
func MaxOrganicShare(share float64) Guard {
	name := fmt.Sprintf("MaxOrganicShare(%v)", share)
	return Guard{organicShareGuard, name, func(g *guards) error {
		if !(share > 0 && share <= 1) {
			return errors.New("must be above 0 and at most 1")
		}
		g.organicShare = share
		return nil
	}}
}

// minRequesterShare bounds how many requesters are kept for a miner.
const minRequesterShare = 0.01

// MaxRequesterShare limits the share that one requester ([organic.Sample].Requester) has in the
// organic average of a miner, from 0.01 to 1. In place of what is above it counts the synthetic
// average of the miner, or 0 if it has none. All samples without a requester count as those of one.
// A validator whose organic queries all come from one gateway sets it to 1, or names the users.
//
// For each miner 2/share requesters are kept, those with the largest shares, and of each one only a
// hash of its name. A party that can make up names evades this guard, but not [AroundSynthetic].
//
// ComputeHorde limits the jobs per miner for the same reason.
func MaxRequesterShare(share float64) Guard {
	name := fmt.Sprintf("MaxRequesterShare(%v)", share)
	return Guard{requesterShareGuard, name, func(g *guards) error {
		if !(share >= minRequesterShare && share <= 1) {
			return fmt.Errorf("must be from %v to 1", minRequesterShare)
		}
		g.maxShare = share
		return nil
	}}
}

// NoSelfDealing ignores the reward of a miner for a query of its owner: when the requester is the
// miner's hotkey, its coldkey, or another hotkey of the subnet with the same coldkey. The other
// miners of the round keep theirs. Without coldkeys in the [Metagraph] only hotkeys are compared.
// It sees only owners who ask in their own name.
func NoSelfDealing() Guard {
	return Guard{selfDealingGuard, "NoSelfDealing()", func(g *guards) error {
		g.noSelfDealer = true
		return nil
	}}
}

// RampUp multiplies the score of a newcomer by n/samples while it has n rewards, fewer than
// samples, of the validator's own synthetic queries, or of organic ones while there are no
// synthetic rewards at all. So one lucky answer earns little, and nothing is gained by registering
// again. A miner that has held its UID for longer than the deadline is not a newcomer; a deadline
// of 0 is none. Under [Hold] and [Decay] an average that begins at 0 has a ramp of its own, and the
// smaller of the two counts.
//
// Beside [AroundSynthetic] RampUp does not count while fewer than half of the miners that have
// rewards have synthetic ones: a source of synthetic queries that has failed early must not cost
// the others everything.
func RampUp(samples int, deadline time.Duration) Guard {
	name := fmt.Sprintf("RampUp(%d, %v)", samples, deadline)
	return Guard{rampGuard, name, func(g *guards) error {
		if samples < 1 || deadline < 0 {
			return errors.New("samples must be at least 1, and the deadline not negative")
		}
		g.samples, g.deadline = samples, deadline
		return nil
	}}
}

// set replaces all guards; of two of the same kind the last one wins.
func (g *guards) set(all []Guard) error {
	*g = guards{}
	var errs []error
	for _, guard := range all {
		if guard.apply == nil {
			errs = append(errs, invalid("WithGuards(Guard{})", "must be a guard of this package"))
			continue
		}
		if err := guard.apply(g); err != nil {
			errs = append(errs, invalid(guard.name, "%v", err))
		}
		g.names[guard.kind] = guard.name
	}
	return errors.Join(errs...)
}

// tracked is how many requesters are kept for a miner.
func (g *guards) tracked() int {
	if g.maxShare == 0 || g.maxShare == 1 {
		return 0
	}
	return int(math.Ceil(2 / g.maxShare))
}

// selfDealt reports whether the owner of a miner has asked. The coldkey of the requester is empty
// if the requester is no hotkey of the subnet.
func (g *guards) selfDealt(requester, coldkey string, miner Neuron) bool {
	if !g.noSelfDealer || requester == "" {
		return false
	}
	return requester == miner.Hotkey || requester == miner.Coldkey ||
		coldkey != "" && coldkey == miner.Coldkey
}

// inBand moves an organic mean to the band round a synthetic one.
func (g *guards) inBand(organics, synthetics float64) float64 {
	width := math.Abs(synthetics)
	return min(max(organics, synthetics-float64(g.below*width)), synthetics+float64(g.above*width))
}

// ramp returns how much of a score counts for a miner with so many samples.
func (g *guards) ramp(samples int, held time.Duration) float64 {
	if samples >= g.samples || g.deadline > 0 && held >= g.deadline {
		return 1
	}
	return float64(samples) / float64(g.samples)
}
