package boltqueue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

const (
	// expirePerCall is how many expired samples one call removes from the
	// index, so that no call takes long.
	expirePerCall = 100
	// unknownKeyDelay is when a sample is tried again that the cipher cannot
	// open.
	unknownKeyDelay = 30 * time.Second
)

// Add stores a sample; when it returns nil, the sample is on the disk. A call
// that comes while another is being stored shares the next sync with all that
// wait then.
//
// A full queue drops its oldest waiting samples, of which one can be the new
// sample itself if it was received before all others, or returns
// organic.ErrFull. Add returns organic.ErrDuplicate for an ID that the queue
// holds, durable.ErrTooLarge for a sample whose record is larger than
// MaxBytes or 2 GiB, and organic.ErrGone if the file was removed. A ctx that has
// ended is an error; one that ends later does not interrupt Add.
func (q *Queue[S]) Add(ctx context.Context, sample organic.Sample[S]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if sample.Received.IsZero() {
		sample.Received = time.Now()
	}
	return q.add(&sample, q.cfg.Refuse)
}

// add stores a sample. The transaction has these other ops too.
func (q *Queue[S]) add(sample *organic.Sample[S], refuse bool, others ...op) error {
	body, err := q.coder.Encode(*sample)
	if err != nil {
		return err
	}
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	record := pack(sampleHeader{ID: sample.ID, Sealed: q.coder.Sealed()}, body)
	e := newEntry(sample, len(record)+checksumSize)
	e.state.Failures = max(sample.Attempt, 1) - 1
	e.stored = e.state.Failures > 0
	dropped, wait, err := q.reserve(e, refuse)
	for wait && err == nil {
		if err = q.commits.commit(); err == nil { // ends with what is being added now
			dropped, wait, err = q.reserve(e, refuse)
		}
	}
	if err != nil {
		return fmt.Errorf("boltqueue: add sample %s: %w", sample.ID, err)
	}
	if len(dropped) == 1 && dropped[0] == e {
		q.notify([]organic.Dropped{e.dropped(organic.DroppedFull)}, false)
		return nil
	}
	ops := append([]op{put(sampleBucket, e.number, record)}, others...)
	if e.stored {
		ops = append(ops, put(stateBucket, e.number, pack(e.state, nil)))
	}
	for _, victim := range dropped {
		ops = append(ops, victim.removal()...)
	}
	err = q.commits.commit(ops...)
	q.added(e, dropped, err)
	return err
}

// reserve numbers a sample that is to be stored and holds a place for it.
// It returns wait if only samples that are being added are in the way, which can
// be dropped when they are stored.
func (q *Queue[S]) reserve(e *entry, refuse bool) (dropped []*entry, wait bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.index.expire(time.Now(), expirePerCall)
	e.number = q.next
	q.next++
	dropped, err = q.index.reserve(e, refuse)
	q.reschedule()
	if errors.Is(err, organic.ErrFull) && !refuse && q.index.adding() > 0 {
		return nil, true, nil
	}
	return dropped, false, err
}

// added ends what reserve has begun.
func (q *Queue[S]) added(e *entry, dropped []*entry, err error) {
	var drops []organic.Dropped
	q.mu.Lock()
	if err == nil {
		q.index.wait(e)
		for _, victim := range dropped {
			q.index.forget(victim)
			drops = append(drops, victim.dropped(organic.DroppedFull))
		}
	} else {
		q.index.release(e)
		q.index.forget(e)
		q.index.restore(dropped)
	}
	q.reschedule()
	q.mu.Unlock()
	q.notify(drops, err == nil)
}

// removal is the ops that remove a sample.
func (e *entry) removal() []op {
	ops := []op{{in: sampleBucket, key: e.number}}
	if e.stored {
		ops = append(ops, op{in: stateBucket, key: e.number})
	}
	return ops
}

// Sample leases a sample, or returns organic.ErrEmpty. It reads the file and
// does not wait for the disk. The lease lasts until it is settled or the queue
// is closed.
//
// An error that wraps durable.ErrUnknownKey means that the cipher could not
// open a sample; it is tried again after 30 s. One that wraps [ErrCorrupt]
// means that the record was damaged while the queue was open; it is not handed
// out any more. A record that the codec cannot decode becomes a dead letter.
// After [ErrFailed] nothing is handed out, since no verdict could be stored.
func (q *Queue[S]) Sample(ctx context.Context) (organic.Lease[S], error) {
	if ctx.Err() != nil {
		return organic.Lease[S]{}, context.Cause(ctx)
	}
	if err := q.enter(); err != nil {
		return organic.Lease[S]{}, err
	}
	defer q.leave()
	if err := q.store.usable(); err != nil {
		return organic.Lease[S]{}, err
	}
	for {
		e, err := q.take()
		if err != nil {
			return organic.Lease[S]{}, err
		}
		sample, err := q.read(e)
		switch {
		case err == nil:
			return organic.Lease[S]{Sample: sample, Settle: q.settler(e)}, nil
		case errors.Is(err, durable.ErrUndecodable):
			q.giveUp(retirement{
				entry: e, cause: durable.CauseUndecodable, reason: err, drop: organic.DroppedDead,
			})
		case errors.Is(err, durable.ErrUnknownKey):
			q.postpone(e, unknownKeyDelay)
			return organic.Lease[S]{}, err
		default: // stays leased, so that it is not handed out any more
			return organic.Lease[S]{}, err
		}
	}
}

