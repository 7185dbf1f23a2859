package boltqueue

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/organic-scoring/organic/contrib/durable"
)

// letter is a stored dead letter.
type letter struct {
	number uint64
	size   int
}

// letters knows all dead letters, the oldest first. It is not safe for
// concurrent use.
type letters struct {
	most     int
	maxBytes int64 // 0: no bound
	stored   []letter
	bytes    int64
}

func (l *letters) len() int { return len(l.stored) }

func (l *letters) add(number uint64, size int) {
	l.stored = append(l.stored, letter{number: number, size: size})
	l.bytes += int64(size)
}

func (l *letters) remove(number uint64) {
	i := slices.IndexFunc(l.stored, func(stored letter) bool { return stored.number == number })
	if i >= 0 {
		l.bytes -= int64(l.stored[i].size)
		l.stored = slices.Delete(l.stored, i, i+1)
	}
}

// excess returns the oldest letters, which have to go when more are added.
func (l *letters) excess(more []letter) []letter {
	count, bytes := len(l.stored)+len(more), l.bytes
	for _, m := range more {
		bytes += int64(m.size)
	}
	n := 0
	for n < len(l.stored) && (count > l.most || l.maxBytes > 0 && bytes > l.maxBytes) {
		count--
		bytes -= int64(l.stored[n].size)
		n++
	}
	return slices.Clone(l.stored[:n])
}

// replace removes letters and adds others.
func (l *letters) replace(gone, added []letter) {
	for _, old := range gone {
		l.remove(old.number)
	}
	for _, a := range added {
		l.add(a.number, a.size)
	}
	slices.SortFunc(l.stored, func(a, b letter) int { return int(a.number) - int(b.number) }) //nolint:gosec // far below
}

func (q *Queue[S]) excessLetters(more []letter) []letter {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.letters.excess(more)
}

// letterOf makes the dead letter of a sample that is retired.
func (q *Queue[S]) letterOf(r retirement) (letter, op, error) {
	stored, err := q.store.read(sampleBucket, r.entry.number)
	if err != nil {
		return letter{}, op{}, err
	}
	sample, err := decodeSample(r.entry.number, stored)
	if err != nil {
		return letter{}, op{}, corrupt("record of sample %s: %w", r.entry.id, err)
	}
	reason := r.reason
	if r.cause == durable.CauseCrashes {
		reason = fmt.Errorf("boltqueue: %d deliveries ended with the death of the process", r.entry.state.crashes)
	}
	text, err := q.coder.EncodeReason(r.entry.id, reason)
	if err != nil {
		text = nil // a dead letter without its reason rather than none
	}
	q.mu.Lock()
	number := q.next
	q.next++
	q.mu.Unlock()
	record := letterRecord{sampleRecord: sample, cause: r.cause, reason: text, attempts: r.entry.failures(), time: time.Now()}
	encoded := record.encode(number)
	return letter{number: number, size: len(encoded)}, op{in: letterBucket, key: number, record: encoded}, nil
}

// DeadLetters iterates over the dead letters, the oldest first. The loop may
// call PutBack and Forget.
func (q *Queue[S]) DeadLetters(ctx context.Context) iter.Seq2[durable.DeadLetter[S], error] {
	return func(yield func(durable.DeadLetter[S], error) bool) {
		for next := uint64(0); ; {
			number, stored, err := q.letterFrom(ctx, next)
			if err != nil {
				yield(durable.DeadLetter[S]{}, err)
				return
			}
			if stored == nil {
				return
			}
			letter, err := q.deadLetter(number, stored)
			if !yield(letter, err) || err != nil {
				return
			}
			next = number + 1
		}
	}
}

func (q *Queue[S]) letterFrom(ctx context.Context, number uint64) (uint64, []byte, error) {
	if ctx.Err() != nil {
		return 0, nil, context.Cause(ctx)
	}
	if err := q.enter(); err != nil {
		return 0, nil, err
	}
	defer q.leave()
	return q.store.firstFrom(letterBucket, number)
}

func (q *Queue[S]) deadLetter(number uint64, stored []byte) (durable.DeadLetter[S], error) {
	r, err := decodeLetter(number, stored)
	if err != nil {
		return durable.DeadLetter[S]{}, corrupt("dead letter %d: %w", number, err)
	}
	letter := durable.DeadLetter[S]{
		Number: number, ID: r.id, Cause: r.cause, Reason: q.coder.DecodeReason(r.id, r.reason, r.sealed),
		Attempts: r.attempts, Time: r.time,
	}
	letter.Sample, letter.Err = q.coder.Decode(r.id, r.body, r.sealed)
	if letter.Err == nil {
		letter.Sample.Attempt = r.attempts + 1
	}
	return letter, nil
}

// find returns a dead letter.
func (q *Queue[S]) find(ctx context.Context, number uint64) (durable.DeadLetter[S], error) {
	found, stored, err := q.letterFrom(ctx, number)
	if err != nil {
		return durable.DeadLetter[S]{}, err
	}
	if stored == nil || found != number {
		return durable.DeadLetter[S]{}, fmt.Errorf("%w: %d", durable.ErrNoDeadLetter, number)
	}
	return q.deadLetter(number, stored)
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
	if err := q.add(&sample, true, op{in: letterBucket, key: number}); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.letters.remove(number)
	return nil
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
	q.letters.remove(number)
	return nil
}
