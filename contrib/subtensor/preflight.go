package subtensor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// preflight is what weights are checked against, all of it read at one block.
type preflight struct {
	snapshot
	Hyperparameters
	standing
	stake      uint64
	stakeKnown bool
	schedule   EpochSchedule // for timelocked weights only
	lastRound  uint64        // the last one that the chain has stored; for timelocked weights only
	ahead      time.Duration // how far this machine's clock is; for timelocked weights only
	unrevealed int           // own commits that wait for their reveal; for timelocked weights only
}

// preflight reads what SetWeights must know. Everything that timelocked weights need is required
// for them, since the chain drops them without an error where it would refuse plain ones.
func (v *Validator) preflight(ctx context.Context) (*preflight, error) {
	s, err := v.client.best(ctx)
	if err != nil {
		return nil, err
	}
	p := &preflight{snapshot: s}
	if p.Hyperparameters, err = s.hyperparameters(ctx, v.netuid); err != nil {
		return nil, err
	}
	if p.standing, err = v.standing(ctx, s, s.reads()); err != nil {
		return nil, err
	}
	if err := v.readStake(ctx, p); err != nil {
		return nil, err
	}
	if p.CommitReveal {
		err = v.readReveals(ctx, p)
	}
	return p, err
}

// readStake reads the stake weight of the hotkey. Plain weights do without it where the runtime
// does not offer it: the chain checks it again.
func (v *Validator) readStake(ctx context.Context, p *preflight) error {
	if p.uid == nil || p.StakeThreshold == 0 {
		p.stakeKnown = true
		return nil
	}
	positions, err := p.selectivePositions("total_stake")
	if err == nil {
		var answer *struct {
			Stake *[]uint64 `scale:"total_stake"`
		}
		err = p.invoke(ctx, &answer, subnetAPI, selectiveMetagraph, v.netuid, positions)
		if err == nil && (answer == nil || answer.Stake == nil || int(*p.uid) >= len(*answer.Stake)) {
			return fmt.Errorf("%w to %s: no stake of UID %d", ErrBadReply, selectiveMetagraph, *p.uid)
		}
		if err == nil {
			p.stake, p.stakeKnown = (*answer.Stake)[*p.uid], true
		}
	}
	if isUnreadable(err) && !p.CommitReveal {
		return nil
	}
	return err
}

// timelockedCommit is a commit as the chain stores it.
type timelockedCommit struct {
	Who    [32]byte
	Block  uint64
	Commit []byte
	Round  uint64
}

func (v *Validator) readReveals(ctx context.Context, p *preflight) error {
	_, err := p.meta.Storage(subtensorModule, "StakeThreshold") // of which plain weights need none
	if err != nil {
		return fmt.Errorf("subtensor: %w", err)
	}
	if p.schedule, err = p.epochSchedule(ctx, v.netuid); err != nil {
		return err
	}
	epoch, err := p.schedule.CommitEpoch()
	if err != nil {
		return err
	}
	var commits []timelockedCommit
	r := p.reads()
	r.addFrom(&p.lastRound, "Drand", "LastStoredRound")
	r.add(&commits, "TimelockedWeightCommits", v.index(), epoch)
	if err := p.read(ctx, r); err != nil {
		return err
	}
	if p.ahead, err = p.clockOffset(ctx); err != nil {
		return err
	}
	for _, commit := range commits {
		if commit.Who == v.hotkey {
			p.unrevealed++
		}
	}
	return nil
}

// maxUnrevealed is how many commits of a hotkey may wait for their reveal in an epoch.
const maxUnrevealed = 10

