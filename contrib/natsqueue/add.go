package natsqueue

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// The headers of messages.
const (
	headerID      = "Organic-Id"      // the sample's ID, escaped
	headerSealed  = "Organic-Sealed"  // the body is encrypted
	headerAttempt = "Organic-Attempt" // the attempt that it came with, if not the first
)

const (
	// letterMargin is what a sample leaves of the server's limit for a message,
	// so that it can become a dead letter, with its reason.
	letterMargin = 4 << 10

	firstTry   = silence               // for an answer, twice as long each time after
	firstPause = 25 * time.Millisecond // before the second try, twice as long each time after
	lastPause  = 2 * time.Second
	// lastSpacePause is the last pause before the space that was made counts as
	// taken by others.
	lastSpacePause = 64 * time.Millisecond
)

// token is an ID as a part of a subject.
func token(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// newMessage returns a message that the server stores once, however often it or
// another one with its ID is sent.
func newMessage(subject, id string, data []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Header: nats.Header{nats.MsgIdHdr: []string{id}}, Data: data}
}

func (q *Queue[S]) message(id string, data []byte, sealed bool, attempt int) *nats.Msg {
	msg := newMessage(q.cfg.sampleSubject(id), rand.Text(), data)
	msg.Header[headerID] = []string{url.PathEscape(id)}
	if sealed {
		msg.Header[headerSealed] = []string{"1"}
	}
	if attempt > 1 {
		msg.Header[headerAttempt] = []string{strconv.Itoa(attempt)}
	}
	return msg
}

// storedSize is what the server counts for a message in a file, as it does
// since version 2.9: 30 bytes of its own, and 4 for the header.
func storedSize(msg *nats.Msg) int64 { return int64(30 + 4 + msg.Size()) }

