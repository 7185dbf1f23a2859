package natsqueue

import (
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
	// longestRoom is the last pause before the room that was made counts as gone.
	longestRoom = 64 * time.Millisecond
)

// token is an ID as a part of a subject.
func token(id string) string {
	if id == "*" {
		return id
	}
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
// since version 2.9: 30 bytes of its own, and 4 for a header.
func storedSize(subject string, header nats.Header, data []byte) int64 {
	size := 30 + len(subject) + len(data)
	if len(header) > 0 {
		size += 4 + len("NATS/1.0\r\n\r\n")
		for key, values := range header {
			for _, value := range values {
				size += len(key) + len(": ") + len(value) + len("\r\n")
			}
		}
	}
	return int64(size)
}

// Add stores a sample. Nil means that the server has it, on a majority of the
// servers of [WithReplicas]. A time of arrival that is missing is set.
//
// While the server is away Add waits until it is back, ctx ends, or the time of
// [WithAddTimeout] is over, and returns [ErrUnavailable]: the sample is not
// stored. Once the sample is sent, ctx no longer counts, and Add returns
// [ErrUnconfirmed] if there was no answer in that time. Other errors are
// organic.ErrFull (see [WithDropOldest]), organic.ErrDuplicate for an ID that
// waits or is leased, durable.ErrTooLarge, durable.ErrClosed, organic.ErrGone
// and [ErrPermission]. With all of these the sample is not stored.
func (q *Queue[S]) Add(ctx context.Context, sample organic.Sample[S]) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if sample.Received.IsZero() {
		sample.Received = time.Now()
	}
	data, err := q.coder.Encode(sample)
	if err != nil {
		return err
	}
	msg := q.message(sample.ID, data, q.coder.Sealed(), sample.Attempt)
	if err := q.fits(sample.ID, msg); err != nil {
		return err
	}
	q.work()
	if q.state.isClosed() {
		return durable.ErrClosed
	}
	return q.store(ctx, sample.ID, msg, q.cfg.dropOldest)
}

// fits reports a sample that the server would never take.
func (q *Queue[S]) fits(id string, msg *nats.Msg) error {
	limit := q.conn.MaxPayload()
	if limit > 0 && int64(msg.Size())+min(letterMargin, limit/8) > limit {
		return fmt.Errorf("%w: sample %s has %d bytes, the server takes messages of %d",
			durable.ErrTooLarge, id, msg.Size(), limit)
	}
	stored := storedSize(msg.Subject, msg.Header, msg.Data)
	if q.cfg.maxBytes > 0 && stored > q.cfg.maxBytes {
		return fmt.Errorf("%w: sample %s has %d bytes, the queue takes %d",
			durable.ErrTooLarge, id, stored, q.cfg.maxBytes)
	}
	return nil
}

// store publishes a sample, and drops others for it if that is wanted.
func (q *Queue[S]) store(ctx context.Context, id string, msg *nats.Msg, drops bool) error {
	err := q.publish(ctx, msg)
	if drops && isFull(err) {
		err = q.storeInPlace(ctx, msg)
	}
	switch {
	case err == nil:
		q.count(func(s *Stats) { s.Added++ })
		q.state.added()
		q.arrived()
		return nil
	case isFull(err):
		q.count(func(s *Stats) { s.Refused++ })
		return organic.ErrFull
	case isDuplicate(err):
		q.count(func(s *Stats) { s.Refused++ })
		return organic.ErrDuplicate
	default:
		return fmt.Errorf("add sample %s: %w", id, err)
	}
}

// publish sends a sample until the server has answered, which may take as long
// as WithAddTimeout says.
func (q *Queue[S]) publish(ctx context.Context, msg *nats.Msg) error {
	var sent bool
	var last error
	over := time.Now().Add(q.cfg.addTimeout)
	limit, wait := firstTry, firstPause
	for {
		if err := q.awaitConnection(ctx, over, !sent); err != nil {
			kind := ErrUnavailable
			if sent {
				kind = ErrUnconfirmed
			}
			return fmt.Errorf("%w: %w", kind, errors.Join(err, last))
		}
		began := time.Now()
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(limit, time.Until(over)))
		_, err := q.js.PublishMsg(once, msg, jetstream.WithRetryAttempts(0))
		cancel()
		switch {
		case err == nil, isFinal(err):
			return err
		case errors.Is(err, nats.ErrMaxPayload):
			return fmt.Errorf("%w: %w", durable.ErrTooLarge, err)
		case errors.Is(err, jetstream.ErrNoStreamResponse):
			if err := q.gone(ctx); err != nil {
				return err
			}
		default:
			sent = true
			if err := denied(q.conn, `"`+msg.Subject+`"`); err != nil {
				return err
			}
		}
		last = err
		pause(context.WithoutCancel(ctx), min(wait-time.Since(began), time.Until(over)))
		limit, wait = 2*limit, min(2*wait, lastPause)
	}
}

