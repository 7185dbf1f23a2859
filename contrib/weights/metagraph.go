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

// Metagraph is the neurons of a subnet, indexed by UID. It has no gaps, as on
// the chain. Treat it as a value: make a new one instead of changing it, since
// samples in flight may refer to the old one.
type Metagraph []Neuron

// Hotkeys returns the metagraph of these hotkeys, in the order of their UIDs,
// without coldkeys.
func Hotkeys(hotkeys ...string) Metagraph {
	metagraph := make(Metagraph, len(hotkeys))
	for uid, hotkey := range hotkeys {
		metagraph[uid].Hotkey = hotkey
	}
	return metagraph
}

// UID looks up where a hotkey is registered. Ask each time: a hotkey can move.
func (m Metagraph) UID(hotkey string) (uid organic.UID, ok bool) {
	i := slices.IndexFunc(m, func(n Neuron) bool { return n.Hotkey == hotkey })
	if i < 0 || i >= maxNeurons {
		return 0, false
	}
	return organic.UID(i), true
}

// check refuses what cannot be a subnet. An empty metagraph is what a failed
// look-up leaves behind, and would wipe out all scores.
func (m Metagraph) check() error {
	switch {
	case len(m) == 0:
		return fmt.Errorf("%w: it has no neurons", ErrMetagraph)
	case len(m) > maxNeurons:
		return fmt.Errorf("%w: %d neurons, at most %d have a UID", ErrMetagraph, len(m), maxNeurons)
	}
	seen := make(map[string]int, len(m))
	for uid, neuron := range m {
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
