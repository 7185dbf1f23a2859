package weights

import (
	"time"

	"github.com/organic-scoring/organic"
)

// Standing is how a miner stands at one moment, for logs and dashboards. It is
// a plain value.
type Standing struct {
	UID    organic.UID
	Hotkey string
	Score  float64
	// Organic and Synthetic are what the score was made from.
	Organic, Synthetic Track
	// Void names the guard by which the organic rewards count as nothing:
	// "AboveSynthetic", "MinSamples", or none.
	Void string
	// Capped is the share of the score that [MaxRequesterShare] took from
	// requesters, from 0 to 1.
	Capped float64
}

// Track is what a miner got in rounds of one origin.
type Track struct {
	// Count is how many rewards were counted; those in a Window, else all.
	Count int
	// Mean is the average of what the miner got when it was asked.
	Mean float64
	// Deviation is the standard deviation of that.
	Deviation float64
}

// Standings returns how all miners stand, by UID.
func (s *Scores) Standings() []Standing {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.neurons == nil {
		return nil
	}
	standings := make([]Standing, len(s.miners))
	for uid := range s.miners {
		standings[uid] = s.standing(uid, now)
	}
	return standings
}

// Values returns the scores, indexed by UID; none before SetMetagraph. They are
// finite, and negative where penalties outweigh the rest.
func (s *Scores) Values() []float64 {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.neurons == nil {
		return nil
	}
	values := make([]float64, len(s.miners))
	for uid := range s.miners {
		values[uid] = s.standing(uid, now).Score
	}
	return values
}

// standing makes a miner's score:
//
//	score = filled · Σ weight·mass·mean / Σ weight·mass    over both origins
//
// where filled = 1 - Π (1-mass) is the mass that one average over both origins
// would have, and a window, being a plain mean, counts as filled.
func (s *Scores) standing(uid int, now time.Time) Standing {
	miner := &s.miners[uid]
	organics := miner.parts[organic.Organic].read(s.average, now)
	synthetics := miner.parts[organic.Synthetic].read(s.average, now)
	standing := Standing{
		UID: organic.UID(uid), Hotkey: miner.hotkey, //nolint:gosec // SetMetagraph refuses more miners than there are UIDs
		Organic: organics.track(), Synthetic: synthetics.track(),
		Void: s.guards.void(organics, synthetics),
	}
	if standing.Void != "" || s.weights[organic.Organic] == 0 {
		organics = reading{}
	}
	if s.weights[organic.Synthetic] == 0 {
		synthetics = reading{}
	}
	organicMass := float64(s.weights[organic.Organic] * organics.mass)
	syntheticMass := float64(s.weights[organic.Synthetic] * synthetics.mass)
	all := organicMass + syntheticMass
	if !(all > 0) {
		return standing
	}
	mean := float64(organicMass/all*organics.mean) + float64(syntheticMass/all*synthetics.mean)
	filled := s.filled(organics.mass, synthetics.mass)
	standing.Score = float64(filled * mean)
	if s.guards.maxShare > 0 && organicMass > 0 {
		alone := float64(s.filled(0, synthetics.mass) * synthetics.mean)
		for _, c := range miner.parts[organic.Organic].contributions(s.average, now) {
			over := max(0, float64(s.weights[organic.Organic]*c.Mass/all)-s.guards.maxShare)
			standing.Score += float64(over * (alone - float64(filled*c.Value/c.Mass)))
			standing.Capped += over
		}
	}
	return standing
}

// filled returns how much is known of a miner, from 0 to 1: 1 - (1-a)·(1-b) for
// the masses of both origins, as one of them alone comes out exactly.
func (s *Scores) filled(a, b float64) float64 {
	if s.average.kind == window {
		return 1
	}
	return a + float64(b*(1-a))
}

func (r reading) track() Track {
	return Track{Count: r.count, Mean: r.mean, Deviation: r.deviation}
}

// Convert makes a vector of the scores that all miners have now. Negative
// scores count as 0, and the scores are divided by their sum first, so that
// the floor of the padded path is small beside them. It returns ErrNoScores as
// long as no miner has a positive score, where Python would pay every neuron
// the same, unless all is burnt; ErrNoMetagraph; or an error about the options.
func (s *Scores) Convert(opts ...ConvertOption) (Vector, error) {
	scores := s.Values()
	if scores == nil {
		return Vector{}, ErrNoMetagraph
	}
	cfg, err := newConversion(opts, len(scores))
	if err != nil {
		return Vector{}, err
	}
	shares := make([]float64, len(scores))
	total := 0.0
	for uid, score := range scores {
		shares[uid] = max(score, 0)
		total += shares[uid]
	}
	if total == 0 && cfg.burn < 1 {
		return Vector{}, ErrNoScores
	}
	if total > 0 {
		for uid := range shares {
			shares[uid] /= total
		}
	}
	vector, err := convert(allUIDs(len(shares)), shares, len(shares), cfg)
	for i, row := range vector.Rows {
		vector.Rows[i].Score = scores[row.UID]
	}
	return vector, err
}
