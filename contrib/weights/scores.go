package weights

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
)

// Scores keeps a moving average for each miner, fed with the rewards of
// organic and synthetic rounds.
//
// A miner is a hotkey at a UID. When another hotkey takes the UID, it starts
// anew; when neurons are added or removed, the others stay as they are. A
// hotkey that moves to another UID has registered anew.
//
// Each miner has two averages, one per origin. Its score is their mean, in
// which each weighs by its origin's weight (see [WithOriginWeights]) times how
// much of it rewards have filled so far. With rewards of one origin alone it is
// exactly the moving average that [Hold] and [Decay] describe, which begins at
// 0. With both, synthetic rewards make a miner less new for the organic ones
// too, and not the other way round: whoever asks its own miner does not lift
// what the synthetic rewards have said so far. Keeping the origins apart lets
// weights and guards be changed at any time and count at once, for the rewards
// of the past too.
//
// Make one with [NewScores], and tell it the metagraph before the first
// update. All methods are safe for concurrent use. Memory is bounded by the
// number of neurons, whatever requesters and samples there are.
type Scores struct {
	average Average
	guards  guards

	mu       sync.Mutex // guards what follows
	weights  [2]float64 // by origin
	neurons  []Neuron   // nil before SetMetagraph
	coldkeys map[string]string
	miners   []miner // by UID
	widest   int     // how many UIDs there ever were
	round    uint64  // counts updates
	seen     rounds

	requesters breakdown // memory for one miner's, guarded by mu too

	saving sync.Mutex // held while a snapshot is written
}

// miner is a hotkey at a UID.
type miner struct {
	hotkey string
	since  time.Time // since when it has the UID; zero if ever since we know it
	asked  uint64    // the last round it was rewarded in
	parts  [2]part   // by origin
}

// ScoresOption configures [NewScores], which lists what is wrong with all of
// them at once. Of two of the same kind the last one wins, unless its comment
// says that it adds.
type ScoresOption interface {
	apply(s *Scores) error
}

type scoresOptionFunc func(s *Scores) error

func (f scoresOptionFunc) apply(s *Scores) error { return f(s) }

// WithOriginWeights sets how much an organic and how much a synthetic reward
// weighs in a score, 1 and 1 by default; their ratio is all that counts. An
// origin of weight 0 is left out of the scores, but its average is kept up for
// guards. [Scores.SetOriginWeights] changes them later.
func WithOriginWeights(organics, synthetics float64) ScoresOption {
	return scoresOptionFunc(func(s *Scores) error {
		name := fmt.Sprintf("WithOriginWeights(%v, %v)", organics, synthetics)
		return s.setOriginWeights(name, organics, synthetics)
	})
}

// WithGuards sets guards against gamed organic rewards. It adds; of two guards
// of the same kind the last one wins.
func WithGuards(guards ...Guard) ScoresOption {
	return scoresOptionFunc(func(s *Scores) error {
		var errs []error
		for _, guard := range guards {
			if guard.apply == nil {
				errs = append(errs, invalid("WithGuards(Guard{})", "must be a guard of this package"))
				continue
			}
			if err := guard.apply(&s.guards); err != nil {
				errs = append(errs, invalid(guard.name, "%v", err))
			}
		}
		return errors.Join(errs...)
	})
}