// check makes the chain's checks in the chain's order, for an extrinsic in the next block. The
// result is a *weights.ChainError with the chain's name of the refusal.
func (v *Validator) check(p *preflight, vector weights.Vector) error {
	n := int(p.Neurons)
	switch {
	case v.netuid == 0:
		return refused("CanNotSetRootNetworkWeights")
	case len(vector.UIDs) != len(vector.Weights):
		return refused("WeightVecNotEqualSize")
	case v.mechanism >= p.Mechanisms:
		return refused("MechanismDoesNotExist")
	case len(vector.UIDs) > n:
		return refused("UidsLengthExceedUidsInSubNet")
	case p.uid == nil:
		return refused("HotKeyNotRegisteredInSubNet")
	case !p.owner && p.stakeKnown && p.stake < p.StakeThreshold:
		return refusedBecause("NotEnoughStakeToSetWeights",
			"stake weight is %d RAO, %d are required", p.stake, p.StakeThreshold)
	}
	if err := v.checkVersionKey(p); err != nil {
		return err
	}
	if err := p.checkRate(); err != nil {
		return err
	}
	alone := len(vector.UIDs) == 1 && vector.UIDs[0] == organic.UID(*p.uid)
	switch {
	case !p.permit && !alone && !p.owner:
		return refused("NeuronNoValidatorPermit")
	case hasDuplicates(vector.UIDs):
		return refused("DuplicateUids")
	case len(vector.UIDs) > 0 && int(slices.Max(vector.UIDs)) >= n:
		return refused("UidVecContainInvalidOne")
	case !alone && len(vector.UIDs) < min(int(p.MinAllowedWeights), n):
		return refused("WeightVecLengthIsLow")
	}
	return nil
}

func (v *Validator) checkVersionKey(p *preflight) error {
	if v.version == nil || p.WeightsVersionKey == 0 || *v.version >= p.WeightsVersionKey {
		return nil
	}
	refusal := refused("IncorrectWeightVersionKey")
	refusal.Want = p.WeightsVersionKey
	return refusal
}

// checkRate checks the limits for the next block, which is the first that can include an extrinsic.
func (p *preflight) checkRate() error {
	if wait := p.blocksToWait(); wait > 0 {
		name := "SettingWeightsTooFast"
		if p.CommitReveal {
			name = "CommittingWeightsTooFast"
		}
		refusal := refused(name)
		refusal.Blocks = wait
		return refusal
	}
	if p.unrevealed >= maxUnrevealed {
		refusal := refused("TooManyUnrevealedCommits")
		refusal.Blocks = p.blocksToEpoch()
		return refusal
	}
	return nil
}

// blocksToWait returns how many blocks must pass until weights are accepted in the next one.
func (p *preflight) blocksToWait() uint64 {
	return blocksUntil(p.lastUpdate, p.WeightsRateLimit, p.Number())
}

// blocksUntil returns how many blocks must pass after the head until the next one is the limit away
// from the last use; 0 if there was none. A limit can be the highest number.
func blocksUntil(last, limit, head uint64) uint64 {
	next := head + 1
	since := next - min(last, next)
	if last == 0 || since >= limit {
		return 0
	}
	return limit - since
}

// blocksToEpoch returns how many blocks must pass until a commit in the next one belongs to another
// epoch; 0 if it cannot be told.
func (p *preflight) blocksToEpoch() uint64 {
	next, err := p.schedule.NextEpochBlock()
	if err != nil || next <= p.Number()+1 {
		return 0
	}
	return next - p.Number() - 1
}

// Number returns the height of the block that all was read at.
func (p *preflight) Number() uint64 { return p.snapshot.Number }

func hasDuplicates(uids []organic.UID) bool {
	sorted := slices.Sorted(slices.Values(uids))
	return len(slices.Compact(sorted)) < len(uids)
}

// fillBlocks computes how long to wait after a refusal that says that it is too soon, from what the
// chain shows now. It stays 0 if that cannot be read.
func (v *Validator) fillBlocks(ctx context.Context, refusal *weights.ChainError) {
	if refusal.Kind != weights.ErrTooSoon || refusal.Blocks > 0 { //nolint:errorlint // a sentinel
		return
	}
	p, err := v.preflight(ctx)
	switch {
	case err != nil:
	case refusal.Name == "TooManyUnrevealedCommits":
		refusal.Blocks = p.blocksToEpoch()
	default:
		refusal.Blocks = p.blocksToWait()
	}
}

// versionKey returns the version key to send.
func (v *Validator) versionKey(p *preflight) uint64 {
	if v.version != nil {
		return *v.version
	}
	return p.WeightsVersionKey
}

// hasMechanismCall reports whether the runtime has the call with a mechanism; without one, only the
// first mechanism can be set.
func (v *Validator) hasMechanismCall(meta *scale.Metadata, call string) (bool, error) {
	if meta.HasCall(subtensorModule, call) {
		return true, nil
	}
	if v.mechanism > 0 {
		return false, &scale.NotFoundError{Kind: "call", Name: subtensorModule + "." + call}
	}
	return false, nil
}
