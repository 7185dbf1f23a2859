package subtensortest

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

const module = "SubtensorModule."

// execution makes one block: it changes the state and writes events.
type execution struct {
	store
	node   *Node
	block  *block
	phase  scale.Variant
	events []map[string]any
}

func (e *execution) run() {
	e.phase = scale.Variant{Name: "Initialization"}
	e.set(e.block.number, "System.Number")
	e.setTime(e.block.time, e.node.cfg.Pulses)
	for _, netuid := range e.node.netuids {
		e.epoch(netuid)
		for mechanism := range e.optional(1, module+"MechanismCountCurrent", netuid) {
			e.reveal(netuid, uint8(mechanism))
		}
	}
	e.inherent()
	e.node.apply(e)
	if e.node.next != nil {
		e.emit("System", "CodeUpdated", nil)
	}
	e.set(e.events, "System.Events")
}

// setTime writes the time, and which pulses are known at it.
func (s *store) setTime(now time.Time, pulses Pulses) {
	s.set(uint64(now.UnixMilli()), "Timestamp.Now")
	if s.has("Drand.LastStoredRound") {
		s.set(pulses.Last(now), "Drand.LastStoredRound")
	}
}

func (e *execution) emit(pallet, name string, content any) {
	e.events = append(e.events, map[string]any{
		"phase":  e.phase,
		"event":  scale.Variant{Name: pallet, Value: scale.Variant{Name: name, Value: content}},
		"topics": [][32]byte{},
	})
}

// schedule is the state of a subnet's epochs after the parent of the block.
func (e *execution) schedule(netuid uint16) timelock.Schedule {
	return timelock.Schedule{
		LastEpochBlock:      e.optional(0, module+"LastEpochBlock", netuid),
		PendingEpochAt:      e.optional(0, module+"PendingEpochAt", netuid),
		SubnetEpochIndex:    e.optional(0, module+"SubnetEpochIndex", netuid),
		Tempo:               uint16(e.number(module+"Tempo", netuid)), //nolint:gosec // a u16
		BlocksSinceLastStep: e.number(module+"BlocksSinceLastStep", netuid),
		CurrentBlock:        e.block.number - 1,
	}
}

// epoch begins an epoch of a subnet if this is the block for it.
func (e *execution) epoch(netuid uint16) {
	s := e.schedule(netuid)
	begins, err := s.NextEpochBlock()
	if err != nil && !errors.Is(err, timelock.ErrTempo) {
		e.fail(err)
		return
	}
	if err != nil || begins != e.block.number || !e.has(module+"LastEpochBlock") {
		e.set(s.BlocksSinceLastStep+1, module+"BlocksSinceLastStep", netuid)
		return
	}
	e.set(e.block.number, module+"LastEpochBlock", netuid)
	e.set(uint64(0), module+"PendingEpochAt", netuid)
	e.set(s.SubnetEpochIndex+1, module+"SubnetEpochIndex", netuid)
	e.set(uint64(0), module+"BlocksSinceLastStep", netuid)
}

// commit is an entry of TimelockedWeightCommits.
type commit struct {
	Who    [32]byte
	Block  uint64
	Commit []byte
	Round  uint64
}

// reveal decrypts the commits whose epoch it is, as far as their pulses are known, and removes what
// is older.
func (e *execution) reveal(netuid uint16, mechanism uint8) {
	index := storageIndex(netuid, mechanism)
	epoch := e.optional(0, module+"SubnetEpochIndex", netuid)
	period := e.number(module+"RevealPeriodEpochs", netuid)
	if epoch < period {
		return
	}
	e.removeCommits(index, epoch-period)
	var commits, waiting []commit
	e.get(&commits, module+"TimelockedWeightCommits", index, epoch-period)
	for _, c := range commits {
		signature, known := e.node.cfg.Pulses.Pulse(c.Round)
		if !known || c.Round > e.optional(0, "Drand.LastStoredRound") {
			waiting = append(waiting, c)
			continue
		}
		e.open(netuid, mechanism, c, signature)
	}
	switch {
	case len(waiting) == len(commits):
	case len(waiting) == 0:
		e.remove(module+"TimelockedWeightCommits", index, epoch-period)
	default:
		e.set(waiting, module+"TimelockedWeightCommits", index, epoch-period)
	}
}

// removeCommits removes the commits of a mechanism from before an epoch. The key of an epoch ends
// with its number.
func (e *execution) removeCommits(index uint16, before uint64) {
	_, prefix := e.key(module+"TimelockedWeightCommits", []any{index})
	for key := range e.values {
		if e.err == nil && strings.HasPrefix(key, prefix) && len(key) >= len(prefix)+8 &&
			binary.LittleEndian.Uint64([]byte(key[len(key)-8:])) < before {
			delete(e.values, key)
		}
	}
}

// open reveals a commit. Whatever is wrong with it leaves no trace, as on the chain.
func (e *execution) open(netuid uint16, mechanism uint8, c commit, signature []byte) {
	if e.node.faults.loseReveals > 0 {
		e.node.faults.loseReveals--
		return
	}
	plaintext, err := timelock.Decrypt(c.Commit, signature)
	if err != nil {
		return
	}
	w, err := timelock.DecodeWeights(plaintext)
	if err != nil || w.Hotkey != c.Who {
		return
	}
	call := weightsCall{
		Netuid: netuid, Mechanism: mechanism, UIDs: w.UIDs, Weights: w.Values, VersionKey: w.VersionKey,
	}
	if e.setWeights(c.Who, call) == "" {
		index := storageIndex(netuid, mechanism)
		e.emit("SubtensorModule", "TimelockedWeightsRevealed", []any{index, c.Who})
	}
}

// inherent is the first extrinsic of each block, which sets the time.
func (e *execution) inherent() {
	call, err := e.metadata.Call("Timestamp", "set", map[string]any{"now": e.number("Timestamp.Now")})
	e.fail(err)
	e.begin(scale.AppendBytes(nil, append([]byte{4}, call...)))
	e.end("")
}

// begin adds an extrinsic to the block; end writes how it ended.
func (e *execution) begin(extrinsic []byte) {
	index := uint32(len(e.block.extrinsics)) //nolint:gosec // few
	e.phase = scale.Variant{Name: "ApplyExtrinsic", Value: index}
	e.block.extrinsics = append(e.block.extrinsics, extrinsic)
}

func (e *execution) end(failure string) {
	info := map[string]any{
		"weight": map[string]any{"ref_time": 1000, "proof_size": 10}, "class": "Normal", "pays_fee": "No",
	}
	if failure == "" {
		e.emit("System", "ExtrinsicSuccess", map[string]any{"dispatch_info": info})
		return
	}
	content := map[string]any{"dispatch_error": e.dispatchError(failure), "dispatch_info": info}
	e.emit("System", "ExtrinsicFailed", content)
}

// dispatchError is the error of a pallet if one has it, else one of the runtime itself.
func (e *execution) dispatchError(name string) scale.Variant {
	for _, p := range e.metadata.Pallets {
		if p.Errors == nil {
			continue
		}
		for _, v := range e.metadata.Types[*p.Errors].Variants {
			if v.Name == name {
				return scale.Variant{Name: "Module", Value: map[string]any{
					"index": p.Index, "error": [4]byte{v.Index},
				}}
			}
		}
	}
	return scale.Variant{Name: name}
}
