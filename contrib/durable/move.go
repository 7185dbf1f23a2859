package durable

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/organic-scoring/organic"
)

// settleTimeout is how long Settle may take, as when the scorer calls it.
const settleTimeout = 10 * time.Second

// Move moves the samples of one queue to another and returns how many, until
// from returns organic.ErrEmpty. It adds each sample to the second queue before
// it settles it in the first, as scored, so an interruption loses none; the
// sample that was being moved can then be in both, and a second Move with the
// same queues repairs that if the second refuses duplicates.
//
// Samples that are leased or wait for a delay stay in from: call Move again
// until from holds none. Dead letters stay. Give the second queue the capacity
// for all samples: one that drops samples when it is full drops them here too.
// Stop what adds to from before, so that Move comes to an end.
func Move[S any](ctx context.Context, from, to organic.Queue[S]) (moved int, err error) {
	for ctx.Err() == nil {
		lease, err := from.Sample(ctx)
		if errors.Is(err, organic.ErrEmpty) {
			return moved, nil
		}
		if err != nil {
			return moved, fmt.Errorf("durable: move: take a sample: %w", err)
		}
		if err := moveLease(ctx, from, to, lease); err != nil {
			return moved, fmt.Errorf("durable: move sample %s: %w", lease.Sample.ID, err)
		}
		moved++
	}
	return moved, context.Cause(ctx)
}

func moveLease[S any](
	ctx context.Context,
	from, to organic.Queue[S],
	lease organic.Lease[S],
) error {
	err := to.Add(ctx, lease.Sample)
	verdict := organic.Verdict{Outcome: organic.OutcomeScored}
	if err != nil && !errors.Is(err, organic.ErrDuplicate) {
		verdict = organic.Verdict{Outcome: organic.OutcomeReturn, Err: err}
	} else {
		err = nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	switch {
	case lease.Settle != nil:
		return errors.Join(err, lease.Settle(ctx, verdict))
	case err != nil:
		return errors.Join(err, from.Add(ctx, lease.Sample))
	}
	return nil
}
