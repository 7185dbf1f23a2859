package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic/contrib/durable"
)

// record is what is known about a sample that has come back. It is stored under
// the sample's number in the stream, before the sample is given back, and read
// when it is delivered again. A sample that is scored at its first delivery has
// none.
//
// A process that leases such a sample first stores the record with one crash
// more, and takes the crash back with the verdict. So deliveries that never
// reached a hook do not count as crashes.
type record struct {
	Failures  int   `json:"failures"`
	Crashes   int   `json:"crashes"`
	NotBefore int64 `json:"notBefore,omitempty"` // when it may be handed out, in Unix milliseconds

	revision uint64 // its number in the stream of records, 0 if it is not stored
}

func (q *Queue[S]) recordSubject(d *delivery[S]) string {
	return q.cfg.name + ".record." + d.remote.identity + "." + strconv.FormatUint(d.seq, 36)
}

// wait returns for how long the sample must not be handed out. Clocks of
// different machines may differ by less than the delays that matter.
func (r record) wait() time.Duration {
	if r.NotBefore == 0 {
		return 0
	}
	return time.Until(time.UnixMilli(r.NotBefore))
}

// loadRecord reads the record of a delivery. A sample that was delivered before
// and has none was fetched by a process that died, which counts as a crash.
func (q *Queue[S]) loadRecord(ctx context.Context, d *delivery[S]) error {
	if d.deliveries == 1 {
		return nil
	}
	raw, err := d.remote.records.GetLastMsgForSubject(ctx, q.recordSubject(d))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		d.record.Crashes = 1
		return nil
	}
	if err == nil {
		err = json.Unmarshal(raw.Data, &d.record)
	}
	if err != nil {
		return fmt.Errorf("natsqueue: read the record of sample %s: %w", d.id, err)
	}
	d.record.revision = raw.Sequence
	return nil
}

// storeRecord stores a record in place of the one that this delivery has read
// or stored last. It returns durable.ErrLeaseOver if there is another one since,
// for the sample has been delivered to another process then.
//
// A store that was not confirmed can be repeated: the message has an ID that
// depends on what it replaces and why.
func (q *Queue[S]) storeRecord(
	ctx context.Context, d *delivery[S], why string, change func(r *record),
) error {
	next := d.record
	change(&next)
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	subject := q.recordSubject(d)
	msg := newMessage(subject, fmt.Sprint(q.process, why, subject, d.record.revision), data)
	ack, err := q.send(ctx, msg, jetstream.WithExpectLastSequencePerSubject(d.record.revision))
	switch {
	case err == nil:
		next.revision = ack.Sequence
	case isWrongRevision(err):
		raw, err := d.remote.records.GetLastMsgForSubject(ctx, subject)
		if err != nil {
			return fmt.Errorf("%w: read the record of sample %s: %w", ErrUnavailable, d.id, err)
		}
		if raw.Header.Get(nats.MsgIdHdr) != msg.Header.Get(nats.MsgIdHdr) {
			return fmt.Errorf("%w: another process has sample %s", durable.ErrLeaseOver, d.id)
		}
		next.revision = raw.Sequence // it was stored and not confirmed
	default:
		return fmt.Errorf("natsqueue: store the record of sample %s: %w", d.id, err)
	}
	d.record = next
	return nil
}

// removeRecord removes the record of a sample that has ended. One that is left
// behind belongs to no sample, and goes when the stream of records is full.
func (q *Queue[S]) removeRecord(ctx context.Context, d *delivery[S]) {
	if d.record.revision > 0 {
		_ = d.remote.records.DeleteMsg(ctx, d.record.revision)
	}
}

// send publishes a message of the queue itself until the server has confirmed
// it, has refused it, or ctx ends. Sending it twice stores it once.
func (q *Queue[S]) send(
	ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt,
) (ack *jetstream.PubAck, err error) {
	opts = append(opts, jetstream.WithRetryAttempts(0))
	err = retry(ctx, func(ctx context.Context) (bool, error) {
		ack, err = q.js.PublishMsg(ctx, msg, opts...)
		if errors.Is(err, jetstream.ErrNoStreamResponse) {
			q.state.suspect()
		}
		if err := denied(q.conn, `"`+msg.Subject+`"`); err != nil && ack == nil {
			return true, err
		}
		final := errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed)
		return final || isFinal(err), err
	})
	return ack, err
}

const (
	firstTry   = 500 * time.Millisecond // for an answer, twice as long each time after
	firstPause = 25 * time.Millisecond  // before the second try, twice as long each time after
	lastPause  = 2 * time.Second
)

// retry makes calls until one succeeds, one fails for good, or ctx ends.
func retry(ctx context.Context, call func(ctx context.Context) (final bool, err error)) error {
	limit, wait := firstTry, firstPause
	for {
		began := time.Now()
		once, cancel := context.WithTimeout(ctx, limit)
		final, err := call(once)
		cancel()
		if err == nil || final {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		pause(ctx, wait-time.Since(began))
		limit, wait = 2*limit, min(2*wait, lastPause)
	}
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// followRecords keeps account of the delays that any process gives: those that
// are stored, and those that are stored from now on.
func (q *Queue[S]) followRecords(ctx context.Context) (stop func(), err error) {
	server := q.state.remote()
	subject := q.cfg.name + ".record." + server.identity + ".*"
	hear := func(msg *nats.Msg) { q.hearRecord(msg.Subject, msg.Data) }
	sub, err := q.conn.Subscribe(subject, hear)
	if err != nil {
		return func() {}, err
	}
	stop = func() { _ = sub.Unsubscribe() }
	consumer, err := server.records.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return stop, err
	}
	stored := int(consumer.CachedInfo().NumPending) //nolint:gosec // bounded by the capacity
	if stored == 0 {
		return stop, nil
	}
	batch, err := consumer.FetchNoWait(stored)
	if err != nil {
		return stop, err
	}
	for msg := range batch.Messages() {
		q.hearRecord(msg.Subject(), msg.Data())
	}
	return stop, batch.Error()
}

func (q *Queue[S]) hearRecord(subject string, data []byte) {
	var r record
	seq, err := strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 36, 64)
	if err == nil && json.Unmarshal(data, &r) == nil {
		q.state.delayed(seq, time.UnixMilli(r.NotBefore))
	}
}
