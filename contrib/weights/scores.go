package weights

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
)

// Scores keeps a moving average for each miner, fed with the rewards of organic and synthetic
// rounds.
//
// A miner is a hotkey at a UID. When another hotkey takes the UID, it starts from zero; when
// neurons are added or removed, the others stay as they are. A hotkey that moves to another UID has
// registered again.
//
// Each miner has two averages, one per origin, and its score is made of them when it is asked for:
// changed weights and guards count at once, for the rewards of the past too. See [Standing] for the
// formula. With rewards of one origin alone and without guards a score is exactly the moving
// average that [Hold] and [Decay] describe, which begins at 0.
//
// Make one with [NewScores], and call SetMetagraph before the first update. All methods are safe
// for concurrent use. Memory is bounded by the number of neurons, whatever requesters and samples
// there are.
type Scores struct {
	average  Average
	rewards  Range
	guards   guards
	tiers    func(requester string) float64 // weights of requesters; nil: 1 for all
	excluded func() []string                // hotkeys whose score is 0; nil: none
	grace    time.Duration
	logger   *zap.Logger

	mu       sync.Mutex // guards what follows
	weights  [2]float64 // by origin
	neurons  []Neuron   // nil before SetMetagraph
	block    uint64     // of the metagraph; 0 if not known
	coldkeys map[string]string
	miners   []miner // by UID
	missing  map[organic.UID]missingMiner
	widest   int    // how many UIDs there ever were
	round    uint64 // counts updates
	version  uint64 // counts changes that a snapshot has to hold
	began    time.Time
	clamped  uint64
	seen     rounds
	told     [guardKinds]bool // guards whose idleness was logged
	voided   bool             // that no score is left was logged

	requesters breakdown // memory for one miner's, guarded by mu too
}

// miner is a hotkey at a UID.
type miner struct {
	hotkey  string
	since   time.Time // since when it has the UID; zero if ever since we know it
	asked   uint64    // the last round in which it was asked
	clamped int       // rewards outside the range
	parts   [2]part   // by origin
}

// ScoresOption configures [NewScores], which lists what is wrong with all of them at once. Of two
// of the same kind the last one wins.
type ScoresOption interface {
	applyScores(s *Scores) error
}

type scoresOptionFunc func(s *Scores) error

func (f scoresOptionFunc) applyScores(s *Scores) error { return f(s) }

// WithOriginWeights sets how much an organic and how much a synthetic reward counts in a score, 1
// and 1 by default; only their ratio matters. An origin of weight 0 is left out of the scores, but
// its average is kept up for guards. [MaxOrganicShare] limits what they can do.
// [Scores.SetOriginWeights] changes them later.
func WithOriginWeights(organics, synthetics float64) ScoresOption {
	return scoresOptionFunc(func(s *Scores) error {
		name := fmt.Sprintf("WithOriginWeights(%v, %v)", organics, synthetics)
		return s.setOriginWeights(name, organics, synthetics)
	})
}

// WithGuards replaces the guards, [DefaultGuards] by default; of two guards of the same kind the
// last one wins. WithGuards() without arguments is no guard at all. To change one of the defaults:
//
//	weights.WithGuards(append(weights.DefaultGuards(), weights.MaxRequesterShare(0.5))...)
func WithGuards(guards ...Guard) ScoresOption {
	return scoresOptionFunc(func(s *Scores) error { return s.guards.set(guards) })
}

// WithRequesterWeight sets how much the rewards of a requester count in the organic averages, from
// 0 to 1: by stake, or by the tier of an allow list. What is below 0 or NaN counts as 0 and what is
// above 1 as 1. Rewards of weight 0 are not counted. Under [Hold] and [Decay] a weight below
// 2e-12/alpha has no effect that could be told, and counts as 0. The function is called once for
// each organic Update, by its caller's goroutine, and must be safe for concurrent use.
func WithRequesterWeight(weight func(requester string) float64) ScoresOption {
	return scoresOptionFunc(func(s *Scores) error {
		if weight == nil {
			return invalid("WithRequesterWeight(nil)", "must be a function")
		}
		s.tiers = weight
		return nil
	})
}

