package weights

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
)

// Standing is how a miner stands at one moment, for logs and dashboards. It is a plain value. The
// score is
//
//	score = known · ((1-share)·synthetic + share·organic)
//
// where synthetic and organic are the two means, organic after the guards; share is the organic
// weight times the filled part of its average, divided by the same of both origins, and at most
// that of MaxOrganicShare; and known, from 0 to 1, is the smaller one of RampUp and the filled part
// of an exponential average, which begins at 0. Under AroundSynthetic only synthetic rewards make a
// miner known.
type Standing struct {
	UID    organic.UID
	Hotkey string
	Score  float64
	// Organic and Synthetic are what the score was made from.
	Organic, Synthetic Track
	// Known is the factor by which a newcomer has less than its mean.
	Known float64
	// Guarded is the organic mean after MaxRequesterShare and AroundSynthetic; Capped is the share
	// of it that the former took from requesters, from 0 to 1, and Banded whether the latter has
	// changed it.
	Guarded float64
	Capped  float64
	Banded  bool
	// Clamped is how many rewards were outside the range.
	Clamped int
	// Excluded is true if WithExcluded has set the score to 0.
	Excluded bool
}

// Track is what a miner got in rounds of one origin.
type Track struct {
	// Count is how many rewards were counted; those in a Window, else all.
	Count int
	// Mean is the average of what the miner got when it was asked.
	Mean float64
}

// ScoresStatus is the state of [Scores] as a whole. It is a plain value.
type ScoresStatus struct {
	Block   uint64 // at which the metagraph was read; 0 if not known
	Neurons int
	Missing int    // miners that were missing in the last metagraph, within their grace period
	Clamped uint64 // rewards outside the range, since the start
	// Void is true if miners have earned rewards above 0, and no score is above 0.
	Void   bool
	Guards []GuardStatus
}

// GuardStatus is what one guard does. It is a plain value.
type GuardStatus struct {
	Name string
	// Idle is why the guard has nothing to compare with; empty if it is at work.
	Idle string
	// Affected is how many scores it changes now.
	Affected int
}

// Standings returns how all miners stand, by UID; none before SetMetagraph.
func (s *Scores) Standings() []Standing {
	standings, _ := s.evaluate()
	return standings
}

// Values returns the scores, indexed by UID; none before SetMetagraph. They are finite, and
// negative where penalties exceed the rest.
func (s *Scores) Values() []float64 {
	standings, _ := s.evaluate()
	if standings == nil {
		return nil
	}
	values := make([]float64, len(standings))
	for uid := range standings {
		values[uid] = standings[uid].Score
	}
	return values
}

// Status returns what the guards do, and what was noticed.
func (s *Scores) Status() ScoresStatus {
	_, status := s.evaluate()
	return status
}

// Coverage returns the share of the miners that were asked which have at least so many rewards, of
// both origins together, and since when there are rewards: zero if there are none. [WithWarmUp]
// waits for it.
func (s *Scores) Coverage(rewards int) (share float64, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked, covered := 0, 0
	for i := range s.miners {
		parts := &s.miners[i].parts
		count := parts[organic.Organic].Count + parts[organic.Synthetic].Count
		if count > 0 {
			asked++
		}
		if count > 0 && count >= rewards {
			covered++
		}
	}
	if asked == 0 {
		return 0, s.began
	}
	return float64(covered) / float64(asked), s.began
}

// evaluate makes all scores and logs what has changed about the guards.
func (s *Scores) evaluate() ([]Standing, ScoresStatus) {
	now := time.Now()
	var excluded []string
	if s.excluded != nil {
		excluded = s.excluded()
	}
	s.mu.Lock()
	if s.neurons == nil {
		s.mu.Unlock()
		return nil, ScoresStatus{Guards: s.guards.status()}
	}
	standings := make([]Standing, len(s.miners))
	status := ScoresStatus{
		Block: s.block, Neurons: len(s.neurons), Missing: len(s.missing), Clamped: s.clamped,
		Guards: s.guards.status(),
	}
	readings, compared, rewarded := s.read(now)
	positive := false
	for uid := range s.miners {
		standings[uid] = s.standing(uid, readings[uid], compared, now)
		if slices.Contains(excluded, standings[uid].Hotkey) {
			standings[uid].Score, standings[uid].Excluded = 0, true
		}
		positive = positive || standings[uid].Score > 0
	}
	status.Void = rewarded && !positive
	s.guards.compare(&status, standings, compared.any)
	changed := s.changed(&status)
	s.mu.Unlock()
	for _, message := range changed {
		warn(s.logger, message.text, zap.String("guard", message.guard))
	}
	return standings, status
}

