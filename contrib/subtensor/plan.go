package subtensor

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"golang.org/x/crypto/blake2b"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// Plan is what SetWeights would send at a block. It is a plain value.
type Plan struct {
	// Block is the height that everything was read at.
	Block uint64
	// UID is where the validator is registered.
	UID uint16
	// VersionKey is the version key that is sent.
	VersionKey uint64
	// Timelocked says that the weights are a commit that the chain reveals later, in RevealBlock
	// with the drand round RevealRound.
	Timelocked  bool
	RevealBlock uint64
	RevealRound uint64
	// ClockOffset is how far this machine's clock is ahead of the time of the block, which is up to
	// a block time ago. A clock that is wrong by more than two block times makes reveals fail.
	ClockOffset time.Duration

	call   []byte
	commit string // hash of a timelocked commit, 0x and hex
}

// commitVersion is the format of timelocked commits that this code writes.
const commitVersion = 4

// plan chooses the call by what the subnet asks for, and encodes it.
func (v *Validator) plan(p *preflight, vector weights.Vector) (Plan, error) {
	plan := Plan{
		Block: p.Number(), UID: *p.uid, VersionKey: v.versionKey(p), Timelocked: p.CommitReveal,
	}
	var err error
	if p.CommitReveal {
		err = v.planCommit(p, vector, &plan)
	} else {
		err = v.planPlain(p, vector, &plan)
	}
	return plan, err
}

func (v *Validator) planPlain(p *preflight, vector weights.Vector, plan *Plan) error {
	withMechanism, err := v.hasMechanismCall(p.meta, "set_mechanism_weights")
	if err != nil {
		return err
	}
	arguments := map[string]any{
		"netuid": v.netuid, "dests": vector.UIDs, "weights": vector.Weights,
		"version_key": plan.VersionKey,
	}
	call := "set_weights"
	if withMechanism {
		call, arguments["mecid"] = "set_mechanism_weights", v.mechanism
	}
	plan.call, err = p.meta.Call(subtensorModule, call, arguments)
	return err
}

func (v *Validator) planCommit(p *preflight, vector weights.Vector, plan *Plan) error {
	withMechanism, err := v.hasMechanismCall(p.meta, "commit_timelocked_mechanism_weights")
	if err != nil {
		return err
	}
	if p.CommitRevealVersion != commitVersion {
		return refusedBecause("IncorrectCommitRevealVersion",
			"the chain asks for version %d, %d is supported", p.CommitRevealVersion, commitVersion)
	}
	if err := v.planReveal(p, plan); err != nil {
		return err
	}
	commit, err := v.encrypt(vector, plan)
	if err != nil {
		return err
	}
	hash := blake2b.Sum256(commit)
	plan.commit = "0x" + hex.EncodeToString(hash[:])
	arguments := map[string]any{
		"netuid": v.netuid, "commit": commit, "reveal_round": plan.RevealRound,
		"commit_reveal_version": commitVersion,
	}
	call := "commit_timelocked_weights"
	if withMechanism {
		call, arguments["mecid"] = "commit_timelocked_mechanism_weights", v.mechanism
	}
	plan.call, err = p.meta.Call(subtensorModule, call, arguments)
	return err
}

// planReveal computes the block and the round of the reveal. A round that the chain has stored
// already would be refused, and one that is not published within the epoch of the reveal would make
// the chain drop the commit.
func (v *Validator) planReveal(p *preflight, plan *Plan) error {
	var err error
	if plan.RevealBlock, err = p.schedule.RevealBlock(p.RevealPeriod); err != nil {
		return fmt.Errorf("reveal block: %w", err)
	}
	plan.RevealRound = v.beacon.RevealRound(p.Number(), plan.RevealBlock, p.BlockTime, time.Now())
	if plan.RevealRound < p.lastRound {
		return refusedBecause("InvalidRevealRound", "round %d is before the chain's last, %d: "+
			"the clock is slow, or the chain follows another beacon (WithBeacon)",
			plan.RevealRound, p.lastRound)
	}
	if epoch := time.Duration(p.Tempo) * p.BlockTime; p.ahead > epoch {
		return refusedBecause("InvalidRevealRound", "round %d is published more than %v too late",
			plan.RevealRound, epoch)
	}
	return nil
}

func (v *Validator) encrypt(vector weights.Vector, plan *Plan) ([]byte, error) {
	content := timelock.Weights{Hotkey: v.hotkey, VersionKey: plan.VersionKey, Values: vector.Weights}
	for _, uid := range vector.UIDs {
		content.UIDs = append(content.UIDs, uint16(uid))
	}
	plaintext, err := content.Encode()
	if err != nil {
		return nil, &weights.ChainError{Kind: weights.ErrVector, Err: err}
	}
	return v.beacon.Encrypt(plaintext, plan.RevealRound)
}
