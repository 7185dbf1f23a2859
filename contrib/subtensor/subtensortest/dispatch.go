package subtensortest

import (
	"encoding/binary"
	"math"
	"slices"

	"golang.org/x/crypto/blake2b"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// weightsCall is set_weights and set_mechanism_weights.
type weightsCall struct {
	Netuid     uint16   `scale:"netuid"`
	Mechanism  uint8    `scale:"mecid,optional"`
	UIDs       []uint16 `scale:"dests"`
	Weights    []uint16 `scale:"weights"`
	VersionKey uint64   `scale:"version_key"`
}

// commitCall is commit_timelocked_weights and commit_timelocked_mechanism_weights.
type commitCall struct {
	Netuid    uint16 `scale:"netuid"`
	Mechanism uint8  `scale:"mecid,optional"`
	Commit    []byte `scale:"commit"`
	Round     uint64 `scale:"reveal_round"`
	Version   uint16 `scale:"commit_reveal_version"`
}

// axonCall is serve_axon.
type axonCall struct {
	Netuid       uint16   `scale:"netuid"`
	Version      uint32   `scale:"version"`
	IP           [16]byte `scale:"ip"`
	Port         uint16   `scale:"port"`
	IPType       uint8    `scale:"ip_type"`
	Protocol     uint8    `scale:"protocol"`
	Placeholder1 uint8    `scale:"placeholder1"`
	Placeholder2 uint8    `scale:"placeholder2"`
}

// axonInfo is the storage item Axons.
type axonInfo struct {
	Block        uint64   `scale:"block"`
	Version      uint32   `scale:"version"`
	IP           [16]byte `scale:"ip"`
	Port         uint16   `scale:"port"`
	IPType       uint8    `scale:"ip_type"`
	Protocol     uint8    `scale:"protocol"`
	Placeholder1 uint8    `scale:"placeholder1"`
	Placeholder2 uint8    `scale:"placeholder2"`
}

// calls decodes those that the node knows; only one is not nil.
type calls struct {
	weights *weightsCall
	commit  *commitCall
	axon    *axonCall
}

// parseCall returns no call for one that has no effect.
func (s *store) parseCall(data []byte) (c calls, err error) {
	pallet, call, err := s.metadata.ParseCall(data)
	if err != nil || pallet != "SubtensorModule" {
		return calls{}, err
	}
	switch call.Name {
	case "set_weights", "set_mechanism_weights":
		c.weights = new(weightsCall)
		err = call.Decode(c.weights)
	case "commit_timelocked_weights", "commit_timelocked_mechanism_weights":
		c.commit = new(commitCall)
		err = call.Decode(c.commit)
	case "serve_axon":
		c.axon = new(axonCall)
		err = call.Decode(c.axon)
	}
	return c, err
}

// dispatch executes a call and returns the name of its error, or nothing.
func (e *execution) dispatch(who [32]byte, data []byte) string {
	if forced := e.node.faults.dispatch; len(forced) > 0 {
		e.node.faults.dispatch = forced[1:]
		return forced[0]
	}
	c, err := e.parseCall(data)
	switch {
	case err != nil:
		return "Other"
	case c.weights != nil && e.flag(module+"CommitRevealWeightsEnabled", c.weights.Netuid):
		return "CommitRevealEnabled"
	case c.weights != nil:
		return e.setWeights(who, *c.weights)
	case c.commit != nil:
		return e.commit(who, *c.commit)
	case c.axon != nil:
		return e.serve(who, *c.axon)
	}
	return ""
}

// rules answers the questions that several checks ask.
func (s *store) uid(netuid uint16, who [32]byte) (uid uint16, registered bool) {
	registered = s.get(&uid, module+"Uids", netuid, who)
	return uid, registered
}

func (s *store) tooSoon(netuid uint16, mechanism uint8, uid uint16, height uint64) bool {
	var updates []uint64
	s.get(&updates, module+"LastUpdate", storageIndex(netuid, mechanism))
	if int(uid) >= len(updates) || updates[uid] == 0 {
		return false
	}
	return height-updates[uid] < s.number(module+"WeightsSetRateLimit", netuid)
}

func (s *store) touch(netuid uint16, mechanism uint8, uid uint16, height uint64) {
	var updates []uint64
	index := storageIndex(netuid, mechanism)
	s.get(&updates, module+"LastUpdate", index)
	for len(updates) <= int(uid) {
		updates = append(updates, 0)
	}
	updates[uid] = height
	s.set(updates, module+"LastUpdate", index)
}

func (s *store) hasMechanism(netuid uint16, mechanism uint8) string {
	switch {
	case !s.flag(module+"NetworksAdded", netuid):
		return "SubnetNotExists"
	case uint64(mechanism) >= s.optional(1, module+"MechanismCountCurrent", netuid):
		return "MechanismDoesNotExist"
	}
	return ""
}

func (s *store) hasPermit(netuid, uid uint16) bool {
	var permits []bool
	s.get(&permits, module+"ValidatorPermit", netuid)
	return int(uid) < len(permits) && permits[uid]
}

// setWeights is the chain's order of checks, for a call and for a reveal.
func (e *execution) setWeights(who [32]byte, c weightsCall) string {
	n := e.number(module+"SubnetworkN", c.Netuid)
	owner := who == e.account(module+"SubnetOwnerHotkey", c.Netuid)
	uid, registered := e.uid(c.Netuid, who)
	self := len(c.UIDs) == 1 && c.UIDs[0] == uid
	want := e.number(module+"WeightsVersionKey", c.Netuid)
	plain := !e.flag(module+"CommitRevealWeightsEnabled", c.Netuid)
	missing := e.hasMechanism(c.Netuid, c.Mechanism)
	sorted := slices.Sorted(slices.Values(c.UIDs))
	switch {
	case c.Netuid == 0:
		return "CanNotSetRootNetworkWeights"
	case len(c.UIDs) != len(c.Weights):
		return "WeightVecNotEqualSize"
	case missing != "":
		return missing
	case uint64(len(c.UIDs)) > n:
		return "UidsLengthExceedUidsInSubNet"
	case !registered:
		return "HotKeyNotRegisteredInSubNet"
	case e.lacksStake(c.Netuid, who):
		return "NotEnoughStakeToSetWeights"
	case want > 0 && c.VersionKey < want:
		return "IncorrectWeightVersionKey"
	case plain && e.tooSoon(c.Netuid, c.Mechanism, uid, e.block.number):
		return "SettingWeightsTooFast"
	case !self && !owner && !e.hasPermit(c.Netuid, uid):
		return "NeuronNoValidatorPermit"
	case len(slices.Compact(slices.Clone(sorted))) < len(sorted):
		return "DuplicateUids"
	case len(sorted) > 0 && uint64(sorted[len(sorted)-1]) >= n:
		return "UidVecContainInvalidOne"
	case !self && uint64(len(c.UIDs)) < min(e.number(module+"MinAllowedWeights", c.Netuid), n):
		return "WeightVecLengthIsLow"
	}
	index := storageIndex(c.Netuid, c.Mechanism)
	rows := make([]struct{ UID, Weight uint16 }, len(c.UIDs))
	for i := range rows {
		rows[i].UID, rows[i].Weight = c.UIDs[i], upscale(c.Weights[i], slices.Max(c.Weights))
	}
	e.set(rows, module+"Weights", index, uid)
	if plain {
		e.touch(c.Netuid, c.Mechanism, uid, e.block.number)
	}
	e.emit("SubtensorModule", "WeightsSet", []any{index, uid})
	return ""
}

// upscale stretches a weight so that the largest becomes 65535, in the chain's fixed-point
// arithmetic of 32 fractional bits.
func upscale(weight, largest uint16) uint16 {
	const unit, half = 1 << 32, 1 << 31
	w, most := uint64(weight), uint64(largest)
	switch {
	case most == 0:
		return 0
	case most > 32768:
		w *= math.MaxUint16 * unit / most
	default:
		w = w * math.MaxUint16 * unit / most
	}
	return uint16(min(math.MaxUint16, (w+half)/unit))
}

// maxUnrevealed is how many commits of one account an epoch may have.
const maxUnrevealed = 10

func (e *execution) commit(who [32]byte, c commitCall) string {
	uid, registered := e.uid(c.Netuid, who)
	missing := e.hasMechanism(c.Netuid, c.Mechanism)
	index := storageIndex(c.Netuid, c.Mechanism)
	epoch := e.optional(0, module+"SubnetEpochIndex", c.Netuid)
	var commits []commit
	e.get(&commits, module+"TimelockedWeightCommits", index, epoch)
	own := 0
	for _, each := range commits {
		if each.Who == who {
			own++
		}
	}
	switch {
	case missing != "":
		return missing
	case !e.flag(module+"CommitRevealWeightsEnabled", c.Netuid):
		return "CommitRevealDisabled"
	case uint64(c.Version) != e.number(module+"CommitRevealWeightsVersion"):
		return "IncorrectCommitRevealVersion"
	case !registered:
		return "HotKeyNotRegisteredInSubNet"
	case e.tooSoon(c.Netuid, c.Mechanism, uid, e.block.number):
		return "CommittingWeightsTooFast"
	case c.Round < e.optional(0, "Drand.LastStoredRound"):
		return "InvalidRevealRound"
	case own >= maxUnrevealed:
		return "TooManyUnrevealedCommits"
	}
	commits = append(commits, commit{who, e.block.number, c.Commit, c.Round})
	e.set(commits, module+"TimelockedWeightCommits", index, epoch)
	e.touch(c.Netuid, c.Mechanism, uid, e.block.number)
	hash := blake2b.Sum256(c.Commit)
	e.emit("SubtensorModule", "TimelockedWeightsCommitted", []any{who, index, hash, c.Round})
	return ""
}

func (e *execution) serve(who [32]byte, c axonCall) string {
	if _, registered := e.uid(c.Netuid, who); !registered {
		return "HotKeyNotRegisteredInNetwork"
	}
	switch failure := c.checkAddress(); {
	case failure != "":
		return failure
	case e.servingTooSoon(who, c.Netuid, e.block.number):
		return "ServingRateLimitExceeded"
	case c.Port == 0:
		return "InvalidPort"
	}
	e.set(axonInfo{
		Block: e.block.number, Version: c.Version, IP: c.IP, Port: c.Port, IPType: c.IPType,
		Protocol: c.Protocol, Placeholder1: c.Placeholder1, Placeholder2: c.Placeholder2,
	}, module+"Axons", c.Netuid, who)
	e.emit("SubtensorModule", "AxonServed", []any{c.Netuid, who})
	return ""
}

func (s *store) servingTooSoon(who [32]byte, netuid uint16, height uint64) bool {
	var served axonInfo
	if !s.get(&served, module+"Axons", netuid, who) || served.Block == 0 {
		return false
	}
	return height-served.Block < s.number(module+"ServingRateLimit", netuid)
}

// checkAddress is what the chain asks of an address.
func (c axonCall) checkAddress() string {
	low, high := binary.LittleEndian.Uint64(c.IP[:]), binary.LittleEndian.Uint64(c.IP[8:])
	const loopback4 = 0x7f000001
	switch {
	case c.IPType != 4 && c.IPType != 6:
		return "InvalidIpType"
	case c.IPType == 4 && (high > 0 || low >= math.MaxUint32 || low == loopback4),
		c.IPType == 6 && (high == 0 && low == 1 || high == math.MaxUint64 && low == math.MaxUint64):
		return "InvalidIpAddress"
	}
	return ""
}

// poolCheck is what runtimes from spec 425 on check before an extrinsic enters the pool. It returns
// the number of a custom error, or nil.
func (n *Node) poolCheck(s *store, parsed scale.Parsed) *uint8 {
	c, err := s.parseCall(parsed.Call)
	next := n.head().number + 1
	switch {
	case err != nil:
		return nil
	case c.weights != nil:
		return s.poolWeights(parsed.Key, *c.weights, next)
	case c.commit != nil && s.lacksStake(c.commit.Netuid, parsed.Key):
		return new(uint8(1))
	case c.commit != nil && c.commit.Round < s.optional(0, "Drand.LastStoredRound"):
		return new(uint8(15))
	case c.axon != nil:
		return s.poolAxon(parsed.Key, *c.axon, next)
	}
	return nil
}

func (s *store) poolWeights(who [32]byte, c weightsCall, height uint64) *uint8 {
	uid, registered := s.uid(c.Netuid, who)
	switch {
	case s.lacksStake(c.Netuid, who):
		return new(uint8(1))
	case s.flag(module+"CommitRevealWeightsEnabled", c.Netuid):
		return nil
	case registered && s.tooSoon(c.Netuid, c.Mechanism, uid, height):
		return new(uint8(6))
	}
	return nil
}

func (s *store) poolAxon(who [32]byte, c axonCall, height uint64) *uint8 {
	_, registered := s.uid(c.Netuid, who)
	switch {
	case !registered:
		return new(uint8(10))
	case c.checkAddress() == "InvalidIpType":
		return new(uint8(255))
	case c.checkAddress() != "":
		return new(uint8(11))
	case s.servingTooSoon(who, c.Netuid, height):
		return new(uint8(12))
	case c.Port == 0:
		return new(uint8(13))
	}
	return nil
}

func (s *store) lacksStake(netuid uint16, who [32]byte) bool {
	var stake uint64
	if uid, registered := s.uid(netuid, who); registered {
		stake = s.stake(netuid, uid)
	}
	owner := s.account(module+"SubnetOwnerHotkey", netuid)
	return who != owner && stake < s.optional(0, module+"StakeThreshold")
}
