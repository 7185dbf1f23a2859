package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
)

// The headers of dead letters.
const (
	headerCause    = "Organic-Cause"
	headerReason   = "Organic-Reason"
	headerAttempts = "Organic-Attempts"
)

// Cause is who gave a sample up.
type Cause string

// The causes.
const (
	CauseDead        Cause = "dead"        // the scorer, after its last attempt
	CauseDiscarded   Cause = "discarded"   // a hook, by organic.Discard
	CauseDeliveries  Cause = "deliveries"  // the queue, see WithMaxDeliveries
	CauseUndecodable Cause = "undecodable" // the queue: the message is no sample that it can read
)

// DeadLetter is a sample that was given up, as it is stored. It is a plain
// value.
type DeadLetter[S any] struct {
	Number   uint64    // what PutBack and Forget are given
	ID       string    // the sample's
	Cause    Cause     // who gave it up
	Reason   string    // the text of the error that did, 1 KiB at most
	Attempts int       // how often it was delivered
	Buried   time.Time // when it was given up
	// Sample is what was given up. When Err is not nil it is zero, for it
	// cannot be decoded.
	Sample organic.Sample[S]
	Err    error
}

// Format writes the dead letter without its sample's payload and requester,
// whatever the verb.
func (l DeadLetter[S]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "dead letter %d: sample %s (%s, %d attempts)", l.Number, l.ID, l.Cause, l.Attempts)
}

// bury copies a sample to the dead letters, as it was stored.
func (q *Queue[S]) bury(ctx context.Context, d *delivery[S], cause Cause, reason error) error {
	if cause == CauseDeliveries {
		reason = fmt.Errorf("natsqueue: delivered more than %d times", q.cfg.maxDeliveries)
	}
	msg := newMessage(deadSubject(q.cfg.name), again(d.header.Get(nats.MsgIdHdr), d.seq), d.body)
	msg.Header.Set(headerCause, string(cause))
	msg.Header.Set(headerReason, q.sealedReason(sampleID(d.header), reason))
	msg.Header.Set(headerAttempts, strconv.Itoa(d.attempts))
	limit := publishFor
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		_, err := q.publishOnce(ctx, msg, limit)
		if errors.Is(err, nats.ErrMaxPayload) { // rather without its reason than not at all
			msg.Header.Del(headerReason)
			_, err = q.publishOnce(ctx, msg, limit)
		}
		limit *= 2
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || isAnswer(err) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrMaxPayload) {
			return fmt.Errorf("natsqueue: copy sample %s to the dead letters: %w", sampleID(d.header), err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// DeadLetters goes through the dead letters, the oldest first, in one round
// trip each. It ends after the first error. Letters that are buried meanwhile
// may come or not.
func (q *Queue[S]) DeadLetters(ctx context.Context) iter.Seq2[DeadLetter[S], error] {
	return func(yield func(DeadLetter[S], error) bool) {
		for number := uint64(1); ; number++ {
			raw, err := q.dead.GetMsg(ctx, number, jetstream.WithGetMsgSubject(deadSubject(q.cfg.name)))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(DeadLetter[S]{}, fmt.Errorf("natsqueue: dead letters: %w", err))
				return
			}
			if !yield(q.deadLetter(raw), nil) {
				return
			}
			number = raw.Sequence
		}
	}
}

func (q *Queue[S]) deadLetter(raw *jetstream.RawStreamMsg) DeadLetter[S] {
	id := sampleID(raw.Header)
	letter := DeadLetter[S]{
		Number: raw.Sequence, ID: id, Cause: Cause(raw.Header.Get(headerCause)), Buried: raw.Time,
		Reason: q.openReason(id, raw.Header.Get(headerReason)),
	}
	letter.Attempts, _ = strconv.Atoi(raw.Header.Get(headerAttempts)) // 0 where somebody else has written it
	letter.Sample, letter.Err = q.decode(raw.Header, raw.Data)
	letter.Sample.Attempt = letter.Attempts
	return letter
}

// PutBack stores the sample of a dead letter in the queue again, as it was,
// with no attempts, and then removes the letter. A full queue is
// [organic.ErrFull], whatever [WithDropOldest] says, a sample that is too old
// [ErrExpired]; then the letter stays. Putting back twice within the window of
// [WithDedupeWindow] stores the sample once.
func (q *Queue[S]) PutBack(ctx context.Context, number uint64) error {
	raw, err := q.letter(ctx, number)
	if err != nil {
		return err
	}
	id := sampleID(raw.Header)
	if sample, err := q.decode(raw.Header, raw.Data); err == nil && q.isExpired(&sample, 0) {
		return fmt.Errorf("%w: sample %s", ErrExpired, id)
	}
	q.work()
	msg := newMessage(q.subject, again(raw.Header.Get(nats.MsgIdHdr), number), raw.Data)
	if err := q.store(ctx, id, msg, false); err != nil {
		return err
	}
	return q.Forget(ctx, number)
}

// Forget removes a dead letter for good, and writes over it on the server's
// disk.
func (q *Queue[S]) Forget(ctx context.Context, number uint64) error {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	erased, err := q.erase(ctx, number)
	if err != nil {
		return fmt.Errorf("natsqueue: remove dead letter %d: %w", number, err)
	}
	if !erased {
		return fmt.Errorf("%w: %d", ErrNoDeadLetter, number)
	}
	return nil
}

func (q *Queue[S]) letter(ctx context.Context, number uint64) (*jetstream.RawStreamMsg, error) {
	raw, err := q.dead.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("%w: %d", ErrNoDeadLetter, number)
	}
	if err != nil {
		return nil, fmt.Errorf("natsqueue: dead letter %d: %w", number, err)
	}
	return raw, nil
}
