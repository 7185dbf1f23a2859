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
func (q *Queue[S]) letterOf(r retirement) (stored op, err error) {
	header := letterHeader{Cause: r.cause, Attempts: r.entry.state.Failures, Time: time.Now()}
	record, err := q.store.read(sampleBucket, r.entry.number)
	if err != nil {
		return op{}, err
	}
	body, err := unpack(sampleBucket, r.entry.number, record, &header.sampleHeader)
	if err != nil {
		return op{}, corrupt("record of sample %s: %w", r.entry.id, err)
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
	return put(letterBucket, q.next-1, pack(header, body)), nil
}

// bury notes the dead letters that are about to be stored and returns the
// oldest ones that are too many then.
func (q *Queue[S]) bury(added []uint64) (excess []uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLetters(added)
	n := max(0, len(q.letters)-q.cfg.DeadLetters)
	excess = slices.Clone(q.letters[:n])
	q.letters = slices.Delete(q.letters, 0, n)
	return excess
}

// unbury undoes bury.
func (q *Queue[S]) unbury(added, excess []uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLetters(excess)
	for _, number := range added {
		q.removeLetter(number)
	}
}

// addLetters notes dead letters. The lock is held.
func (q *Queue[S]) addLetters(numbers []uint64) {
	if len(numbers) > 0 {
		q.letters = append(q.letters, numbers...)
		slices.Sort(q.letters)
	}
}

// removeLetter reports whether there was a dead letter of this number. The lock
// is held.
func (q *Queue[S]) removeLetter(number uint64) (removed bool) {
	i, removed := slices.BinarySearch(q.letters, number)
	if removed {
		q.letters = slices.Delete(q.letters, i, i+1)
	}
	return removed
}

// lettersIn returns the numbers of the dead letters that a batch stores.
func lettersIn(batch []*write) (numbers []uint64) {
	for _, w := range batch {
		for _, op := range w.ops {
			if op.in == letterBucket && op.record != nil {
				numbers = append(numbers, op.key)
			}
		}
	}
	return numbers
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

// withLetter calls f, which removes the dead letter of this number. No other
// call finds the dead letter meanwhile, nor later unless there is an error.
func (q *Queue[S]) withLetter(
	ctx context.Context, number uint64, f func(durable.DeadLetter[S]) error,
) error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	q.mu.Lock()
	claimed := q.removeLetter(number)
	q.mu.Unlock()
	if !claimed {
		return fmt.Errorf("%w: %d", durable.ErrNoDeadLetter, number)
	}
	found, letter, err := q.letterFrom(ctx, number)
	if err == nil && found != number {
		err = fmt.Errorf("%w: %d", durable.ErrNoDeadLetter, number)
	}
	if err == nil {
		err = f(letter)
	}
	if err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.addLetters([]uint64{number})
	}
	return err
}

// PutBack moves the sample of a dead letter into the queue again, in one
// transaction, see [durable.Queue].
func (q *Queue[S]) PutBack(ctx context.Context, number uint64) error {
	return q.withLetter(ctx, number, func(letter durable.DeadLetter[S]) error {
		if letter.Err != nil {
			return fmt.Errorf("boltqueue: put back: %w", letter.Err)
		}
		sample := letter.Sample
		sample.Attempt = 1
		if q.cfg.MaxAge > 0 && time.Since(sample.Received) > q.cfg.MaxAge {
			return fmt.Errorf("%w: sample %s", durable.ErrExpired, sample.ID)
		}
		return q.add(&sample, true, op{in: letterBucket, key: number})
	})
}

// Forget removes a dead letter for good. The file keeps its size, and parts of
// the record until they are written over.
func (q *Queue[S]) Forget(ctx context.Context, number uint64) error {
	return q.withLetter(ctx, number, func(durable.DeadLetter[S]) error {
		return q.commits.commit(op{in: letterBucket, key: number})
	})
}
