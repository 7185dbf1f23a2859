package weights

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/organic-scoring/organic"
)

// maxNeurons is how many UIDs there can be.
const maxNeurons = math.MaxUint16 + 1

// Neuron is who holds a UID.
type Neuron struct {
	Hotkey string // SS58 address, or any other unique name in UTF-8
	// Coldkey is the owner of the hotkey. Only [NoSelfDealing] looks at it; it
	// may be empty.
	Coldkey string
}

// Metagraph is the neurons of a subnet at one block. Treat it as a value: make a new one instead of
// changing it, since samples in flight may refer to the old one.
type Metagraph struct {
	// Block is the height at which it was read; 0 if that is not known. See [Scores.SetMetagraph].
	Block uint64
	// Neurons are indexed by UID. There are no gaps, as on the chain.
	Neurons []Neuron
}

// Hotkeys returns a metagraph of these hotkeys, in the order of their UIDs, without coldkeys and
// of an unknown block.
func Hotkeys(hotkeys ...string) Metagraph {
	neurons := make([]Neuron, len(hotkeys))
	for uid, hotkey := range hotkeys {
		neurons[uid].Hotkey = hotkey
	}
	return Metagraph{Neurons: neurons}
}

// UID returns the UID at which a hotkey is registered. Ask each time: a hotkey can move.
func (m Metagraph) UID(hotkey string) (uid organic.UID, ok bool) {
	i := slices.IndexFunc(m.Neurons, func(n Neuron) bool { return n.Hotkey == hotkey })
	if i < 0 || i >= maxNeurons {
		return 0, false
	}
	return organic.UID(i), true
}

// check refuses what cannot be a subnet. An empty metagraph is what a failed look-up leaves behind,
// and would erase all scores.
func (m Metagraph) check() error {
	switch {
	case len(m.Neurons) == 0:
		return fmt.Errorf("%w: it has no neurons", ErrMetagraph)
	case len(m.Neurons) > maxNeurons:
		return fmt.Errorf(
			"%w: %d neurons, at most %d have a UID",
			ErrMetagraph,
			len(m.Neurons),
			maxNeurons,
		)
	}
	seen := make(map[string]int, len(m.Neurons))
	for uid, neuron := range m.Neurons {
		if neuron.Hotkey == "" {
			return fmt.Errorf("%w: UID %d has no hotkey", ErrMetagraph, uid)
		}
		if !utf8.ValidString(neuron.Hotkey) { // a snapshot could not hold it
			return fmt.Errorf("%w: the hotkey of UID %d is no UTF-8", ErrMetagraph, uid)
		}
		if first, twice := seen[neuron.Hotkey]; twice {
			return fmt.Errorf("%w: UIDs %d and %d have the same hotkey", ErrMetagraph, first, uid)
		}
		seen[neuron.Hotkey] = uid
	}
	return nil
}

// missingMiner is a miner whose UID was missing in a metagraph.
type missingMiner struct {
	miner miner
	since time.Time
}

// SetMetagraph sets which hotkey holds which UID from now on. Call it whenever the metagraph was
// read: the first time before any update. A miner whose hotkey has changed starts with a score of
// 0. UIDs that are missing, since the metagraph is shorter than the one before, keep their scores
// for a grace period (see [WithGrace]), and get them back if the same hotkey is at the same UID
// again.
//
// On an error everything stays as it was. It wraps ErrMetagraph for one that cannot be a subnet's,
// and is ErrOldMetagraph if it was read at an earlier block than the one before. A Block of 0 is
// not compared.
func (s *Scores) SetMetagraph(metagraph Metagraph) error {
	if err := metagraph.check(); err != nil {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if metagraph.Block != 0 && metagraph.Block < s.block {
		return fmt.Errorf("%w: block %d, after block %d", ErrOldMetagraph, metagraph.Block, s.block)
	}
	s.block = max(s.block, metagraph.Block)
	s.reconcile(slices.Clone(metagraph.Neurons), now)
	return nil
}

// reconcile keeps the miners that are where they were, and brings back those that were missing. The
// time of a new miner begins now, and that of the very first ones was always.
func (s *Scores) reconcile(neurons []Neuron, now time.Time) {
	since := now
	if len(s.miners) == 0 {
		since = time.Time{}
	}
	s.setAside(len(neurons), now)
	miners := make([]miner, len(neurons))
	s.coldkeys = make(map[string]string, len(neurons))
	for uid, neuron := range neurons {
		gone, wasMissing := s.missing[organic.UID(uid)]
		switch {
		case uid < len(s.miners) && s.miners[uid].hotkey == neuron.Hotkey:
			miners[uid] = s.miners[uid]
		case wasMissing && gone.miner.hotkey == neuron.Hotkey:
			miners[uid] = gone.miner
		default:
			miners[uid] = miner{hotkey: neuron.Hotkey, since: since}
		}
		delete(s.missing, organic.UID(uid))
		s.coldkeys[neuron.Hotkey] = neuron.Coldkey
	}
	s.neurons, s.miners = neurons, miners
	s.widest = max(s.widest, len(miners))
	s.version++
}

// setAside keeps the miners from UID n on for the grace period, and forgets those whose period is
// over.
func (s *Scores) setAside(n int, now time.Time) {
	for uid := n; uid < len(s.miners); uid++ {
		missing := missingMiner{miner: s.miners[uid], since: now}
		s.missing[organic.UID(uid)] = missing //nolint:gosec // is a UID
	}
	for uid, gone := range s.missing {
		if now.Sub(gone.since) > s.grace {
			delete(s.missing, uid)
		}
	}
}