// Add stores a sample. Nil means that the server has it, on a majority of the
// servers of [WithReplicas]. A time of arrival that is missing is set.
//
// While there is no connection Add waits until there is one, ctx ends, or the
// time of [WithAddTimeout] is over, and returns [ErrUnavailable]: the sample is
// not stored. Once there is a connection, ctx no longer counts, and Add returns
// [ErrUnconfirmed] if the sample was sent and there was no answer in that time,
// or ErrUnavailable if it was not sent. Other errors are
// organic.ErrFull (see [WithDropOldest]), organic.ErrDuplicate for an ID that
// waits or is leased, durable.ErrTooLarge, durable.ErrClosed, organic.ErrGone
// and [ErrPermission]. With all of these the sample is not stored.
func (q *Queue[S]) Add(ctx context.Context, sample organic.Sample[S]) error {
	leave, err := q.begin(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if sample.Received.IsZero() {
		sample.Received = time.Now()
	}
	data, err := q.coder.Encode(sample)
	if err != nil {
		return err
	}
	msg := q.message(sample.ID, data, q.coder.Sealed(), sample.Attempt)
	if err := q.checkSize(sample.ID, msg); err != nil {
		return err
	}
	return q.store(ctx, sample.ID, msg, q.cfg.dropOldest)
}

// checkSize reports a sample that the server would never take.
func (q *Queue[S]) checkSize(id string, msg *nats.Msg) error {
	limit, stored := q.conn.MaxPayload(), storedSize(msg)
	switch {
	case limit > 0 && int64(msg.Size())+min(letterMargin, limit/8) > limit:
		return fmt.Errorf("%w: sample %s has %d bytes, the server takes messages of %d",
			durable.ErrTooLarge, id, msg.Size(), limit)
	case q.cfg.maxBytes > 0 && stored > q.cfg.maxBytes:
		return fmt.Errorf("%w: sample %s has %d bytes, the queue takes %d",
			durable.ErrTooLarge, id, stored, q.cfg.maxBytes)
	}
	return nil
}

// store publishes a sample, and drops others for it if that is wanted.
func (q *Queue[S]) store(ctx context.Context, id string, msg *nats.Msg, drops bool) error {
	err := q.publishInTime(ctx, msg)
	if drops && isFull(err) {
		err = q.storeInPlace(ctx, msg)
	}
	switch {
	case err == nil:
		q.state.stored()
		q.arrived()
		return nil
	case isFull(err):
		err = organic.ErrFull
	case isDuplicate(err):
		err = organic.ErrDuplicate
	default:
		return fmt.Errorf("add sample %s: %w", id, err)
	}
	q.state.count(func(s *Stats) { s.Refused++ })
	return err
}

// publishInTime is publish for the time of WithAddTimeout. The caller's ctx
// counts until there is a connection.
func (q *Queue[S]) publishInTime(ctx context.Context, msg *nats.Msg) error {
	deadline := time.Now().Add(q.cfg.addTimeout)
	waiting, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if err := q.awaitConnection(waiting); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	sending, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	_, err := q.publish(sending, msg)
	return err
}

// publish sends a message until the server has confirmed or refused it, or ctx
// ends.
func (q *Queue[S]) publish(ctx context.Context, msg *nats.Msg) (ack *jetstream.PubAck, err error) {
	late := ErrUnavailable
	try := func(once context.Context) (final bool, err error) {
		if err := q.awaitConnection(once); err != nil { // else the answer may be lost
			return false, err
		}
		ack, err = q.js.PublishMsg(once, msg, jetstream.WithRetryAttempts(0))
		switch {
		case err == nil, isFinal(err):
			return true, err
		case errors.Is(err, nats.ErrMaxPayload):
			return true, fmt.Errorf("%w: %w", durable.ErrTooLarge, err)
		case !errors.Is(err, jetstream.ErrNoStreamResponse):
			late = ErrUnconfirmed
			if once.Err() == nil {
				return false, err
			}
		}
		// The stream is gone, or has no leader now. There is no answer at all if others
		// have subscribed to the subject, as processes do to those of records.
		gone := q.refresh(ctx)
		isGone := errors.Is(gone, organic.ErrGone) || errors.Is(gone, ErrMismatch)
		return isGone, cmp.Or(gone, err)
	}
	err = retry(ctx, q.conn, &late, `"`+msg.Subject+`"`, try)
	return ack, err
}

// awaitConnection waits until the client is connected.
func (q *Queue[S]) awaitConnection(ctx context.Context) error {
	for !q.conn.IsConnected() {
		if q.conn.IsClosed() {
			return nats.ErrConnectionClosed
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pause(ctx, firstPause)
	}
	return nil
}

// retry makes calls until one succeeds or has a final error, the user may not use
// the subject, ctx ends, or the connection is closed. In the last two cases its error
// wraps late, which a call may change.
func retry(
	ctx context.Context, conn *nats.Conn, late *error, subject string,
	call func(ctx context.Context) (final bool, err error),
) error {
	limit, wait := firstTry, firstPause
	for {
		began := time.Now()
		once, cancel := context.WithTimeout(ctx, limit)
		final, err := call(once)
		cancel()
		if err == nil || final {
			return err
		}
		if refused := denied(conn, subject); refused != nil {
			return refused
		}
		if ctx.Err() != nil || conn.IsClosed() {
			return fmt.Errorf("%w: %w", *late, err)
		}
		pause(ctx, wait-time.Since(began))
		limit, wait = 2*limit, min(2*wait, lastPause)
	}
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// storeInPlace drops as many of the oldest samples as a sample needs, and
// stores it then.
func (q *Queue[S]) storeInPlace(ctx context.Context, msg *nats.Msg) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.addTimeout)
	defer cancel()
	select {
	case q.dropping <- struct{}{}:
		defer func() { <-q.dropping }()
	case <-ctx.Done():
		return organic.ErrFull
	}
	for err = organic.ErrFull; ctx.Err() == nil; {
		if err = q.makeSpace(ctx, storedSize(msg)); err != nil {
			return err
		}
		// The server confirms that a sample has ended a moment before it has the space.
		for wait := time.Millisecond; wait <= lastSpacePause; wait *= 2 {
			if _, err = q.publish(ctx, msg); !isFull(err) {
				return err
			}
			pause(ctx, wait)
		}
	}
	return err
}

// makeSpace drops the oldest samples that wait until there is space for one of
// this size. It takes them first, and if there are not enough, since the others
// are leased, delayed or held by other processes, it gives them back and returns
// organic.ErrFull.
func (q *Queue[S]) makeSpace(ctx context.Context, size int64) error {
	info, err := q.state.remote().samples.Info(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	messages := int64(info.State.Msgs) + 1 - int64(q.cfg.capacity) //nolint:gosec // bounded
	var bytes int64
	if q.cfg.maxBytes > 0 {
		bytes = int64(info.State.Bytes) + size - q.cfg.maxBytes //nolint:gosec // bounded
	}
	var taken []*delivery[S]
	for messages > 0 || bytes > 0 {
		d, err := q.takeOldest(ctx)
		if err != nil {
			q.clear(ctx, nil, taken)
			return err
		}
		taken = append(taken, d)
		msg := d.message()
		messages--
		bytes -= storedSize(&nats.Msg{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data()})
	}
	for _, d := range taken {
		_ = q.drop(ctx, d, organic.DroppedFull)
	}
	return nil
}

// takeOldest takes the oldest sample that waits: one held ahead by this process,
// or the next one of the server, which may know of it only a moment after Add.
func (q *Queue[S]) takeOldest(ctx context.Context) (*delivery[S], error) {
	for answered := false; ctx.Err() == nil; {
		if d := q.state.takeOldest(); d != nil {
			return d, nil
		}
		if answered {
			return nil, organic.ErrFull
		}
		began := time.Now()
		came, err := q.receive(ctx, 1, grace)
		if err != nil {
			return nil, err
		}
		answered = came == 0 && time.Since(began) < grace+silence
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
}