// comparison is what guards can compare organic rewards with.
type comparison struct {
	any bool // some miners have synthetic rewards
	few bool // but fewer than half of those that have rewards
	// mean is the mean of the synthetic means. If few is true, miners without synthetic rewards are
	// taken to have it: a source of synthetic queries that has failed early does not cost them
	// everything, and organic queries alone do not give them more.
	mean float64
}

// read returns what the averages of all miners say, by UID and origin; what guards can compare
// with; and whether any miner has earned something.
func (s *Scores) read(now time.Time) (readings [][2]reading, compared comparison, rewarded bool) {
	readings = make([][2]reading, len(s.miners))
	known, synthetic := 0, 0
	for uid := range s.miners {
		for origin := range s.miners[uid].parts {
			readings[uid][origin] = s.miners[uid].parts[origin].read(s.average, now)
		}
		organics, synthetics := readings[uid][organic.Organic], readings[uid][organic.Synthetic]
		if synthetics.count > 0 {
			synthetic++
			compared.mean += float64((synthetics.mean - compared.mean) / float64(synthetic))
		}
		if organics.count > 0 || synthetics.count > 0 {
			known++
		}
		rewarded = rewarded || organics.mean > 0 || synthetics.mean > 0
	}
	compared.any, compared.few = synthetic > 0, 2*synthetic < known
	return readings, compared, rewarded
}

// standing makes a miner's score, by the formula at Standing.
func (s *Scores) standing(uid int, of [2]reading, compared comparison, now time.Time) Standing {
	miner := &s.miners[uid]
	organics, synthetics := of[organic.Organic], of[organic.Synthetic]
	standing := Standing{
		UID:       organic.UID(uid), //nolint:gosec // is a UID
		Hotkey:    miner.hotkey,
		Clamped:   miner.clamped,
		Organic:   Track{Count: organics.count, Mean: organics.mean},
		Synthetic: Track{Count: synthetics.count, Mean: synthetics.mean},
	}
	banded := s.guards.band && compared.any
	if banded && compared.few && synthetics.count == 0 {
		synthetics.mean = compared.mean
	}
	standing.Known = s.knownShare(miner, organics, synthetics, compared, now)
	guarded, capped := s.withoutExcess(miner, organics, synthetics, now)
	if banded {
		inBand := s.guards.inBand(guarded, synthetics.mean)
		standing.Banded = organics.count > 0 && inBand != guarded
		guarded = inBand
	}
	standing.Guarded, standing.Capped = guarded, capped
	share := s.organicShare(organics, synthetics, compared.any)
	mean := float64((1-share)*synthetics.mean) + float64(share*guarded)
	standing.Score = float64(standing.Known * mean)
	return standing
}

// knownShare returns how much of a miner's mean counts while its averages fill and it ramps up. As
// long as few miners have synthetic rewards, AroundSynthetic lets all be known that have any: else
// those that are asked most by users would be known first.
func (s *Scores) knownShare(
	miner *miner, organics, synthetics reading, compared comparison, now time.Time,
) float64 {
	if s.guards.band && compared.any && compared.few {
		return min(1, float64(organics.count+synthetics.count))
	}
	known := s.known(organics, synthetics, s.guards.band && compared.any)
	if s.guards.samples > 0 {
		known = min(known, s.ramp(miner, compared.any, now))
	}
	return known
}

// known returns how much of a miner's mean counts while its averages fill. Either origin fills it;
// under AroundSynthetic, and for an origin that does not count, only the other one.
func (s *Scores) known(organics, synthetics reading, banded bool) float64 {
	o, y := s.filled(organics), s.filled(synthetics)
	switch {
	case banded || s.weights[organic.Organic] == 0:
		return y
	case s.weights[organic.Synthetic] == 0:
		return o
	}
	return o + float64(y*(1-o))
}

