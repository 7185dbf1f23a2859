package subtensor

import (
	"context"
	"errors"
	"fmt"

	"github.com/organic-scoring/organic/contrib/weights"
)

// SetWeights submits a vector, plain or as a timelocked commit as the subnet asks for at that
// moment, and follows it until a block shows the outcome: see [weights.Chain] for the promises. All
// conditions of the chain are checked first, those of a later reveal too; what the chain would
// refuse is returned as the same *weights.ChainError and not sent.
//
// What is refused for a reason that passes is tried again with a fresh state, nonce and signature:
// once if the subnet has changed between plain and timelocked weights, if the reveal round came too
// late, or if the signature was made for another runtime, and at most three times if the nonce or
// the era were overtaken. A submission whose fate is not known is never repeated: it is looked for
// until its era has ended, over reconnects and reorganizations.
func (v *Validator) SetWeights(
	ctx context.Context, vector weights.Vector, report func(weights.Submission),
) (weights.Submission, error) {
	release, err := v.client.acquire(ctx, v.hotkey)
	if err != nil {
		return weights.Submission{}, err
	}
	defer release()
	for tries := make(attempts); ; {
		submission, err := v.setOnce(ctx, vector, report)
		err = classify(ctx, err)
		refusal, ok := errors.AsType[*weights.ChainError](err)
		if !ok || submission.State == weights.Submitted {
			return submission, err
		}
		if !v.again(tries, refusal) {
			v.explain(ctx, refusal)
			return submission, err
		}
	}
}

// attempts counts refusals by name.
type attempts map[string]int

// again reports whether an extrinsic that was refused, and has no effect, is worth another try at
// once.
func (v *Validator) again(tries attempts, refusal *weights.ChainError) bool {
	tries[refusal.Name]++
	switch refusal.Name {
	case "CommitRevealEnabled", "CommitRevealDisabled", "InvalidRevealRound":
		return tries[refusal.Name] <= 1
	case "BadProof":
		// The metadata may be of another runtime with the same version.
		v.client.runtimes.forgetAll()
		return tries[refusal.Name] <= 1
	case "Stale", "AncientBirthBlock", "PriorityTooLow":
		return tries[refusal.Name] < 3
	}
	return false
}

// explain adds to a refusal what a caller needs: how long to wait, or how wrong the clock is.
func (v *Validator) explain(ctx context.Context, refusal *weights.ChainError) {
	v.fillBlocks(ctx, refusal)
	if !errors.Is(refusal.Kind, weights.ErrClock) {
		return
	}
	s, err := v.client.best(ctx)
	if err != nil {
		return
	}
	if offset, err := s.clockOffset(ctx); err == nil {
		refusal.Err = errors.Join(refusal.Err,
			fmt.Errorf("subtensor: this machine's clock is %v ahead of block %d", offset, s.Number))
	}
}

// setOnce makes one try. An error with a submission that is None or Lost is a refusal.
func (v *Validator) setOnce(
	ctx context.Context, vector weights.Vector, report func(weights.Submission),
) (weights.Submission, error) {
	p, err := v.preflight(ctx)
	if err != nil {
		return weights.Submission{}, err
	}
	if err := v.check(p, vector); err != nil {
		return weights.Submission{}, err
	}
	plan, err := v.plan(p, vector)
	if err != nil {
		return weights.Submission{}, err
	}
	x, err := v.sign(ctx, p.snapshot, plan.call)
	if err != nil {
		return weights.Submission{}, err
	}
	submission := weights.Submission{
		State: weights.Submitted, Hash: x.hash.String(), Signed: x.signed, Expires: x.expires,
		Digest: vector.Digest(), Commit: plan.commit,
		RevealRound: plan.RevealRound, RevealBlock: plan.RevealBlock,
	}
	report(submission)
	if err := v.client.send(ctx, x); err != nil {
		if answer := classifyPool(err); !answer.taken {
			return weights.Submission{}, answer.refusal
		}
	}
	return v.awaitWeights(ctx, submission, x, report)
}

// notIncluded is the reason of a submission that is lost on its way.
const notIncluded = "its era has ended and no block contains it"

