package subtensor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// ErrNoSubnet is returned for a subnet that does not exist at the block that was read.
var ErrNoSubnet = errors.New("subtensor: no such subnet")

// Metagraph is the neurons of a subnet at one block. It is a plain value.
type Metagraph struct {
	Netuid uint16
	// Block is the height at which it was read, and Hash that block's hash.
	Block uint64
	Hash  Hash
	// Owner is the hotkey of the subnet's owner. It need not be registered.
	Owner keys.Hotkey
	// Neurons are indexed by UID. There are no gaps.
	Neurons []Neuron
}

// Neuron is a miner or validator of a subnet. It is a plain value.
type Neuron struct {
	UID             organic.UID
	Hotkey, Coldkey keys.Hotkey
	// Permit says that the neuron may set weights for others.
	Permit bool
	// Active says that the neuron, as a validator, has set weights recently enough to count.
	Active bool
	// Stake is the stake weight in RAO (1e9 to the TAO), which the chain compares with its
	// threshold.
	Stake uint64
	// LastUpdate is the block of the last weights, or of the last commit of weights; 0 if never.
	LastUpdate uint64
	// Axon is the address that the neuron has published. It is not valid if there is none, or if
	// what is published is not an address.
	Axon netip.AddrPort
}

// UID returns the UID at which a hotkey is registered. Ask each time: a hotkey can move.
func (m Metagraph) UID(hotkey keys.Hotkey) (uid organic.UID, ok bool) {
	i := slices.IndexFunc(m.Neurons, func(n Neuron) bool { return n.Hotkey == hotkey })
	if i < 0 {
		return 0, false
	}
	return m.Neurons[i].UID, true
}

// Weights returns the metagraph as contrib/weights takes it, for Scores.SetMetagraph.
func (m Metagraph) Weights() weights.Metagraph {
	neurons := make([]weights.Neuron, len(m.Neurons))
	for i, neuron := range m.Neurons {
		neurons[i] = weights.Neuron{Hotkey: neuron.Hotkey.String(), Coldkey: neuron.Coldkey.String()}
	}
	return weights.Metagraph{Block: m.Block, Neurons: neurons}
}

// Validators returns the hotkeys that have a permit and at least so much stake weight in RAO, for
// the allow list of an axon: list.Replace(metagraph.Validators(1_000e9)...).
func (m Metagraph) Validators(minStake uint64) []keys.Hotkey {
	var hotkeys []keys.Hotkey
	for _, neuron := range m.Neurons {
		if neuron.validates(minStake) {
			hotkeys = append(hotkeys, neuron.Hotkey)
		}
	}
	return hotkeys
}

func (n Neuron) validates(minStake uint64) bool { return n.Permit && n.Stake >= minStake }

// Miners returns the neurons that have published an axon and are none of the Validators, in the
// order of their UIDs: those that a validator asks. Another validator that is asked gets to see
// what users ask.
func (m Metagraph) Miners(minStake uint64) []Neuron {
	return slices.DeleteFunc(m.Targets(), func(n Neuron) bool { return n.validates(minStake) })
}

// Targets returns the neurons that have published an axon, in the order of their UIDs: those that
// can be queried.
func (m Metagraph) Targets() []Neuron {
	var targets []Neuron
	for _, neuron := range m.Neurons {
		if neuron.Axon.IsValid() {
			targets = append(targets, neuron)
		}
	}
	return targets
}

// Metagraph reads the neurons of a subnet at the best block. The error wraps [ErrNoSubnet] for a
// subnet that does not exist, [scale.ErrNotFound] or [scale.ErrType] for a runtime that does not
// offer the metagraph in a form that can be read, and [ErrBadReply] if what was read contradicts
// itself.
func (c *Client) Metagraph(ctx context.Context, netuid uint16) (Metagraph, error) {
	s, err := c.best(ctx)
	if err != nil {
		return Metagraph{}, err
	}
	metagraph, err := s.metagraph(ctx, netuid)
	if err != nil {
		return Metagraph{}, fmt.Errorf("metagraph of subnet %d: %w", netuid, err)
	}
	return metagraph, nil
}