// NewScores returns scores for nobody yet, averaged by the rule. All that is
// wrong with rule and options is reported at once and wraps ErrInvalidOption.
func NewScores(average Average, opts ...ScoresOption) (*Scores, error) {
	s := &Scores{average: average, weights: [2]float64{1, 1}}
	errs := []error{average.check()}
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid("NewScores", "option %d must not be nil", i+1))
			continue
		}
		errs = append(errs, opt.apply(s))
	}
	if average.kind == window && s.guards.minSamples > average.size {
		errs = append(errs, invalid(fmt.Sprintf("MinSamples(%d)", s.guards.minSamples),
			"must be at most the %d rewards of the window", average.size))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// SetOriginWeights changes what [WithOriginWeights] has set. It counts at
// once, for the rewards of the past too.
func (s *Scores) SetOriginWeights(organics, synthetics float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setOriginWeights(fmt.Sprintf("SetOriginWeights(%v, %v)", organics, synthetics), organics, synthetics)
}

func (s *Scores) setOriginWeights(name string, organics, synthetics float64) error {
	top := max(organics, synthetics)
	if !(organics >= 0 && synthetics >= 0 && top > 0 && !math.IsInf(top, 1)) {
		return invalid(name, "must be finite, not negative, and not both 0")
	}
	s.weights = [2]float64{organic.Organic: organics / top, organic.Synthetic: synthetics / top}
	return nil
}

// SetMetagraph says who holds which UID from now on. Call it whenever the
// metagraph was fetched: the first time before any update. A miner whose
// hotkey has changed starts anew with a score of 0. On an error, which wraps
// ErrMetagraph, everything stays as it was.
func (s *Scores) SetMetagraph(metagraph Metagraph) error {
	if err := metagraph.check(); err != nil {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reconcile(slices.Clone(metagraph.Neurons), now)
	return nil
}

// reconcile keeps the miners that are where they were. Their time begins now,
// or for the very first ones never.
func (s *Scores) reconcile(metagraph []Neuron, now time.Time) {
	if len(s.miners) == 0 {
		now = time.Time{}
	}
	miners := make([]miner, len(metagraph))
	s.coldkeys = make(map[string]string, len(metagraph))
	for uid, neuron := range metagraph {
		if uid < len(s.miners) && s.miners[uid].hotkey == neuron.Hotkey {
			miners[uid] = s.miners[uid]
		} else {
			miners[uid] = miner{hotkey: neuron.Hotkey, since: now}
		}
		s.coldkeys[neuron.Hotkey] = neuron.Coldkey
	}
	s.neurons, s.miners = metagraph, miners
	s.widest = max(s.widest, len(miners))
}

// Update takes in the rewards of a round. Under [Decay] the miners that it did
// not reward sink, unless all of its rewards were self-dealt or stranded (see
// [Tally]): then no score changes. An update without rewards changes nothing.
// NaN counts as 0, as in the subnet template. On an error everything stays as
// it was, and the round may come again: ErrUIDRange for a UID that the subnet
// did not have, ErrNotFinite for an infinite reward or one beyond float32,
// ErrWhenAsked, ErrNoMetagraph, or ErrInvalidOption for an unknown origin.
func (s *Scores) Update(round Round, rewards organic.Rewards) (Tally, error) {
	if round.Asked.Neurons == nil && round.Received.IsZero() {
		return Tally{}, fmt.Errorf("%w: set Round.Asked or Round.Received", ErrWhenAsked)
	}
	if round.Origin != organic.Organic && round.Origin != organic.Synthetic {
		return Tally{}, invalid("Round.Origin", "must be organic.Organic or organic.Synthetic")
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.neurons == nil {
		return Tally{}, ErrNoMetagraph
	}
	uids := s.widest
	if round.Asked.Neurons != nil {
		uids = len(round.Asked.Neurons)
	}
	if err := checkRewards(rewards, uids); err != nil {
		return Tally{}, err
	}
	if s.seen.has(round.ID) {
		return Tally{Repeated: true}, nil
	}
	if len(rewards) == 0 {
		return Tally{}, nil
	}
	s.seen.add(round.ID)
	return s.take(&round, rewards, now), nil
}

// take adds rewards that are known to be good, and lets those sink that got
// none. A round of which nobody got anything lets nobody sink, or owners who
// ask only their own miners would sink all others.
func (s *Scores) take(round *Round, rewards organic.Rewards, now time.Time) (tally Tally) {
	s.round++
	requester, coldkey, tracked := keyOf(""), "", 0
	if round.Origin == organic.Organic {
		requester, coldkey, tracked = keyOf(round.Requester), s.coldkeys[round.Requester], s.guards.tracked()
	}
	for uid, value := range rewards {
		if math.IsNaN(value) {
			value = 0
		}
		switch {
		case s.stranded(round, uid):
			tally.Stranded++
			continue
		case round.Origin == organic.Organic && s.guards.selfDealt(round.Requester, coldkey, s.neurons[uid]):
			tally.SelfDealt++
			continue
		}
		miner := &s.miners[uid]
		miner.asked = s.round
		neutral := s.guards.neutral(round.Origin, value)
		miner.parts[round.Origin].add(s.average, reward{value: value, requester: requester, at: now, neutral: neutral}, tracked)
		if neutral {
			tally.Neutral++
		} else {
			tally.Counted++
		}
	}
	if s.average.kind == decay && tally.Counted+tally.Neutral > 0 {
		s.decay(round.Origin)
	}
	return tally
}

// stranded reports whether a UID is no longer held by whom was asked.
func (s *Scores) stranded(round *Round, uid organic.UID) bool {
	switch {
	case int(uid) >= len(s.miners):
		return true
	case round.Asked.Neurons != nil:
		return round.Asked.Neurons[uid].Hotkey != s.miners[uid].hotkey
	}
	return s.miners[uid].since.After(round.Received)
}

// decay lets the miners sink that were not rewarded in this round.
func (s *Scores) decay(origin organic.Origin) {
	for uid := range s.miners {
		if miner := &s.miners[uid]; miner.asked != s.round {
			miner.parts[origin].fade(s.average.alpha)
		}
	}
}
