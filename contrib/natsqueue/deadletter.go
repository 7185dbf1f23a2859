package natsqueue

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic/contrib/durable"
)

// The headers of dead letters, besides those of samples.
const (
	headerCause    = "Organic-Cause"
	headerReason   = "Organic-Reason"
	headerFailures = "Organic-Failures"
)

// bury copies a sample to the dead letters, as it is stored. Doing it twice for
// one sample within two minutes stores it once.
func (q *Queue[S]) bury(
	ctx context.Context, d *delivery[S], cause durable.Cause, reason error,
) error {
	data, err := q.coder.EncodeReason(d.id, reason)
	if err != nil {
		data = nil // rather without its reason than not at all
	}
	sample := d.message()
	msg := q.message(d.id, sample.Data(), isSealed(sample.Headers()), 0)
	msg.Subject = q.cfg.deadSubject()
	msg.Header[nats.MsgIdHdr] = []string{d.remote.identity + "." + d.number()}
	msg.Header[headerCause] = []string{string(cause)}
	msg.Header[headerReason] = []string{base64.StdEncoding.EncodeToString(data)}
	msg.Header[headerFailures] = []string{strconv.Itoa(d.record.Failures)}
	_, err = q.publish(ctx, msg)
	if errors.Is(err, nats.ErrMaxPayload) { // Add has not stored it
		delete(msg.Header, headerReason)
		_, err = q.publish(ctx, msg)
	}
	if err != nil {
		return fmt.Errorf("natsqueue: copy sample %s to the dead letters: %w", d.id, err)
	}
	q.state.count(func(s *Stats) { s.DeadLettered++ })
	return nil
}

// DeadLetters iterates over the dead letters, the oldest first, with one round
// trip for each.
func (q *Queue[S]) DeadLetters(ctx context.Context) iter.Seq2[durable.DeadLetter[S], error] {
	return func(yield func(durable.DeadLetter[S], error) bool) {
		for number := uint64(1); ; number++ {
			raw, err := q.letter(ctx, number, jetstream.WithGetMsgSubject(q.cfg.deadSubject()))
			if errors.Is(err, durable.ErrNoDeadLetter) {
				return
			}
			var letter durable.DeadLetter[S]
			if err == nil {
				letter, number = q.deadLetter(raw), raw.Sequence
			}
			if !yield(letter, err) || err != nil {
				return
			}
		}
	}
}

// letter reads a dead letter as it is stored.
func (q *Queue[S]) letter(
	ctx context.Context, number uint64, opts ...jetstream.GetMsgOpt,
) (*jetstream.RawStreamMsg, error) {
	leave, err := q.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	raw, err := q.state.remote().dead.GetMsg(ctx, number, opts...)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("%w: %d", durable.ErrNoDeadLetter, number)
	}
	if err != nil {
		return nil, q.letterError(number, err)
	}
	return raw, nil
}

func (q *Queue[S]) deadLetter(raw *jetstream.RawStreamMsg) durable.DeadLetter[S] {
	letter := durable.DeadLetter[S]{ID: idOf(raw.Header), Number: raw.Sequence, Time: raw.Time}
	letter.Cause = durable.Cause(raw.Header.Get(headerCause))
	letter.Sample, letter.Err = q.coder.Decode(letter.ID, raw.Data, isSealed(raw.Header))
	failures, _ := strconv.Atoi(raw.Header.Get(headerFailures)) // 0 if it is not a number
	letter.Attempts = letter.Cause.Attempts(failures)
	if letter.Err == nil {
		letter.Sample.Attempt = failures + 1
	}
	if reason, err := base64.StdEncoding.DecodeString(raw.Header.Get(headerReason)); err == nil {
		letter.Reason = q.coder.DecodeReason(letter.ID, reason, isSealed(raw.Header))
	}
	return letter
}

// PutBack stores the sample of a dead letter in the queue again, with no failed
// attempts and no crashes, and then removes the letter.
func (q *Queue[S]) PutBack(ctx context.Context, number uint64) error {
	raw, err := q.letter(ctx, number)
	if err != nil {
		return err
	}
	letter := q.deadLetter(raw)
	if letter.Err != nil {
		return letter.Err
	}
	if q.cfg.isExpired(letter.Sample.Received, 0) {
		return fmt.Errorf("%w: sample %s", durable.ErrExpired, letter.ID)
	}
	msg := q.message(letter.ID, raw.Data, isSealed(raw.Header), 0)
	if err := q.store(ctx, letter.ID, msg, false); err != nil {
		return err
	}
	return q.Forget(ctx, number)
}

// Forget removes a dead letter for good and overwrites it on the server's disk.
func (q *Queue[S]) Forget(ctx context.Context, number uint64) error {
	if _, err := q.letter(ctx, number); err != nil {
		return err
	}
	err := q.state.remote().dead.SecureDeleteMsg(ctx, number)
	if err == nil {
		return nil
	}
	if _, gone := q.letter(ctx, number); gone != nil {
		return gone
	}
	return q.letterError(number, err)
}

func (q *Queue[S]) letterError(number uint64, err error) error {
	err = fmt.Errorf("natsqueue: dead letter %d: %w", number, err)
	return errors.Join(err, denied(q.conn, q.cfg.name+"_dead"))
}

func isSealed(header nats.Header) bool { return header.Get(headerSealed) != "" }

// idOf is the ID of a message's sample: as it was given, or as it stands if
// another program has made the message.
func idOf(header nats.Header) string {
	id, err := url.PathUnescape(header.Get(headerID))
	if err != nil {
		return header.Get(headerID)
	}
	return id
}
