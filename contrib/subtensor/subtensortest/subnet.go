package subtensortest

import (
	"encoding/binary"
	"slices"

	"github.com/organic-scoring/organic/contrib/keys"
)

// Neuron is a neuron of a [Subnet]; its UID is its position.
type Neuron struct {
	Hotkey keys.Hotkey
	// Coldkey is the owner; 0 means one of its own, with the bytes of the hotkey.
	Coldkey keys.Hotkey
	// Stake is the stake weight, which StakeThreshold is compared with.
	Stake      uint64
	Permit     bool
	LastUpdate uint64
}

// Subnet describes a subnet. Where 0 is the chain's default, it is so here.
type Subnet struct {
	Neurons []Neuron
	// Owner is the hotkey of the owner.
	Owner keys.Hotkey
	// Tempo in blocks; 0 means 360.
	Tempo uint16
	// CommitReveal asks for timelocked commits. Plain weights are asked for otherwise.
	CommitReveal bool
	// RevealPeriod in epochs; 0 means 1.
	RevealPeriod uint64
	// RateLimit is the least number of blocks between two sets of weights.
	RateLimit uint64
	// MinAllowed is the least number of weights.
	MinAllowed uint16
	// VersionKey is the least version key.
	VersionKey uint64
	// Mechanisms is how many there are; 0 means 1.
	Mechanisms uint8
}

// AddSubnet adds a subnet to the state of the best block, or replaces it.
func (n *Node) AddSubnet(netuid uint16, subnet Subnet) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.netuids, netuid) {
		n.netuids = append(n.netuids, netuid)
	}
	s := n.headStore()
	s.subnet("SubtensorModule.", netuid, subnet, n.head().number)
	s.neurons("SubtensorModule.", netuid, subnet)
	return s.err
}

// SetStake sets the stake weight of a neuron in the state of the best block.
func (n *Node) SetStake(netuid, uid uint16, stake uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.head().values[stakeKey(netuid, uid)] = le64(stake)
}

func (s *store) subnet(module string, netuid uint16, subnet Subnet, height uint64) {
	s.set(true, module+"NetworksAdded", netuid)
	s.set(len(subnet.Neurons), module+"SubnetworkN", netuid)
	if subnet.Tempo > 0 {
		s.set(subnet.Tempo, module+"Tempo", netuid)
	}
	if subnet.RevealPeriod > 0 {
		s.set(subnet.RevealPeriod, module+"RevealPeriodEpochs", netuid)
	}
	if subnet.Mechanisms > 0 {
		s.set(subnet.Mechanisms, module+"MechanismCountCurrent", netuid)
	}
	if s.has(module + "LastEpochBlock") {
		s.set(height, module+"LastEpochBlock", netuid)
	}
	s.set(subnet.CommitReveal, module+"CommitRevealWeightsEnabled", netuid)
	s.set(subnet.RateLimit, module+"WeightsSetRateLimit", netuid)
	s.set(subnet.MinAllowed, module+"MinAllowedWeights", netuid)
	s.set(subnet.VersionKey, module+"WeightsVersionKey", netuid)
	s.set([32]byte(subnet.Owner), module+"SubnetOwnerHotkey", netuid)
}

func (s *store) neurons(module string, netuid uint16, subnet Subnet) {
	mechanisms := uint16(s.optional(1, module+"MechanismCountCurrent", netuid)) //nolint:gosec // a u8
	permits := make([]bool, len(subnet.Neurons))
	updates := make([]uint64, len(subnet.Neurons))
	for i, neuron := range subnet.Neurons {
		uid := uint16(i)
		hotkey := [32]byte(neuron.Hotkey)
		permits[i], updates[i] = neuron.Permit, neuron.LastUpdate
		s.set(uid, module+"Uids", netuid, hotkey)
		s.set(hotkey, module+"Keys", netuid, uid)
		owner := neuron.Coldkey
		if owner == (keys.Hotkey{}) {
			owner = neuron.Hotkey
		}
		s.set([32]byte(owner), module+"Owner", hotkey)
		s.set(true, module+"IsNetworkMember", hotkey, netuid)
		s.values[stakeKey(netuid, uid)] = le64(neuron.Stake)
	}
	s.set(permits, module+"ValidatorPermit", netuid)
	for mechanism := range mechanisms {
		s.set(updates, module+"LastUpdate", storageIndex(netuid, uint8(mechanism)))
	}
}

// storageIndex is where the values of a mechanism of a subnet are stored.
func storageIndex(netuid uint16, mechanism uint8) uint16 { return uint16(mechanism)*4096 + netuid }

func (s *store) stake(netuid, uid uint16) uint64 {
	data := s.values[stakeKey(netuid, uid)]
	if len(data) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(data)
}
