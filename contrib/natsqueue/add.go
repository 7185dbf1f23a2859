package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
)

const (
	// publishFor is how long the server has to confirm before it is asked
	// again, the first time; it has twice as long each time after.
	publishFor = 500 * time.Millisecond
	// reconnectLook is how often Add looks whether the connection is back.
	reconnectLook = 10 * time.Millisecond
	// letterRoom is what a sample leaves of the server's limit for a message, so
	// that it can become a dead letter, with its reason: 1 KiB of text, which has
	// up to 4 when it is quoted, and the other headers.
	letterRoom = 8 << 10
	// errStoreFailed is the server's code for a full stream, and for others.
	errStoreFailed jetstream.ErrorCode = 10077
	// The server's codes for "not now": it is short of something, or has the
	// same ID in work.
	errTemporary jetstream.ErrorCode = 10008
	errInWork    jetstream.ErrorCode = 10158
)

// Add stores a sample, under its ID: one whose ID the server knows is accepted
// and not stored again. Nil says that the server has it, on as many servers as
// [WithReplicas] says. An ID or time of arrival that is missing is set; an ID
// that is not valid UTF-8 is refused.
//
// While the server is away Add waits, until it is back, ctx ends, or the time
// of [WithAddTimeout] is over; then the error is [ErrUnavailable], and the
// sample is not stored. Once it is sent, ctx no longer counts, and the error
// is [ErrUnconfirmed] when nothing was heard in that time. A full queue is
// [organic.ErrFull], or drops, see [WithDropOldest]; a sample that is too long
// [ErrTooLarge]; after Close it is [ErrClosed].
func (q *Queue[S]) Add(ctx context.Context, sample organic.Sample[S]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if sample.ID == "" {
		sample.ID = organic.NewSample(sample.Payload).ID
	}
	if !utf8.ValidString(sample.ID) {
		return fmt.Errorf("add sample %q: %w", sample.ID, errBadID)
	}
	if sample.Received.IsZero() {
		sample.Received = time.Now()
	}
	msg, err := q.message(sample)
	if err != nil {
		return err
	}
	if limit := q.conn.MaxPayload(); limit > 0 && int64(msg.Size())+min(letterRoom, limit/8) > limit {
		return fmt.Errorf("%w: sample %s has %d bytes, the server takes messages of %d", ErrTooLarge, sample.ID, msg.Size(), limit)
	}
	q.work()
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	if closed {
		return ErrClosed
	}
	return q.store(ctx, sample.ID, msg, q.cfg.dropOldest)
}

// store publishes a sample's message, making room for it when that is wanted.
func (q *Queue[S]) store(ctx context.Context, id string, msg *nats.Msg, makesRoom bool) error {
	if q.cfg.maxBytes > 0 && int64(msg.Size()) > q.cfg.maxBytes {
		return fmt.Errorf("%w: sample %s has %d bytes", ErrTooLarge, id, msg.Size())
	}
	began := time.Now()
	ack, err := q.publish(ctx, msg)
	for makesRoom && isFull(err) && ctx.Err() == nil && time.Since(began) < q.cfg.addTimeout {
		if err = q.makeRoom(ctx); err != nil {
			break
		}
		ack, err = q.publishInto(ctx, msg)
	}
	switch {
	case err == nil && ack.Duplicate:
		q.counts.duplicates.Add(1)
		return nil
	case err == nil:
		q.counts.added.Add(1)
		q.mu.Lock()
		q.backlog.add()
		if q.outstanding > 0 && len(q.buffer) == 0 {
			q.expected = time.Now().Add(usual) // it probably comes here
		}
		q.measure()
		q.mu.Unlock()
		q.kick()
		return nil
	case isFull(err):
		q.counts.refused.Add(1)
		return organic.ErrFull
	default:
		return fmt.Errorf("add sample %s: %w", id, err)
	}
}

// publish stores a message and waits until the server says so. It sends it
// again where it is not known whether it has come through, which its ID makes
// safe.
func (q *Queue[S]) publish(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	over, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.addTimeout)
	defer cancel()
	var sent bool
	last, limit := ErrUnavailable, publishFor
	for pause := firstPause; ; limit, pause = 2*limit, min(2*pause, lastPause) {
		if err := q.awaitConnection(ctx, over, sent); err != nil {
			return nil, unstored(sent, err, last)
		}
		next := time.After(pause)
		ack, err := q.publishOnce(over, msg, limit)
		switch {
		case err == nil:
			return ack, nil
		case errors.Is(err, nats.ErrMaxPayload):
			return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
		case errors.Is(err, nats.ErrConnectionClosed):
			return nil, unstored(sent, err, last)
		case isAnswer(err):
			return nil, err
		}
		sent = sent || !errors.Is(err, jetstream.ErrNoStreamResponse)
		last = err
		given := ctx.Done()
		if sent {
			given = nil
		}
		select {
		case <-next: // at once when this one took long
		case <-given:
		case <-over.Done():
		}
	}
}

// publishOnce sends a message and waits for what the server says.
func (q *Queue[S]) publishOnce(ctx context.Context, msg *nats.Msg, limit time.Duration) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return q.js.PublishMsg(ctx, msg)
}

// awaitConnection waits until there is a connection, so that nothing is sent
// that nobody would hear the answer of. The caller's ctx counts until the
// sample is sent.
func (q *Queue[S]) awaitConnection(ctx, over context.Context, sent bool) error {
	for {
		if over.Err() != nil {
			return over.Err()
		}
		if !sent && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if q.conn.IsConnected() {
			return nil
		}
		if q.conn.IsClosed() {
			return nats.ErrConnectionClosed
		}
		select {
		case <-time.After(reconnectLook):
		case <-over.Done():
		}
	}
}

// unstored is the error of a sample that could not be stored in time.
func unstored(sent bool, err, last error) error {
	kind := ErrUnavailable
	if sent {
		kind = ErrUnconfirmed
	}
	if errors.Is(last, ErrUnavailable) {
		return fmt.Errorf("%w: %w", kind, err)
	}
	return fmt.Errorf("%w: %w: %w", kind, err, last)
}

// isAnswer reports whether the server has said no, rather than nothing, or not
// now.
func isAnswer(err error) bool {
	answer, ok := errors.AsType[*jetstream.APIError](err)
	return ok && answer.ErrorCode != errTemporary && answer.ErrorCode != errInWork
}

// isFull reports whether an error says that the stream is at its bound. The
// code stands for other failures too, which the text tells apart.
func isFull(err error) bool {
	if errors.Is(err, organic.ErrFull) {
		return true
	}
	answer, ok := errors.AsType[*jetstream.APIError](err)
	return ok && answer.ErrorCode == errStoreFailed &&
		(strings.Contains(answer.Description, "maximum messages exceeded") || strings.Contains(answer.Description, "maximum bytes exceeded"))
}