func (s snapshot) metagraph(ctx context.Context, netuid uint16) (Metagraph, error) {
	m := Metagraph{Netuid: netuid, Block: s.Number, Hash: s.Hash}
	_, err := s.meta.API(subnetAPI, selectiveMetagraph)
	if err == nil {
		err = s.selectiveMetagraph(ctx, &m)
	} else {
		err = s.neuronsLite(ctx, &m)
	}
	if err != nil {
		return Metagraph{}, err
	}
	seen := make(map[keys.Hotkey]organic.UID, len(m.Neurons))
	for _, neuron := range m.Neurons {
		if first, twice := seen[neuron.Hotkey]; twice {
			return Metagraph{}, fmt.Errorf("%w: UIDs %d and %d have the same hotkey",
				ErrBadReply, first, neuron.UID)
		}
		seen[neuron.Hotkey] = neuron.UID
	}
	return m, nil
}

const (
	subnetAPI          = "SubnetInfoRuntimeApi"
	selectiveMetagraph = "get_selective_metagraph"
)

// selective is what is read of a selective metagraph, by the chain's names.
type selective struct {
	Owner      *[32]byte   `scale:"owner_hotkey"`
	Hotkeys    *[][32]byte `scale:"hotkeys"`
	Coldkeys   *[][32]byte `scale:"coldkeys"`
	Axons      *[]axonInfo `scale:"axons"`
	Active     *[]bool     `scale:"active"`
	Permit     *[]bool     `scale:"validator_permit"`
	LastUpdate *[]uint64   `scale:"last_update"`
	Stake      *[]uint64   `scale:"total_stake"`
}

var selectiveFields = []string{
	"owner_hotkey", "hotkeys", "coldkeys", "axons", "active", "validator_permit", "last_update",
	"total_stake",
}

// selectivePositions returns the positions of fields, which is how the runtime is asked for them.
func (s snapshot) selectivePositions(fields ...string) ([]uint16, error) {
	api, err := s.meta.API(subnetAPI, selectiveMetagraph)
	if err != nil {
		return nil, fmt.Errorf("subtensor: %w", err)
	}
	positions := make([]uint16, len(fields))
	for i, field := range fields {
		position, err := s.meta.FieldIndex(api.Output(), field)
		if err != nil {
			return nil, fmt.Errorf("subtensor: %s: %w", api.Name(), err)
		}
		positions[i] = uint16(position) //nolint:gosec // a record has few fields
	}
	return positions, nil
}

func (s snapshot) selectiveMetagraph(ctx context.Context, m *Metagraph) error {
	positions, err := s.selectivePositions(selectiveFields...)
	if err != nil {
		return err
	}
	var answer *selective
	if err := s.invoke(ctx, &answer, subnetAPI, selectiveMetagraph, m.Netuid, positions); err != nil {
		return err
	}
	if answer == nil {
		return ErrNoSubnet
	}
	if answer.Owner == nil || answer.Hotkeys == nil || answer.Coldkeys == nil || answer.Axons == nil ||
		answer.Active == nil || answer.Permit == nil || answer.LastUpdate == nil || answer.Stake == nil {
		return fmt.Errorf("%w to %s: a field that was asked for is missing",
			ErrBadReply, selectiveMetagraph)
	}
	n := len(*answer.Hotkeys)
	for _, length := range []int{
		len(*answer.Coldkeys), len(*answer.Axons), len(*answer.Active), len(*answer.Permit),
		len(*answer.LastUpdate), len(*answer.Stake),
	} {
		if length != n {
			return fmt.Errorf("%w to %s: lists of %d and %d neurons",
				ErrBadReply, selectiveMetagraph, n, length)
		}
	}
	m.Owner = *answer.Owner
	m.Neurons = make([]Neuron, n)
	for i := range m.Neurons {
		m.Neurons[i] = Neuron{
			UID: organic.UID(i), Hotkey: (*answer.Hotkeys)[i], Coldkey: (*answer.Coldkeys)[i],
			Permit: (*answer.Permit)[i], Active: (*answer.Active)[i], Stake: (*answer.Stake)[i],
			LastUpdate: (*answer.LastUpdate)[i], Axon: (*answer.Axons)[i].address(),
		}
	}
	return nil
}