// take leases the next sample that has not crashed too often.
func (q *Queue[S]) take() (*entry, error) {
	now := time.Now()
	q.mu.Lock()
	q.startTending()
	arrived := q.index.endDelays(now)
	q.index.expire(now, expirePerCall)
	e := q.index.take(now)
	for e != nil && e.state.Crashes >= q.cfg.MaxCrashes {
		q.index.leased--
		q.index.retire(retirement{entry: e, cause: durable.CauseCrashes, drop: organic.DroppedDead})
		e = q.index.take(now)
	}
	q.reschedule()
	q.mu.Unlock()
	if arrived {
		q.notify(nil, true)
	}
	if e == nil {
		return nil, organic.ErrEmpty
	}
	return e, nil
}

// read reads the sample of an entry.
func (q *Queue[S]) read(e *entry) (organic.Sample[S], error) {
	stored, err := q.store.read(sampleBucket, e.number)
	if err != nil {
		return organic.Sample[S]{}, err
	}
	var h sampleHeader
	body, err := unpack(sampleBucket, e.number, stored, &h)
	if err != nil {
		return organic.Sample[S]{}, corrupt("record of sample %s: %w", e.id, err)
	}
	sample, err := q.coder.Decode(h.ID, body, h.Sealed)
	if err != nil {
		return organic.Sample[S]{}, fmt.Errorf("boltqueue: %w", err)
	}
	sample.Attempt = e.state.Failures + 1
	return sample, nil
}

// giveUp retires a leased sample.
func (q *Queue[S]) giveUp(r retirement) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.index.leased--
	q.index.retire(r)
	q.reschedule()
}

// postpone delays a leased sample in memory alone.
func (q *Queue[S]) postpone(e *entry, delay time.Duration) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.index.leased--
	e.state.delay(now, delay)
	q.index.giveBack(e, now)
	q.reschedule()
}

// settler returns the Settle of a lease.
func (q *Queue[S]) settler(e *entry) func(context.Context, organic.Verdict) error {
	slot := q.journal.lease(e.number)
	var settled atomic.Bool
	return func(_ context.Context, verdict organic.Verdict) error {
		if err := q.enter(); err != nil {
			return err
		}
		defer q.leave()
		if settled.Swap(true) {
			return durable.ErrSettled
		}
		defer q.journal.release(slot)
		switch verdict.Outcome {
		case organic.OutcomeScored:
			return q.end(e, retirement{entry: e})
		case organic.OutcomeDead:
			return q.end(e, retirement{entry: e, cause: durable.CauseDead, reason: verdict.Err})
		case organic.OutcomeDiscarded:
			return q.end(
				e,
				retirement{entry: e, cause: durable.CauseDiscarded, reason: verdict.Err},
			)
		case organic.OutcomeRetry:
			return q.giveBack(e, 1, verdict.Delay)
		case organic.OutcomeReturn:
			return q.giveBack(e, 0, verdict.Delay)
		default:
			unknown := fmt.Errorf(
				"boltqueue: unknown outcome %d, sample is given back",
				verdict.Outcome,
			)
			return errors.Join(unknown, q.giveBack(e, 0, 0))
		}
	}
}

// end removes a leased sample. If that cannot be stored now, the sample is not
// handed out again by this process, and removing it is tried again.
func (q *Queue[S]) end(e *entry, r retirement) error {
	err := q.remove([]retirement{r})
	if err != nil {
		q.giveUp(r)
		return fmt.Errorf("boltqueue: settle sample %s: %w", e.id, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.index.leased--
	q.index.release(e)
	return nil
}

// giveBack makes a leased sample wait again, after its delay.
func (q *Queue[S]) giveBack(e *entry, failures int, delay time.Duration) (err error) {
	now := time.Now()
	state := e.state // of the one who holds the lease
	state.Failures += failures
	state.delay(now, delay)
	if failures > 0 || delay > 0 || e.stored {
		err = q.commits.commit(put(stateBucket, e.number, pack(state, nil)))
	}
	q.mu.Lock()
	q.index.leased--
	e.state, e.stored = state, e.stored || failures > 0 || delay > 0
	q.index.giveBack(e, time.Now())
	q.reschedule()
	q.mu.Unlock()
	if delay <= 0 {
		q.notify(nil, true)
	}
	if err != nil {
		return fmt.Errorf("boltqueue: settle sample %s: %w", e.id, err)
	}
	return nil
}