// WithExcluded gives a hotkey the score 0 as long as the function returns it, such as that of a
// miner found copying. Its rewards are counted all the same, so that it has its score back when the
// function does not return it any more. The function is called each time the scores are made, by
// the caller's goroutine, and must be quick and safe for concurrent use.
func WithExcluded(hotkeys func() []string) ScoresOption {
	return scoresOptionFunc(func(s *Scores) error {
		if hotkeys == nil {
			return invalid("WithExcluded(nil)", "must be a function")
		}
		s.excluded = hotkeys
		return nil
	})
}

// WithGrace sets for how long the score of a hotkey is kept that is missing in a metagraph, 1 h by
// default. See [Scores.SetMetagraph].
func WithGrace(grace time.Duration) ScoresOption {
	return scoresOptionFunc(func(s *Scores) error {
		if grace < 0 {
			return invalid(fmt.Sprintf("WithGrace(%v)", grace), "must not be negative")
		}
		s.grace = grace
		return nil
	})
}

// NewScores returns empty scores, averaged by the rule. Rewards are from the lowest to the highest
// of the range: one outside counts as the nearest in it, and is counted and logged, once for each
// miner, and shown in Status. All that is wrong with rule, range and options is reported at once
// and wraps ErrInvalidOption.
func NewScores(average Average, rewards Range, opts ...ScoresOption) (*Scores, error) {
	s := &Scores{
		average: average, rewards: rewards, weights: [2]float64{1, 1}, grace: time.Hour,
		logger: zap.NewNop(), missing: make(map[organic.UID]missingMiner),
	}
	errs := []error{average.check(), rewards.check(), s.guards.set(DefaultGuards())}
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid("NewScores", "option %d must not be nil", i+1))
			continue
		}
		errs = append(errs, opt.applyScores(s))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// SetOriginWeights changes what [WithOriginWeights] has set. It counts at once, for the rewards of
// the past too.
func (s *Scores) SetOriginWeights(organics, synthetics float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := fmt.Sprintf("SetOriginWeights(%v, %v)", organics, synthetics)
	return s.setOriginWeights(name, organics, synthetics)
}

func (s *Scores) setOriginWeights(name string, organics, synthetics float64) error {
	top := max(organics, synthetics)
	if !(organics >= 0 && synthetics >= 0 && top > 0 && !math.IsInf(top, 1)) {
		return invalid(name, "must be finite, not negative, and not both 0")
	}
	s.weights = [2]float64{organic.Organic: organics / top, organic.Synthetic: synthetics / top}
	return nil
}

// Update counts the rewards of a round. Under [Decay] a synthetic round lowers the miners that were
// not asked, unless all of its rewards were stranded; an organic round never lowers a miner that
// was not asked. An update without rewards and without Round.Asked changes nothing. On an error
// everything stays as it was, and the round may come again: ErrUIDRange for a UID that the subnet
// did not have, ErrWhenAsked, ErrNoMetagraph, or ErrInvalidOption for an unknown origin.
func (s *Scores) Update(round Round, rewards organic.Rewards) (Tally, error) {
	if len(round.Metagraph.Neurons) == 0 && round.Received.IsZero() {
		return Tally{}, fmt.Errorf("%w: set Round.Metagraph or Round.Received", ErrWhenAsked)
	}
	if round.Origin != organic.Organic && round.Origin != organic.Synthetic {
		return Tally{}, invalid("Round.Origin", "must be organic.Organic or organic.Synthetic")
	}
	in := &intake{round: &round, weight: s.weightOf(&round), at: time.Now()}
	if err := s.update(in, rewards); err != nil {
		return Tally{}, err
	}
	for _, first := range in.outside {
		warn(
			s.logger,
			"reward outside the range, clamped; further ones of this miner are counted only",
			zap.Uint16("uid", uint16(first.uid)),
			zap.String("hotkey", first.hotkey),
			zap.Float64("reward", first.reward),
			zap.Float64("min", s.rewards.Min),
			zap.Float64("max", s.rewards.Max),
		)
	}
	return in.tally, nil
}

