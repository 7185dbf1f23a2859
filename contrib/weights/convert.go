package weights

import (
	"math"
	"slices"

	"github.com/organic-scoring/organic"
)

// Convert makes a vector of scores, with the same digits as process_weights
// and the u16 step of the Python SDK (bittensor 10.2.0 under numpy 2) on every
// platform: the scores are narrowed to float32; a low quantile is excluded
// (WithExcludeQuantile), high shares are capped (WithMaxWeight), and too few
// scores padded (WithMinAllowed); then a share is burnt (WithBurn), and all is
// stretched so that the largest becomes 65535, rounded half to even, and zeros
// are dropped, or filled in again where too few entries are left
// (WithZeroPadding). Neurons is how many the subnet has.
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
// large for a float32. When no miner has a positive score every neuron is paid
// the same, as in Python: look at Vector.Path.
func Convert(
	uids []organic.UID,
	scores []float64,
	neurons int,
	opts ...ConvertOption,
) (Vector, error) {
	if err := checkInput(uids, scores, neurons); err != nil {
		return Vector{}, err
	}
	if err := checkValues(uids, scores, largestScore); err != nil {
		return Vector{}, err
	}
	cfg, err := newConversion(opts, neurons, Metagraph{})
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
	byUID := make([]float64, neurons)
	for i, score := range scores {
		byUID[uids[i]] = score
	}
	scores = cfg.shaped(scores)
	alone := len(uids) == 1 && int(uids[0]) == cfg.own
	path, kept, shares, err := cfg.process(uids, scores, neurons)
	if err != nil {
		return Vector{}, err
	}
	kept, shares = cfg.burnt(kept, shares)
	vector := newVector(path, kept, shares, byUID, cfg)
	vector.TooFew = vector.TooFew && !alone
	return vector, nil
}

// process makes shares of scores, as one of the two SDKs does.
func (c *conversion) process(
	uids []organic.UID,
	scores []float64,
	neurons int,
) (Path, []organic.UID, []float64, error) {
	if c.float64s {
		path, shares, err := clipped(scores, c.limit)
		return path, slices.Clone(uids), shares, err
	}
	narrow := make([]float32, len(scores))
	for i, score := range scores {
		narrow[i] = float32(score)
	}
	return process(uids, narrow, neurons, c)
}

// shaped applies the options that change scores, and divides them by the highest one if there are
// any.
func (c *conversion) shaped(scores []float64) []float64 {
	top := slices.Max(scores)
	if c.topK >= len(scores) && c.power == 1 && c.floor == 0 || !(top > 0) {
		return scores
	}
	least := 0.0
	if c.topK < len(scores) {
		sorted := slices.Sorted(slices.Values(scores))
		least = sorted[len(sorted)-c.topK]
	}
	shaped := make([]float64, len(scores))
	for i, score := range scores {
		if score > 0 && score >= least {
			shaped[i] = max(math.Pow(score/top, c.power), c.floor)
		}
	}
	return shaped
}
