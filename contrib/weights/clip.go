package weights

import "slices"

// clipped divides weights by their sum and cuts those off that are above the limit, a fraction. It
// is clip_to_max_weight of the Python SDK 11, digit for digit: float64, summed from left to right.
// The weights are finite and not negative.
func clipped(weights []float64, limit float64) (Path, []float64, error) {
	count := len(weights)
	total := added(weights)
	switch {
	case !(total > 0):
		return 0, nil, ErrNoScores
	case isInf(total):
		return 0, nil, ErrNotFinite
	case limit == 1:
		return Normal, slices.Clone(weights), nil
	case float64(count)*limit <= 1:
		return UniformCap, slices.Repeat([]float64{1 / float64(count)}, count), nil
	}
	shares := slices.Sorted(slices.Values(divided(weights, total)))
	if shares[count-1] <= limit {
		return Normal, divided(weights, total), nil
	}
	var running float64 // of the shares up to here
	var below int       // how many stay below the limit
	sums := make([]float64, count)
	for i, share := range shares {
		running += share
		sums[i] = running
		if share/(float64(float64(count-i-1)*share)+running+capEpsilon) < limit {
			below++
		}
	}
	rest := 1 - float64(limit*float64(count-below))
	if below == 0 || !(rest > 0) {
		return 0, nil, noCut(limit)
	}
	cut := (float64(limit*sums[below-1]) - capEpsilon) / rest * total
	if !(cut > 0) { // Python cuts all at a negative weight
		return UniformCap, slices.Repeat([]float64{1 / float64(count)}, count), nil
	}
	lowered := make([]float64, count)
	for i, w := range weights {
		lowered[i] = min(w, cut)
	}
	return Normal, divided(lowered, added(lowered)), nil
}

// added is the sum from left to right, as Python before 3.12 adds.
func added(values []float64) (total float64) {
	for _, value := range values {
		total += value
	}
	return total
}