// intake is one update under way.
type intake struct {
	round   *Round
	weight  float64 // of the requester
	at      time.Time
	coldkey string // of the requester, if it is a hotkey of the subnet
	key     requesterKey
	tracked int // how many requesters of a miner are kept
	tally   Tally
	outside []outsideReward
}

// outsideReward is the first reward of a miner outside the range.
type outsideReward struct {
	uid    organic.UID
	hotkey string
	reward float64
}

func (s *Scores) update(in *intake, rewards organic.Rewards) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.neurons == nil {
		return ErrNoMetagraph
	}
	uids := s.widest
	if known := len(in.round.Metagraph.Neurons); known > 0 {
		uids = known
	}
	if err := in.round.checkRange(rewards, uids); err != nil {
		return err
	}
	if s.seen.has(in.round.ID) {
		in.tally.Repeated = true
		return nil
	}
	if len(rewards) > 0 || len(in.round.Asked) > 0 {
		s.seen.add(in.round.ID)
		s.take(in, rewards)
	}
	return nil
}

// weightOf returns the weight of a round's requester, from 0 to 1.
func (s *Scores) weightOf(round *Round) float64 {
	if s.tiers == nil || round.Origin != organic.Organic {
		return 1
	}
	weight := min(s.tiers(round.Requester), 1)
	if !(weight > 0) || weight < s.average.leastWeight() {
		return 0
	}
	return weight
}

// take counts rewards that are known to be good, then those that miners were asked for and did not
// get, and lowers the miners that were not asked.
func (s *Scores) take(in *intake, rewards organic.Rewards) {
	s.round++
	s.version++
	if s.began.IsZero() {
		s.began = in.at
	}
	if in.round.Origin == organic.Organic {
		in.key, in.coldkey = keyOf(in.round.Requester), s.coldkeys[in.round.Requester]
		in.tracked = s.guards.tracked()
	}
	for uid, value := range rewards {
		s.count(in, uid, value)
	}
	missing, _ := s.rewards.clamp(0)
	for _, uid := range in.round.Asked {
		_, given := rewards[uid]
		if given || int(uid) < len(s.miners) && s.miners[uid].asked == s.round {
			continue
		}
		before := in.tally.Counted
		s.count(in, uid, missing)
		in.tally.Missing += in.tally.Counted - before
	}
	if s.average.kind == decay && in.round.Origin == organic.Synthetic && in.tally.Counted > 0 {
		s.decay()
	}
}

// count counts one reward, or notes in the tally why not.
func (s *Scores) count(in *intake, uid organic.UID, value float64) {
	if s.stranded(in.round, uid) {
		in.tally.Stranded++
		return
	}
	miner := &s.miners[uid]
	miner.asked = s.round
	organics := in.round.Origin == organic.Organic
	switch {
	case organics && s.guards.selfDealt(in.round.Requester, in.coldkey, s.neurons[uid]):
		in.tally.SelfDealt++
		return
	case in.weight == 0:
		in.tally.Unweighted++
		return
	}
	clamped, outside := s.rewards.clamp(value)
	if outside {
		in.tally.Clamped++
		s.clamped++
		if miner.clamped++; miner.clamped == 1 {
			in.outside = append(in.outside, outsideReward{uid, miner.hotkey, value})
		}
	}
	in.tally.Counted++
	fresh := reward{value: clamped, weight: in.weight, requester: in.key, at: in.at}
	miner.parts[in.round.Origin].add(s.average, fresh, in.tracked)
}

// stranded reports whether a UID is no longer held by the hotkey that was asked.
func (s *Scores) stranded(round *Round, uid organic.UID) bool {
	switch {
	case int(uid) >= len(s.miners):
		return true
	case len(round.Metagraph.Neurons) > 0:
		return round.Metagraph.Neurons[uid].Hotkey != s.miners[uid].hotkey
	}
	return s.miners[uid].since.After(round.Received)
}

// decay lowers the miners that were not asked in this round.
func (s *Scores) decay() {
	for uid := range s.miners {
		if miner := &s.miners[uid]; miner.asked != s.round {
			miner.parts[organic.Synthetic].fade(s.average.alpha)
		}
	}
}
