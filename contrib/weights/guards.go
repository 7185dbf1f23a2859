package weights

import (
	"errors"
	"fmt"
	"math"

	"github.com/organic-scoring/organic"
)

// Guard keeps organic rewards that may have been gamed out of the scores:
// whoever may send queries can send them to its own miner. Guards are values;
// any of them can be given together to [WithGuards]. They look at organic
// rewards alone: synthetic queries are the validator's own.
type Guard struct {
	name  string
	apply func(g *guards) error
}

// guards is what the guards leave behind. The zero value lets everything count.
type guards struct {
	above        float64 // standard deviations above the synthetic mean
	hasAbove     bool
	penaltyOnly  bool
	minSamples   int
	maxShare     float64 // of one requester; 0 is no limit
	noSelfDealer bool
}

// AboveSynthetic lets the organic rewards of a miner count as nothing while
// their mean is more than k standard deviations above the mean of its
// synthetic ones. A miner is not better at questions that its owner may have
// asked than at those nobody could prepare for. Mean and deviation weigh
// rewards as the average in use does, over the times at which the miner was
// asked. While a miner has fewer than two synthetic rewards its organic ones
// count as nothing. With k = 0 organic rewards can lower a score but not raise it.
//
// The subnet G.O.D zeroes the organic part of a miner above mean + 0.5
// standard deviations since its pull request 374.
func AboveSynthetic(k float64) Guard {
	return Guard{fmt.Sprintf("AboveSynthetic(%v)", k), func(g *guards) error {
		if !(k >= 0) || math.IsInf(k, 1) {
			return errors.New("must be a number of standard deviations, 0 or more")
		}
		g.above, g.hasAbove = k, true
		return nil
	}}
}

// PenaltyOnly lets an organic reward count only when it is a penalty, which is
// a negative number. Others add nothing, but each of them lets the penalties
// before it count less. It is for rewards that are negative for bad answers
// and 0 or more for others; with rewards that are never negative use
// AboveSynthetic(0).
//
// The subnet vidaio lets organic work only lower scores since its pull request
// 145.
func PenaltyOnly() Guard {
	return Guard{"PenaltyOnly()", func(g *guards) error {
		g.penaltyOnly = true
		return nil
	}}
}

// MinSamples lets the organic rewards of a miner count as nothing until it has
// so many, or under a [Window] while it has not so many in the window. A few
// lucky or staged answers then make no score.
//
// Targon pays for organics from 25 samples on, and Desearch has a minimum too.
func MinSamples(n int) Guard {
	return Guard{fmt.Sprintf("MinSamples(%d)", n), func(g *guards) error {
		if n < 1 {
			return errors.New("must be at least 1")
		}
		g.minSamples = n
		return nil
	}}
}

// minRequesterShare bounds how many requesters are kept for a miner.
const minRequesterShare = 0.01

// MaxRequesterShare limits the part of a miner's score that comes from the
// queries of one requester ([organic.Sample].Requester) to a share, from 0.01
// to 1 exclusive. In place of what is above it stands the score that the miner
// has by synthetic rewards alone, or 0 where there are none. Somebody who floods one miner with queries, to lift
// or to sink it, moves it that far and no further. All samples without a
// requester count as of one.
//
// For each miner 2/share requesters are kept, those that weigh most; of each
// one only a hash of its name is. What came in before the guard was set is not
// known by requester and passes. Somebody who can make up names can get round
// this guard: let requesters be keys that cost something.
//
// CH (ComputeHorde) caps the jobs per miner for the same reason.
func MaxRequesterShare(share float64) Guard {
	return Guard{fmt.Sprintf("MaxRequesterShare(%v)", share), func(g *guards) error {
		if !(share >= minRequesterShare && share < 1) {
			return fmt.Errorf("must be from %v to 1, exclusive", minRequesterShare)
		}
		g.maxShare = share
		return nil
	}}
}

// NoSelfDealing lets the reward of a miner count as not given when its owner
// has asked: when the requester is the miner's hotkey, its coldkey, or another
// hotkey of the subnet with the same coldkey. The other miners of the round
// keep theirs. Without coldkeys in the [Metagraph] hotkeys alone are compared.
//
// It sees only owners who ask in their own name; take [AboveSynthetic] or
// [MaxRequesterShare] against the others.
func NoSelfDealing() Guard {
	return Guard{"NoSelfDealing()", func(g *guards) error {
		g.noSelfDealer = true
		return nil
	}}
}

// tracked is how many requesters are kept for a miner.
func (g *guards) tracked() int {
	if g.maxShare == 0 {
		return 0
	}
	return int(math.Ceil(2 / g.maxShare))
}

// selfDealt reports whether the owner of a miner has asked. The coldkey of the
// requester is empty when it is no hotkey of the subnet.
func (g *guards) selfDealt(requester, coldkey string, miner Neuron) bool {
	if !g.noSelfDealer || requester == "" {
		return false
	}
	return requester == miner.Hotkey || requester == miner.Coldkey || coldkey != "" && coldkey == miner.Coldkey
}

// neutral reports whether a reward adds nothing to the average of its origin.
func (g *guards) neutral(origin organic.Origin, reward float64) bool {
	return g.penaltyOnly && origin == organic.Organic && !(reward < 0)
}

// void names the guard by which the organic rewards of a miner count as
// nothing, or returns "".
func (g *guards) void(organics, synthetics reading) string {
	switch {
	case organics.count == 0:
		return ""
	case organics.count < g.minSamples:
		return "MinSamples"
	case g.hasAbove && synthetics.count < 2:
		return "AboveSynthetic"
	case g.hasAbove && organics.mean > synthetics.mean+float64(g.above*synthetics.deviation):
		return "AboveSynthetic"
	}
	return ""
}
