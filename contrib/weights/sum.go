package weights

// float is what weights are computed in: float32 as the Python SDK does, or
// float64 in its padded branch. Every product that is added to something is
// converted first: a conversion rounds, so that no machine may fuse the two
// operations into one with other digits.
type float interface{ float32 | float64 }

// sum adds in the order in which numpy does for values that lie side by side
// in memory, which decides about the last digit. Blocks of 8192 are added from
// the left.
func sum[T float](values []T) (total T) {
	const block = 8192
	for len(values) > block {
		total += pairwise(values[:block])
		values = values[block:]
	}
	return total + pairwise(values)
}

// pairwise adds up to 128 values in eight running totals, and the halves of
// more separately.
func pairwise[T float](values []T) (total T) {
	n := len(values)
	switch {
	case n < 8:
		for _, v := range values {
			total += v
		}
		return total
	case n > 128:
		half := n / 2
		half -= half % 8
		return pairwise(values[:half]) + pairwise(values[half:])
	}
	t := [8]T(values)
	for values = values[8:]; len(values) >= 8; values = values[8:] {
		for j, v := range values[:8] {
			t[j] += v
		}
	}
	total = ((t[0] + t[1]) + (t[2] + t[3])) + ((t[4] + t[5]) + (t[6] + t[7]))
	for _, v := range values {
		total += v
	}
	return total
}
