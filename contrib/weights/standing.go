package weights

import (
	"math"
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

// standing makes a miner's score, a mean of what it is known for:
//
//	score = Σ weight·mass·known·mean / Σ weight·mass    over both origins
//
// Synthetic rewards are known as far as they have filled their average, their
// mass. Organic ones are known by what both have filled, 1-(1-mass)·(1-mass),
// or under AboveSynthetic by what the synthetic ones have. So organic rewards
// make no miner less new where synthetic ones are the measure. A window, being
// a plain mean, is known in full.
func (s *Scores) standing(uid int, now time.Time) Standing {
	miner := &s.miners[uid]
	organics := miner.parts[organic.Organic].read(s.average, now)
	synthetics := miner.parts[organic.Synthetic].read(s.average, now)
	standing := Standing{
		UID: organic.UID(uid), Hotkey: miner.hotkey, //nolint:gosec // SetMetagraph refuses more miners than there are UIDs
		Organic: organics.track(), Synthetic: synthetics.track(),
		Void: s.guards.void(organics, synthetics),
	}
	known, limit := s.known(synthetics), math.Inf(1)
	if s.guards.hasAbove {
		limit = float64(known * s.guards.ceiling(synthetics))
	}
	if standing.Void != "" || s.weights[organic.Organic] == 0 {
		organics = reading{}
	}
	if s.weights[organic.Synthetic] == 0 {
		synthetics = reading{}
	}
	alone := float64(s.known(synthetics) * synthetics.mean)
	standing.Score = alone
	organicMass := float64(s.weights[organic.Organic] * organics.mass)
	if !(organicMass > 0) {
		return standing
	}
	if !s.guards.hasAbove {
		known = s.known(organics) + float64(s.known(synthetics)*(1-s.known(organics)))
	}
	share := organicMass / (organicMass + float64(s.weights[organic.Synthetic]*synthetics.mass))
	standing.Score = float64((1-share)*alone) + float64(share*float64(known*organics.mean))
	if s.guards.maxShare > 0 {
		for _, c := range s.contributions(&miner.parts[organic.Organic], now) {
			over := max(0, float64(share*(c.Mass/organics.mass))-s.guards.maxShare)
			standing.Score += float64(over * (alone - float64(known*(c.Value/c.Mass))))
			standing.Capped += over
		}
	}
	if s.guards.penaltyOnly { // the mean may still be above that of bad synthetics
		limit = min(limit, alone)
	}
	standing.Score = min(standing.Score, max(limit, alone)) // the cap may have raised it past the guards
	return standing
}

// known returns how much of the mean of one origin counts, from 0 to 1.
func (s *Scores) known(r reading) float64 {
	if s.average.kind == window && r.count > 0 {
		return 1
	}
	return r.mass
}

// contributions returns what each requester brought into a part, in shares of
// the same whole as its mass. They are good until the next call.
func (s *Scores) contributions(p *part, now time.Time) []contribution {
	if s.average.kind != window {
		return p.Requesters
	}
	s.requesters.reset()
	share := 1 / float64(s.average.size)
	for entry := range p.fresh(s.average, now) {
		s.requesters.add(entry.Requester, share, entry.Value)
	}
	return s.requesters.all
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
