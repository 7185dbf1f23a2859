package weights

import (
	"fmt"
	"math"
	"slices"

	"github.com/organic-scoring/organic"
)

// Quantize is the last step of [Convert] alone, for those who make their own
// shares: weights, whatever their sum, become u16 so that the largest becomes
// 65535. Entries that round to 0 are dropped, the order is kept. All weights 0
// give two empty lists and no error; do not send those. It has the errors of
// Convert that are about the input, and narrows nothing.
func Quantize(uids []organic.UID, weights []float64) ([]organic.UID, []uint16, error) {
	if err := checkInput(uids, weights, maxNeurons); err != nil {
		return nil, nil, err
	}
	if err := checkValues(uids, weights, math.MaxFloat64); err != nil {
		return nil, nil, err
	}
	kept, quantized := nonZero(uids, quantize(weights))
	return kept, quantized, nil
}

// quantize stretches weights so that the largest becomes 65535. It divides
// before it multiplies, and rounds half to even, as Python does.
func quantize(weights []float64) []uint16 {
	quantized := make([]uint16, len(weights))
	top := slices.Max(weights)
	if !(top > 0) {
		return quantized
	}
	for i, weight := range weights {
		quantized[i] = uint16(math.RoundToEven(weight / top * math.MaxUint16))
	}
	return quantized
}

// nonZero returns the entries that are not 0, in new lists.
func nonZero(uids []organic.UID, weights []uint16) ([]organic.UID, []uint16) {
	keptUIDs, kept := make([]organic.UID, 0, len(uids)), make([]uint16, 0, len(weights))
	for i, weight := range weights {
		if weight > 0 {
			keptUIDs, kept = append(keptUIDs, uids[i]), append(kept, weight)
		}
	}
	return keptUIDs, kept
}

// checkInput refuses lists that do not name each UID of the subnet at most
// once.
func checkInput(uids []organic.UID, values []float64, neurons int) error {
	switch {
	case len(uids) != len(values):
		return fmt.Errorf("%w: %d and %d", ErrLength, len(uids), len(values))
	case len(uids) == 0:
		return ErrEmpty
	case neurons < 0 || neurons > maxNeurons:
		return fmt.Errorf("%w: a subnet of %d neurons", ErrUIDRange, neurons)
	}
	for _, uid := range uids {
		if int(uid) >= neurons {
			return fmt.Errorf("%w: %d of %d", ErrUIDRange, uid, neurons)
		}
	}
	seen := make([]bool, neurons)
	for _, uid := range uids {
		if seen[uid] {
			return fmt.Errorf("%w: %d", ErrDuplicateUID, uid)
		}
		seen[uid] = true
	}
	return nil
}

// checkValues refuses what is no number, larger than the largest, or negative.
func checkValues(uids []organic.UID, values []float64, largest float64) error {
	for i, value := range values {
		if !(math.Abs(value) <= largest) {
			return fmt.Errorf("%w: %v for UID %d", ErrNotFinite, value, uids[i])
		}
	}
	for i, value := range values {
		if value < 0 {
			return fmt.Errorf("%w: %v for UID %d", ErrNegative, value, uids[i])
		}
	}
	return nil
}
