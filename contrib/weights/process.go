package weights

import (
	"math"
	"slices"

	"github.com/organic-scoring/organic"
)

// Path says by which rule scores became weights.
type Path uint8

// The paths, in the order in which they are looked at.
const (
	// UniformNoScores pays every neuron the same, since none has a positive
	// score.
	UniformNoScores Path = iota + 1
	// UniformSmallSubnet pays every neuron the same, whatever its score, since
	// there are fewer neurons than weights are required.
	UniformSmallSubnet
	// Padded gives every neuron a little, since fewer than required have a
	// positive score.
	Padded
	// Normal pays by score.
	Normal
	// UniformCap pays all that were given the same, those of score 0 too, since the cap times their
	// number is 1 or less, or next to nothing is below the cap. It is a path of WithFloat64;
	// without, the cap counts positive scores alone, on the path Normal.
	UniformCap
)

// String returns the path in lower case.
func (p Path) String() string {
	switch p {
	case UniformNoScores:
		return "uniform, no scores"
	case UniformSmallSubnet:
		return "uniform, small subnet"
	case Padded:
		return "padded"
	case Normal:
		return "normal"
	case UniformCap:
		return "uniform, cap"
	}
	return "unknown"
}

// paddingFloor is what each neuron has on the padded path.
const paddingFloor = 1e-5

// process is process_weights of the Python SDK: it takes the path and returns
// the share of each UID on it, which add up to 1. The scores are finite and
// not negative, and each UID is below neurons and there once.
func process(
	uids []organic.UID,
	scores []float32,
	neurons int,
	cfg *conversion,
) (Path, []organic.UID, []float64, error) {
	positive := 0
	for _, score := range scores {
		if score > 0 {
			positive++
		}
	}
	switch {
	case positive == 0:
		return UniformNoScores, allUIDs(
				neurons,
			), slices.Repeat(
				[]float64{1 / float64(neurons)},
				neurons,
			), nil
	case neurons < cfg.minAllowed && !cfg.zeros:
		return UniformSmallSubnet, allUIDs(
				neurons,
			), slices.Repeat(
				[]float64{1 / float64(neurons)},
				neurons,
			), nil
	case positive < cfg.minAllowed && !cfg.zeros:
		shares, err := padded(uids, scores, neurons, cfg.limit)
		return Padded, allUIDs(neurons), shares, err
	}
	kept, values := keep(uids, scores, threshold(scores, positive, cfg))
	narrow, err := capped(values, cfg.limit)
	if err != nil {
		return 0, nil, nil, err
	}
	shares := make([]float64, len(narrow))
	for i, share := range narrow {
		shares[i] = float64(share)
	}
	return Normal, kept, shares, nil
}

// allUIDs returns all UIDs of a subnet.
func allUIDs(neurons int) []organic.UID {
	uids := make([]organic.UID, neurons)
	for uid := range uids {
		uids[uid] = organic.UID(uid)
	}
	return uids
}

// padded puts each score on top of the floor of its neuron. Python puts it on
// that of the neuron at its position, which may be another.
func padded(uids []organic.UID, scores []float32, neurons int, limit float64) ([]float64, error) {
	weights := slices.Repeat([]float64{paddingFloor}, neurons)
	for i, uid := range uids {
		if scores[i] > 0 {
			weights[uid] += float64(scores[i])
		}
	}
	return capped(weights, limit)
}

// keep returns the positive scores at or above a threshold, in the order given.
func keep(uids []organic.UID, scores []float32, threshold float32) ([]organic.UID, []float32) {
	kept, values := make([]organic.UID, 0, len(uids)), make([]float32, 0, len(scores))
	for i, score := range scores {
		if score > 0 && score >= threshold {
			kept, values = append(kept, uids[i]), append(values, score)
		}
	}
	return kept, values
}

// threshold is the quantile of the positive scores below which they are
// excluded, computed as numpy 2 does: linear between neighbours, in float32.
// At least the required number stays.
func threshold(scores []float32, positive int, cfg *conversion) float32 {
	if cfg.quantile == 0 {
		return 0
	}
	spare := float64(max(0, positive-cfg.minAllowed)) / float64(positive)
	fraction := float32(min(float64(cfg.quantile)/math.MaxUint16, spare))
	sorted := make([]float32, 0, positive)
	for _, score := range scores {
		if score > 0 {
			sorted = append(sorted, score)
		}
	}
	slices.Sort(sorted)
	index := float32(float32(positive-1) * fraction)
	if index >= float32(positive-1) {
		return sorted[positive-1]
	}
	lower := int(index)
	weight := index - float32(lower)
	step := sorted[lower+1] - sorted[lower]
	if weight < 0.5 {
		return sorted[lower] + float32(step*weight)
	}
	return sorted[lower+1] - float32(step*(1-weight))
}