// filled returns how far rewards have filled an average. A window, being a plain mean, is filled
// by one.
func (s *Scores) filled(r reading) float64 {
	if s.average.kind == window && r.count > 0 {
		return 1
	}
	return r.mass
}

// ramp is the factor of RampUp.
func (s *Scores) ramp(miner *miner, anySynthetics bool, now time.Time) float64 {
	samples := miner.parts[organic.Organic].Count
	if anySynthetics {
		samples = miner.parts[organic.Synthetic].Count
	}
	since := miner.since
	if since.IsZero() {
		since = s.began
	}
	return s.guards.ramp(samples, now.Sub(since))
}

// organicShare returns the share of the organic mean in a score.
func (s *Scores) organicShare(organics, synthetics reading, anySynthetics bool) float64 {
	o := float64(s.weights[organic.Organic] * organics.mass)
	y := float64(s.weights[organic.Synthetic] * synthetics.mass)
	if !(o > 0) {
		return 0
	}
	share := o / (o + y)
	if s.guards.organicShare > 0 && anySynthetics {
		share = min(share, s.guards.organicShare)
	}
	return share
}

// withoutExcess returns the organic mean in which no requester has more than its share, and what
// was taken from those that had more.
func (s *Scores) withoutExcess(
	miner *miner,
	organics, synthetics reading,
	now time.Time,
) (mean, capped float64) {
	mean = organics.mean
	if s.guards.tracked() == 0 || organics.count == 0 || !(organics.mass > 0) {
		return mean, 0
	}
	for _, c := range s.contributions(&miner.parts[organic.Organic], now) {
		if over := c.Mass/organics.mass - s.guards.maxShare; over > 0 {
			mean += float64(over * (synthetics.mean - c.Value/c.Mass))
			capped += over
		}
	}
	return mean, capped
}

// contributions returns what each requester brought into a part, in shares of the same whole as
// its mass. They are good until the next call.
func (s *Scores) contributions(p *part, now time.Time) []contribution {
	if s.average.kind != window {
		return p.Requesters
	}
	s.requesters.reset()
	for entry := range p.fresh(s.average, now) {
		s.requesters.add(entry.Requester, entry.Weight/float64(s.average.size), entry.Value)
	}
	return s.requesters.all
}

// Source returns the source of a [Setter] that sends what Convert makes with these options.
func (s *Scores) Source(opts ...ConvertOption) Source {
	opts = slices.Clone(opts)
	return func(context.Context) (Vector, error) { return s.Convert(opts...) }
}

// Convert makes a vector of the scores that all miners have now. Negative scores count as 0. It
// fills up to WithMinAllowed with entries of weight 0, as WithZeroPadding does: no miner is paid
// for anything but its score, except on the path UniformCap. It returns ErrNoScores as long as no
// miner has a positive score, where Python would pay every neuron the same, unless all is burnt;
// ErrNoMetagraph; or an error about the options.
func (s *Scores) Convert(opts ...ConvertOption) (Vector, error) {
	standings, _ := s.evaluate()
	if standings == nil {
		return Vector{}, ErrNoMetagraph
	}
	metagraph := Metagraph{Neurons: make([]Neuron, len(standings))}
	shares := make([]float64, len(standings))
	total := 0.0
	for uid := range standings {
		metagraph.Neurons[uid].Hotkey = standings[uid].Hotkey
		shares[uid] = max(standings[uid].Score, 0)
		total += shares[uid]
	}
	cfg, err := newConversion(append(slices.Clone(opts), WithZeroPadding()), len(shares), metagraph)
	switch {
	case err != nil:
		return Vector{}, err
	case total == 0 && cfg.burn == 1:
		return newVector(
			Normal,
			cfg.burnUIDs,
			cfg.burnShares(),
			make([]float64, len(shares)),
			cfg,
		), nil
	case total == 0:
		return Vector{}, ErrNoScores
	}
	for uid := range shares {
		shares[uid] /= total
	}
	vector, err := convert(allUIDs(len(shares)), shares, len(shares), cfg)
	for i, row := range vector.Rows {
		vector.Rows[i].Score = standings[row.UID].Score
	}
	return vector, err
}
