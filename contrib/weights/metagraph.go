package weights

import (
	"fmt"
	"math"
	"slices"

	"github.com/organic-scoring/organic"
)

// maxNeurons is how many UIDs there can be.
const maxNeurons = math.MaxUint16 + 1

// Neuron is who holds a UID.
type Neuron struct {
	Hotkey string // SS58 address, or any other unique name
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
		return fmt.Errorf("%w: %d neurons, at most %d have a UID", ErrMetagraph, len(m.Neurons), maxNeurons)
	}
	seen := make(map[string]int, len(m.Neurons))
	for uid, neuron := range m.Neurons {
		if neuron.Hotkey == "" {
			return fmt.Errorf("%w: UID %d has no hotkey", ErrMetagraph, uid)
		}
		if first, twice := seen[neuron.Hotkey]; twice {
			return fmt.Errorf("%w: UIDs %d and %d have the same hotkey", ErrMetagraph, first, uid)
		}
		seen[neuron.Hotkey] = uid
	}
	return nil
}
