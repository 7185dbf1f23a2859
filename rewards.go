package organic

import (
	"fmt"
	"math"
	"slices"
)

// Rewards holds one reward per miner of an iteration. A miner that is missing
// gets no reward at all, which is not the same as a reward of zero. Negative
// rewards are penalties. NaN and infinite rewards fail the iteration with
// [ErrBadReward].
type Rewards map[UID]float64

// check refuses what cannot be averaged, naming the lowest UID concerned.
func (r Rewards) check() error {
	if len(r) == 0 {
		return nil // without the stack that looking through a map takes
	}
	var bad []UID
	for uid, reward := range r {
		if math.IsNaN(reward) || math.IsInf(reward, 0) {
			bad = append(bad, uid)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	first := slices.Min(bad)
	return fmt.Errorf("%w: %v for UID %d", ErrBadReward, r[first], first)
}