// gone returns the error of a stream that does not exist. A stream that does,
// and did not answer, has no leader at the moment.
func (q *Queue[S]) gone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.addTimeout)
	defer cancel()
	if err := q.refresh(ctx); errors.Is(err, organic.ErrGone) || errors.Is(err, ErrMismatch) {
		return err
	}
	return nil
}

// awaitConnection waits until the client is connected, so that nothing is sent
// whose answer is lost. The caller's ctx counts until the sample was sent.
func (q *Queue[S]) awaitConnection(ctx context.Context, over time.Time, unsent bool) error {
	waits := ctx
	if !unsent {
		waits = context.WithoutCancel(ctx)
	}
	for {
		switch {
		case waits.Err() != nil:
			return context.Cause(ctx)
		case !time.Now().Before(over):
			return context.DeadlineExceeded
		case q.conn.IsConnected():
			return nil
		case q.conn.IsClosed():
			return nats.ErrConnectionClosed
		}
		pause(waits, firstPause)
	}
}

// storeInPlace drops as many of the oldest samples as a sample needs, and
// stores it then. It first takes them, and drops none if there are not enough.
func (q *Queue[S]) storeInPlace(ctx context.Context, msg *nats.Msg) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.addTimeout)
	defer cancel()
	select {
	case q.dropping <- struct{}{}:
		defer func() { <-q.dropping }()
	case <-ctx.Done():
		return organic.ErrFull
	}
	err := organic.ErrFull
	for isFull(err) && ctx.Err() == nil {
		messages, bytes, infoErr := q.excess(ctx, storedSize(msg.Subject, msg.Header, msg.Data))
		if infoErr != nil {
			return infoErr
		}
		if err := q.drop(ctx, messages, bytes); err != nil {
			return err
		}
		err = q.publishInto(ctx, msg)
	}
	return err
}

// excess returns how many samples and bytes are too many for one of this size.
func (q *Queue[S]) excess(ctx context.Context, size int64) (messages int, bytes int64, err error) {
	info, err := q.state.remote().samples.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	messages = int(info.State.Msgs) + 1 - q.cfg.capacity //nolint:gosec // bounded by the capacity
	if q.cfg.maxBytes > 0 {
		bytes = int64(info.State.Bytes) + size - q.cfg.maxBytes //nolint:gosec // as above
	}
	return messages, bytes, nil
}

// drop takes the oldest samples that wait until they are so many and so large,
// and ends them. If there are not enough, it gives them back and returns
// organic.ErrFull: the others are leased, delayed or held by other processes.
func (q *Queue[S]) drop(ctx context.Context, messages int, bytes int64) error {
	var taken []*delivery[S]
	for messages > 0 || bytes > 0 {
		d, err := q.takeOldest(ctx)
		if err != nil {
			for _, d := range taken {
				q.sendBack(ctx, d, 0)
			}
			return err
		}
		taken = append(taken, d)
		messages--
		bytes -= storedSize(d.msg.Subject(), d.msg.Headers(), d.body)
	}
	for _, d := range taken {
		q.giveUp(ctx, d, organic.DroppedFull, "", nil)
	}
	return nil
}

// takeOldest takes the oldest sample that waits: one held ahead by this process,
// or the next one of the server.
func (q *Queue[S]) takeOldest(ctx context.Context) (*delivery[S], error) {
	for waited := false; ; {
		if d := q.state.oldestAhead(); d != nil {
			return d, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
		}
		server, began := q.state.remote(), time.Now()
		batch, err := server.consumer.FetchNoWait(1)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if msg, ok := <-batch.Messages(); ok {
			d, err := q.delivery(server, msg)
			if err == nil && q.state.rejoins(d) == nil && q.isSound(ctx, d) {
				return d, nil
			}
			continue // it was too old, or is dead
		}
		if err := batch.Error(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if time.Since(began) >= silence {
			if err := denied(q.conn, q.nextSubject()); err != nil {
				return nil, err
			}
			continue // no answer
		}
		if waited || !q.state.awaitNews(grace) { // one may be on its way to the fetcher
			return nil, organic.ErrFull
		}
		waited = true
	}
}

// publishInto publishes a sample for which room was made. The server confirms
// that a sample has ended a moment before there is room.
func (q *Queue[S]) publishInto(ctx context.Context, msg *nats.Msg) (err error) {
	for wait := time.Millisecond; wait <= longestRoom; wait *= 2 {
		if err = q.publish(ctx, msg); !isFull(err) {
			return err
		}
		pause(ctx, wait)
	}
	return err
}
