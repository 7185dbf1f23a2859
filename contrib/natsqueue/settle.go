package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// askAgain is the delay of a sample that could not be given up as it should,
// or that no key of this queue opens.
const askAgain = 10 * time.Second

// settle carries out the verdict on a lease.
func (q *Queue[S]) settle(
	ctx context.Context, d *delivery[S], verdict organic.Verdict,
) (err error) {
	if err := q.state.settle(d); err != nil {
		return err
	}
	switch verdict.Outcome {
	case organic.OutcomeScored:
		err = q.end(ctx, d)
		q.count(func(s *Stats) { s.Scored++ })
	case organic.OutcomeDead:
		err = q.endDead(ctx, d, durable.CauseDead, verdict.Err)
	case organic.OutcomeDiscarded:
		err = q.endDead(ctx, d, durable.CauseDiscarded, verdict.Err)
	case organic.OutcomeRetry, organic.OutcomeReturn:
		q.count(func(s *Stats) { s.GivenBack++ })
		err = q.giveBack(ctx, d, verdict.Outcome == organic.OutcomeRetry, max(verdict.Delay, 0))
	default:
		err = fmt.Errorf("natsqueue: unknown outcome %d, the sample is given back", verdict.Outcome)
		err = errors.Join(err, q.giveBack(ctx, d, false, 0))
	}
	if err != nil {
		q.count(func(s *Stats) { s.Unsettled++ })
	}
	return err
}

// end removes a sample for good. If the server does not confirm it, a later
// delivery to this process ends at once.
func (q *Queue[S]) end(ctx context.Context, d *delivery[S]) error {
	err := retry(ctx, func(ctx context.Context) (bool, error) {
		err := d.finish().DoubleAck(ctx)
		if errors.Is(err, nats.ErrNoResponders) {
			gone := errors.Is(q.refresh(ctx), organic.ErrGone)
			return gone || q.state.remote().identity != d.remote.identity, goneError(d)
		}
		if err := denied(q.conn, "$JS.ACK."+q.cfg.name); err != nil {
			return true, err
		}
		return errors.Is(err, nats.ErrConnectionClosed), err
	})
	if err != nil {
		return fmt.Errorf("natsqueue: end sample %s: %w", d.id, err)
	}
	q.state.ended(d)
	q.removeRecord(ctx, d)
	return nil
}

func goneError[S any](d *delivery[S]) error {
	return fmt.Errorf("%w: the stream or consumer that sample %s came from", organic.ErrGone, d.id)
}

// endDead copies a sample to the dead letters and then ends it.
func (q *Queue[S]) endDead(
	ctx context.Context, d *delivery[S], cause durable.Cause, reason error,
) error {
	if err := q.bury(ctx, d, cause, reason); err != nil {
		return errors.Join(err, q.giveBack(ctx, d, false, askAgain))
	}
	q.count(func(s *Stats) { s.DeadLettered++ })
	return q.end(ctx, d)
}

// giveBack has a sample delivered again after a delay, unless it is too old by
// then. The record is stored first, since the server forgets the delay if it is
// killed. A sample that was not leased and has a record keeps it.
func (q *Queue[S]) giveBack(
	ctx context.Context, d *delivery[S], failed bool, delay time.Duration,
) error {
	if q.isExpired(&d.sample, delay) {
		err := q.end(ctx, d)
		q.dropped(d, organic.DroppedExpired)
		return err
	}
	due := time.Now().Add(delay)
	if d.wasLeased || d.record.revision == 0 {
		err := q.storeRecord(ctx, d, "back", func(r *record) {
			if failed {
				r.Failures++
			}
			if d.pessimistic {
				r.Crashes--
			}
			r.NotBefore = 0
			if delay > 0 {
				r.NotBefore = due.UnixMilli() + 1
			}
		})
		if errors.Is(err, durable.ErrLeaseOver) {
			q.state.forget(d)
		}
		if err != nil {
			return err
		}
	}
	msg := d.release()
	q.state.returned(d, due) // before the nak, which may bring it again at once
	if err := msg.NakWithDelay(delay); err != nil {
		return fmt.Errorf("natsqueue: give back sample %s: %w", d.id, err)
	}
	return nil
}

// sendBack is giveBack without a lease, in the background of the queue.
func (q *Queue[S]) sendBack(ctx context.Context, d *delivery[S], delay time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	if q.giveBack(ctx, d, false, delay) != nil {
		q.count(func(s *Stats) { s.Unsettled++ }) // it comes back after WithAckWait
		q.state.forget(d)
	}
}

// giveUp ends a sample that must not reach a scorer, and reports it.
func (q *Queue[S]) giveUp(
	ctx context.Context, d *delivery[S], reason organic.DropReason, cause durable.Cause, err error,
) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	if cause != "" {
		err = q.bury(ctx, d, cause, err)
	} else {
		err = nil
	}
	if err == nil {
		err = q.end(ctx, d)
	}
	if err != nil {
		q.count(func(s *Stats) { s.Unsettled++ })
		q.sendBack(ctx, d, askAgain)
		return
	}
	q.dropped(d, reason)
}