// neuronLite is what is read of a neuron where the runtime has no selective metagraph.
type neuronLite struct {
	Hotkey     [32]byte `scale:"hotkey"`
	Coldkey    [32]byte `scale:"coldkey"`
	UID        uint16   `scale:"uid"`
	Active     bool     `scale:"active"`
	Axon       axonInfo `scale:"axon_info"`
	Stake      []staked `scale:"stake"`
	LastUpdate uint64   `scale:"last_update"`
	Permit     bool     `scale:"validator_permit"`
}

type staked struct {
	Account [32]byte
	Amount  uint64
}

func (s snapshot) neuronsLite(ctx context.Context, m *Metagraph) error {
	var neurons []neuronLite
	err := s.invoke(ctx, &neurons, "NeuronInfoRuntimeApi", "get_neurons_lite", m.Netuid)
	if err != nil {
		return err
	}
	var exists bool
	r := s.reads()
	r.add(&exists, "NetworksAdded", m.Netuid)
	r.add((*[32]byte)(&m.Owner), "SubnetOwnerHotkey", m.Netuid)
	if err := s.read(ctx, r); err != nil {
		return err
	}
	if !exists {
		return ErrNoSubnet
	}
	m.Neurons = make([]Neuron, len(neurons))
	for i, n := range neurons {
		if int(n.UID) != i {
			return fmt.Errorf("%w to get_neurons_lite: UID %d where %d is due", ErrBadReply, n.UID, i)
		}
		var stake uint64
		for _, part := range n.Stake {
			stake += part.Amount
		}
		m.Neurons[i] = Neuron{
			UID: organic.UID(n.UID), Hotkey: n.Hotkey, Coldkey: n.Coldkey, Permit: n.Permit,
			Active: n.Active, Stake: stake, LastUpdate: n.LastUpdate, Axon: n.Axon.address(),
		}
	}
	return nil
}

// axonInfo is an axon as the chain stores it.
type axonInfo struct {
	Block        uint64   `scale:"block"`
	Version      uint32   `scale:"version"`
	IP           [16]byte `scale:"ip"` // a number, little-endian
	Port         uint16   `scale:"port"`
	IPType       uint8    `scale:"ip_type"`
	Protocol     uint8    `scale:"protocol"`
	Placeholder1 uint8    `scale:"placeholder1"`
	Placeholder2 uint8    `scale:"placeholder2"`
}

// address returns the address, which is not valid if the record has none.
func (a axonInfo) address() netip.AddrPort {
	if a.Port == 0 || a.IP == [16]byte{} {
		return netip.AddrPort{}
	}
	big := a.IP
	slices.Reverse(big[:])
	switch {
	case a.IPType == 6:
		return netip.AddrPortFrom(netip.AddrFrom16(big), a.Port)
	case a.IPType == 4 && [12]byte(big[:12]) == [12]byte{}:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(big[12:])), a.Port)
	}
	return netip.AddrPort{}
}

// number returns an address as the chain has it: a little-endian number, and the kind.
func number(addr netip.Addr) (ip [16]byte, kind uint8) {
	if addr.Is4() {
		four := addr.As4()
		binary.LittleEndian.PutUint32(ip[:], binary.BigEndian.Uint32(four[:]))
		return ip, 4
	}
	ip = addr.As16()
	slices.Reverse(ip[:])
	return ip, 6
}

// isMissing reports whether an error is that the runtime lacks an item.
func isMissing(err error) bool { return errors.Is(err, scale.ErrNotFound) }
