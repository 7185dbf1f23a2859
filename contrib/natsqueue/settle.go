package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
)

// confirmFor is how long the server has to confirm before it is asked again,
// the first time; it has twice as long each time after.
const confirmFor = 500 * time.Millisecond

// mostDone bounds what is remembered of verdicts that the server has not got.
const mostDone = 10_000

// settle carries out a verdict.
func (q *Queue[S]) settle(ctx context.Context, d *delivery[S], verdict organic.Verdict) error {
	reply, over, err := d.settle()
	if err != nil {
		return err
	}
	switch verdict.Outcome {
	case organic.OutcomeScored:
		err = q.endLease(ctx, d)
		q.counts.scored.Add(1)
	case organic.OutcomeDead:
		err = q.endDead(ctx, d, reply, CauseDead, verdict.Err)
	case organic.OutcomeDiscarded:
		err = q.endDead(ctx, d, reply, CauseDiscarded, verdict.Err)
	case organic.OutcomeRetry, organic.OutcomeReturn:
		err = q.giveBack(ctx, d, reply, over, max(verdict.Delay, 0))
	default:
		err = errors.Join(fmt.Errorf("natsqueue: verdict has the outcome %d, sample is given back", verdict.Outcome),
			q.giveBack(ctx, d, reply, over, 0))
	}
	if err != nil {
		q.counts.unsettled.Add(1)
	}
	if over {
		err = errors.Join(ErrLeaseOver, err)
	}
	return err
}

// endLease ends a sample that was leased, for good. Until the server has
// confirmed it, the sample is not handed out by this process again.
func (q *Queue[S]) endLease(ctx context.Context, d *delivery[S]) error {
	q.mu.Lock()
	if again := q.held[d.seq]; again != nil && again != d {
		q.withdraw(again)
	}
	q.forget(d)
	if len(q.done) >= mostDone {
		clear(q.done) // what comes again is scored again
	}
	q.done[d.seq] = d.header.Get(nats.MsgIdHdr)
	q.measure()
	q.mu.Unlock()
	err := q.end(ctx, d)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		delete(q.done, d.seq)
	}
	return err
}

// withdraw takes a later delivery of a sample that is settled now out of what
// is held ahead. The lock is held.
func (q *Queue[S]) withdraw(d *delivery[S]) {
	for i, ahead := range q.buffer {
		if ahead == d {
			q.buffer = slices.Delete(q.buffer, i, i+1)
			q.forget(d)
			return
		}
	}
}

// endDead copies a sample to the dead letters and then ends it.
func (q *Queue[S]) endDead(ctx context.Context, d *delivery[S], reply string, cause Cause, reason error) error {
	if err := q.bury(ctx, d, cause, reason); err != nil {
		q.postpone(d, time.Now().Add(askAgain))
		return errors.Join(err, q.confirm(ctx, reply, nak(askAgain)))
	}
	q.counts.deadLettered.Add(1)
	return q.endLease(ctx, d)
}

// giveBack has a sample delivered again after a delay, unless it is too old by
// then.
func (q *Queue[S]) giveBack(ctx context.Context, d *delivery[S], reply string, over bool, delay time.Duration) error {
	q.counts.givenBack.Add(1)
	if over {
		return nil // it went back before
	}
	if q.isExpired(&d.sample, delay) {
		err := q.endLease(ctx, d)
		q.dropped(d, organic.DroppedExpired, d.attempts)
		return err
	}
	q.postpone(d, time.Now().Add(delay))
	return q.confirm(ctx, reply, nak(delay))
}

// end has the server remove a sample.
func (q *Queue[S]) end(ctx context.Context, d *delivery[S]) error {
	d.mu.Lock()
	reply := d.reply
	d.mu.Unlock()
	return q.confirm(ctx, reply, ackDone)
}

// confirm sends an answer to a delivery until the server has confirmed it or
// ctx ends. An ending does no harm twice. A nak that is repeated after AckWait
// can give back the sample of a process that has got it since, which then is
// tried once more.
func (q *Queue[S]) confirm(ctx context.Context, reply string, answer []byte) error {
	limit := confirmFor
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := q.confirmOnce(ctx, reply, answer, limit)
		limit *= 2
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("%w: verdict is not confirmed: %w", ErrUnavailable, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (q *Queue[S]) confirmOnce(ctx context.Context, reply string, answer []byte, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_, err := q.conn.RequestWithContext(ctx, reply, answer)
	return err
}
