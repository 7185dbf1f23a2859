package boltqueue

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/organic-scoring/organic/contrib/durable"
)

// letterOf makes the dead letter of a sample that is retired.
func (q *Queue[S]) letterOf(r retirement) (number uint64, stored op, err error) {
	header := letterHeader{Cause: r.cause, Attempts: r.entry.failures(), Time: time.Now()}
	record, err := q.store.read(sampleBucket, r.entry.number)
	if err != nil {
		return 0, op{}, err
	}
	body, err := unpack(sampleBucket, r.entry.number, record, &header.sampleHeader)
	if err != nil {
		return 0, op{}, corrupt("record of sample %s: %w", r.entry.id, err)
	}
	reason := r.reason
	if r.cause == durable.CauseCrashes {
		reason = fmt.Errorf(
			"boltqueue: %d deliveries ended with the death of the process",
			r.entry.state.Crashes,
		)
	}
	header.Reason, err = q.coder.EncodeReason(r.entry.id, reason)
	if err != nil {
		header.Reason = nil // a dead letter without its reason rather than none
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next++
	return q.next - 1, put(letterBucket, q.next-1, pack(header, body)), nil
}

// excessLetters returns the oldest dead letters, which are forgotten when so
// many are added.
func (q *Queue[S]) excessLetters(added int) []uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	excess := len(q.letters) + added - q.cfg.DeadLetters
	return slices.Clone(q.letters[:min(max(excess, 0), len(q.letters))])
}

// replaceLetters notes which dead letters are stored. The lock is held.
func (q *Queue[S]) replaceLetters(gone, added []uint64) {
	q.letters = append(q.letters, added...)
	slices.Sort(q.letters)
	for _, number := range gone {
		if i, ok := slices.BinarySearch(q.letters, number); ok {
			q.letters = slices.Delete(q.letters, i, i+1)
		}
	}
}

// DeadLetters iterates over the dead letters, the oldest first. The loop may
// call PutBack and Forget.
func (q *Queue[S]) DeadLetters(ctx context.Context) iter.Seq2[durable.DeadLetter[S], error] {
	return func(yield func(durable.DeadLetter[S], error) bool) {
		for next := uint64(0); ; {
			number, letter, err := q.letterFrom(ctx, next)
			if number == 0 && err == nil {
				return
			}
			if !yield(letter, err) || err != nil {
				return
			}
			next = number + 1
		}
	}
}

// letterFrom returns the first dead letter with this number or a higher one; a
// number of 0 means none.
func (q *Queue[S]) letterFrom(
	ctx context.Context, from uint64,
) (number uint64, letter durable.DeadLetter[S], err error) {
	if ctx.Err() != nil {
		return 0, letter, context.Cause(ctx)
	}
	if err := q.enter(); err != nil {
		return 0, letter, err
	}
	defer q.leave()
	number, stored, err := q.store.firstFrom(letterBucket, from)
	if err != nil || number == 0 {
		return 0, letter, err
	}
	var h letterHeader
	body, err := unpack(letterBucket, number, stored, &h)
	if err != nil {
		return number, letter, corrupt("dead letter %d: %w", number, err)
	}
	letter = durable.DeadLetter[S]{
		Number:   number,
		ID:       h.ID,
		Cause:    h.Cause,
		Reason:   q.coder.DecodeReason(h.ID, h.Reason, h.Sealed),
		Attempts: h.Attempts,
		Time:     h.Time,
	}
	letter.Sample, letter.Err = q.coder.Decode(h.ID, body, h.Sealed)
	if letter.Err == nil {
		letter.Sample.Attempt = h.Attempts + 1
	}
	return number, letter, nil
}

// find returns the dead letter of a number.
func (q *Queue[S]) find(ctx context.Context, number uint64) (durable.DeadLetter[S], error) {
	found, letter, err := q.letterFrom(ctx, number)
	if err == nil && (found == 0 || found != number) {
		err = fmt.Errorf("%w: %d", durable.ErrNoDeadLetter, number)
	}
	return letter, err
}

// PutBack moves the sample of a dead letter into the queue again, in one
// transaction, see [durable.Queue].
func (q *Queue[S]) PutBack(ctx context.Context, number uint64) error {
	letter, err := q.find(ctx, number)
	if err != nil {
		return err
	}
	if letter.Err != nil {
		return fmt.Errorf("boltqueue: put back: %w", letter.Err)
	}
	sample := letter.Sample
	sample.Attempt = 1
	if q.cfg.MaxAge > 0 && time.Since(sample.Received) > q.cfg.MaxAge {
		return fmt.Errorf("%w: sample %s", durable.ErrExpired, sample.ID)
	}
	return q.add(&sample, true, number)
}

// Forget removes a dead letter for good. The file keeps its size, and parts of
// the record until they are written over.
func (q *Queue[S]) Forget(ctx context.Context, number uint64) error {
	if _, err := q.find(ctx, number); err != nil {
		return err
	}
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if err := q.commits.commit(op{in: letterBucket, key: number}); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.replaceLetters([]uint64{number}, nil)
	return nil
}
