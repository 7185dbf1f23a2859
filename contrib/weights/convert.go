package weights

import (
	"math"

	"github.com/organic-scoring/organic"
)

// Convert makes a vector of scores, with the same digits as process_weights
// and the u16 step of the Python SDK (bittensor 10.2.0 under numpy 2) on every
// platform: the scores are narrowed to float32; a low quantile is excluded
// (WithExcludeQuantile), high shares are capped (WithMaxWeight), and too few
// scores padded (WithMinAllowed); then a share is burnt (WithBurn), and all is
// stretched so that the largest becomes 65535, rounded half to even, and zeros
// are dropped. Neurons is how many the subnet has.
//
// The UIDs may come in any order, which is kept but for the uniform and padded
// paths, which list all neurons. Float32 sums depend on the order: scores out
// of a map have to be sorted, or two runs give other weights. On the padded
// path 1e-5 is added to each score, so they should add up to about 1;
// [Scores.Convert] sees to both.
//
// Where Python would send rubbish, this is an error, and of several the first
// of: ErrLength, ErrEmpty, ErrUIDRange, ErrDuplicateUID, ErrNotFinite,
// ErrNegative, ErrInvalidOption, and ErrNotFinite for scores whose sum is too
// large for a float32. When nobody has a positive score every neuron is paid
// the same, as in Python: look at Vector.Path.
func Convert(uids []organic.UID, scores []float64, neurons int, opts ...ConvertOption) (Vector, error) {
	if err := checkInput(uids, scores, neurons); err != nil {
		return Vector{}, err
	}
	if err := checkValues(uids, scores, largestScore); err != nil {
		return Vector{}, err
	}
	cfg, err := newConversion(opts, neurons)
	if err != nil {
		return Vector{}, err
	}
	return convert(uids, scores, neurons, cfg)
}

// largestScore rounds to the largest float32; the next double rounds to
// infinity.
var largestScore = math.Nextafter(math.MaxFloat32+0x1p103, 0)

// convert does the work of Convert on input that is known to be good.
func convert(uids []organic.UID, scores []float64, neurons int, cfg *conversion) (Vector, error) {
	narrow, byUID := make([]float32, len(scores)), make([]float64, neurons)
	for i, score := range scores {
		narrow[i], byUID[uids[i]] = float32(score), score
	}
	path, kept, shares, err := process(uids, narrow, neurons, cfg)
	if err != nil {
		return Vector{}, err
	}
	kept, shares = cfg.burnt(kept, shares)
	return newVector(path, kept, shares, byUID, cfg.minAllowed), nil
}
