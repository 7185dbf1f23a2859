package weights

import (
	"fmt"
	"math"
	"slices"
)

// capEpsilon keeps a capped weight below the cap.
const capEpsilon = 1e-7

// capped divides weights by their sum and cuts those off that are above the
// limit, a fraction, so that afterwards none is, up to rounding. It is
// normalize_max_weight of the Python SDK, digit for digit: the weights are all
// equal where they add up to 0 or so many cannot obey the limit. They must be
// finite and not negative.
func capped[T float](weights []T, limit float64) ([]T, error) {
	count := len(weights)
	total := sum(weights)
	switch {
	case count == 0:
		return nil, ErrEmpty
	case isInf(total):
		return nil, ErrNotFinite
	case total == 0 || float64(count)*limit <= 1:
		return slices.Repeat([]T{1 / T(count)}, count), nil
	case T(limit) >= 1: // no share can be above it
		return divided(weights, total), nil
	}
	sorted := slices.Sorted(slices.Values(weights))
	ascending := sum(sorted)
	if isInf(ascending) {
		return nil, ErrNotFinite
	}
	shares := divided(sorted, ascending)
	if shares[count-1] <= T(limit) {
		return divided(weights, total), nil
	}
	cut, err := cutOf(shares, float64(ascending), limit)
	if err != nil {
		return nil, err
	}
	lowered := slices.Clone(weights)
	for i, w := range lowered {
		if float64(w) > cut {
			lowered[i] = T(cut)
		}
	}
	if rest := sum(lowered); rest != 0 {
		return divided(lowered, rest), nil
	}
	return nil, noCut(limit)
}

// cutOf finds the weight to cut at: those below it as they are, and the others
// at the limit, must add up to 1. The shares are ascending.
func cutOf[T float](shares []T, total, limit float64) (float64, error) {
	count := len(shares)
	var running T // of the shares up to here
	var below int // how many stay below the limit
	sums := make([]T, count)
	for j, share := range shares {
		running += share
		sums[j] = running
		above := T(T(count-1-j) * share) //nolint:unconvert // rounds, see float
		ratio := share / ((above + running) + capEpsilon)
		if ratio < T(limit) {
			below++
		}
	}
	if below == 0 {
		return 0, noCut(limit)
	}
	rest := 1 - float64(limit*float64(count-below))
	if !(rest > 0) {
		return 0, noCut(limit)
	}
	whole := T(T(limit) * sums[below-1]) //nolint:unconvert // rounds, see float
	return float64(whole-capEpsilon) / rest * total, nil
}

// noCut is an error that was never seen: rounding leaves no cut. Python would
// read out of bounds or divide by 0.
func noCut(limit float64) error {
	return invalid(
		fmt.Sprintf("WithMaxWeight(%v)", limit),
		"is too near to equal shares, no cut keeps all below it",
	)
}

// divided returns the values, each divided by the divisor.
func divided[T float](values []T, divisor T) []T {
	quotients := make([]T, len(values))
	for i, v := range values {
		quotients[i] = v / divisor
	}
	return quotients
}

func isInf[T float](v T) bool { return math.IsInf(float64(v), 0) }
