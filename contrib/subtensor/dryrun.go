package subtensor

import (
	"context"

	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// DryRun does what SetWeights would do up to the sending: it makes all checks, builds and signs the
// extrinsic, and asks the node whether its pool would take it. It sends nothing. The errors are
// those of SetWeights; the plan is what was found until then.
func (v *Validator) DryRun(ctx context.Context, vector weights.Vector) (Plan, error) {
	plan, err := v.dryRun(ctx, vector)
	return plan, classify(ctx, err)
}

func (v *Validator) dryRun(ctx context.Context, vector weights.Vector) (Plan, error) {
	p, err := v.preflight(ctx)
	if err != nil {
		return Plan{}, err
	}
	if err := v.check(p, vector); err != nil {
		return Plan{Block: p.Number()}, err
	}
	plan, err := v.plan(p, vector)
	if err != nil {
		return plan, err
	}
	if plan.ClockOffset, err = p.clockOffset(ctx); err != nil {
		return plan, err
	}
	x, err := v.sign(ctx, p.snapshot, plan.call)
	if err != nil {
		return plan, err
	}
	return plan, v.validate(ctx, p.snapshot, x)
}

// validity is the answer of TaggedTransactionQueue_validate_transaction.
type validity struct {
	Valid *scale.Raw `scale:"Ok"`
	Err   *struct {
		Invalid *invalidTransaction `scale:"Invalid"`
		Unknown *string             `scale:"Unknown"`
	} `scale:"Err"`
}

type invalidTransaction struct {
	Name   string `scale:",name"`
	Custom *uint8 `scale:"Custom"`
}

// validate asks the runtime whether it would take an extrinsic.
func (v *Validator) validate(ctx context.Context, s snapshot, x extrinsic) error {
	var answer validity
	err := s.invoke(ctx, &answer, "TaggedTransactionQueue", "validate_transaction",
		"External", scale.Raw{Bytes: x.bytes}, s.Hash)
	switch {
	case err != nil:
		return err
	case answer.Valid != nil:
		return nil
	case answer.Err != nil && answer.Err.Invalid != nil:
		name := answer.Err.Invalid.Name
		if number := answer.Err.Invalid.Custom; number != nil {
			name = customName(*number)
		}
		refusal := &weights.ChainError{Kind: kindOf(name), Name: name}
		v.fillBlocks(ctx, refusal)
		return refusal
	default:
		return passing("UnknownValidity", nil)
	}
}