func (v *Validator) awaitWeights(
	ctx context.Context, submission weights.Submission, x extrinsic,
	report func(weights.Submission),
) (weights.Submission, error) {
	in, err := v.client.newSearch(x.hash, x.signed, x.expires).await(ctx, v.finality)
	if errors.Is(err, errNotIncluded) {
		submission.State, submission.Reason = weights.Lost, notIncluded
		report(submission)
		return submission, passing("ExtrinsicNotIncluded", err)
	}
	if err != nil {
		return submission, fmt.Errorf("looking for extrinsic %s: %w", submission.Hash, err)
	}
	settled, err := v.settle(ctx, submission, *in)
	if settled.State != weights.Submitted {
		report(settled)
	}
	return settled, err
}

// settle reads how a submission ended in the block that contains it. An extrinsic that failed gives
// a submission that is Lost, together with a *weights.ChainError. After another error the
// submission is unchanged.
func (v *Validator) settle(
	ctx context.Context, submission weights.Submission, in inclusion,
) (weights.Submission, error) {
	out, err := v.client.outcome(ctx, in)
	if errors.Is(err, ErrPruned) {
		return v.settleWithoutState(ctx, submission, in, err)
	}
	if err != nil {
		return submission, err
	}
	settled := submission
	settled.Block, settled.BlockHash = in.Number, in.Hash.String()
	if out.failure != nil {
		settled.State = weights.Lost
		settled.Reason = fmt.Sprintf("failed in block %d: %s", in.Number, out.failure.Name)
		return settled, out.failure
	}
	if submission.Timelocked() {
		if !v.committed(out, submission.Commit) {
			return submission, fmt.Errorf("%w: block %d does not show the commit",
				ErrBadReply, in.Number)
		}
		settled.State = weights.Committed
		settled.Evidence = fmt.Sprintf("event TimelockedWeightsCommitted in block %d", in.Number)
		return settled, nil
	}
	if err := v.confirm(ctx, in.view); err != nil {
		return submission, err
	}
	settled.State = weights.Included
	settled.Evidence = fmt.Sprintf("ExtrinsicSuccess and LastUpdate in block %d", in.Number)
	return settled, nil
}

// committed reports whether the events of an extrinsic show the commit with a hash.
func (v *Validator) committed(out outcome, commit string) bool {
	for _, event := range out.events {
		var content struct {
			Who   [32]byte
			Index uint16
			Hash  [32]byte
			Round uint64
		}
		if event.Is(subtensorModule, "TimelockedWeightsCommitted") &&
			event.Decode(&content) == nil && content.Who == v.hotkey &&
			content.Index == v.index() && Hash(content.Hash).String() == commit {
			return true
		}
	}
	return false
}

// confirm checks that the last update of the validator is that of the block.
func (v *Validator) confirm(ctx context.Context, block view) error {
	s, err := v.client.at(ctx, block)
	if err != nil {
		return err
	}
	st, err := v.standing(ctx, s, s.reads())
	if err != nil {
		return err
	}
	if st.lastUpdate < block.Number {
		return fmt.Errorf("%w: extrinsic has succeeded in block %d, but last update is block %d",
			ErrBadReply, block.Number, st.lastUpdate)
	}
	return nil
}

// settleWithoutState settles a submission whose block is so old that the node has discarded its
// state, by what the best block shows: the extrinsic has succeeded if the last update is its block.
func (v *Validator) settleWithoutState(
	ctx context.Context, submission weights.Submission, in inclusion, cause error,
) (weights.Submission, error) {
	s, err := v.client.best(ctx)
	if err != nil {
		return submission, err
	}
	st, err := v.standing(ctx, s, s.reads())
	if err != nil {
		return submission, err
	}
	submission.Block, submission.BlockHash = in.Number, in.Hash.String()
	if st.lastUpdate != in.Number {
		submission.State = weights.Lost
		submission.Reason = fmt.Sprintf(
			"included in block %d, whose events are gone; the last update is block %d",
			in.Number, st.lastUpdate)
		return submission, &weights.ChainError{Kind: weights.ErrRetry, Err: cause}
	}
	submission.State = weights.Included
	if submission.Timelocked() {
		submission.State = weights.Committed
	}
	submission.Evidence = fmt.Sprintf("LastUpdate is block %d, as seen in block %d",
		in.Number, s.Number)
	return submission, nil
}
