package natsqueue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

// askAgain is the delay of a sample that could not be given up as it should,
// or that no key of this queue opens.
const askAgain = 10 * time.Second

// settle carries out the verdict on a lease. If that fails, the sample comes back
// after WithAckWait.
func (q *Queue[S]) settle(
	ctx context.Context, d *delivery[S], verdict organic.Verdict,
) (err error) {
	leave, err := q.state.settle(d)
	if err != nil {
		return err
	}
	defer leave()
	switch verdict.Outcome {
	case organic.OutcomeScored:
		q.state.count(func(s *Stats) { s.Scored++ })
		err = q.end(ctx, d)
	case organic.OutcomeDead:
		err = q.endDead(ctx, d, durable.CauseDead, verdict.Err)
	case organic.OutcomeDiscarded:
		err = q.endDead(ctx, d, durable.CauseDiscarded, verdict.Err)
	case organic.OutcomeRetry, organic.OutcomeReturn:
		q.state.count(func(s *Stats) { s.GivenBack++ })
		err = q.giveBack(ctx, d, verdict.Outcome == organic.OutcomeRetry, max(verdict.Delay, 0))
	default:
		err = fmt.Errorf("natsqueue: unknown outcome %d, the sample is given back", verdict.Outcome)
		err = errors.Join(err, q.giveBack(ctx, d, false, 0))
	}
	if err != nil {
		q.unsettled(d)
	}
	return err
}

// unsettled counts a sample that comes back after WithAckWait.
func (q *Queue[S]) unsettled(d *delivery[S]) {
	q.state.count(func(s *Stats) { s.Unsettled++ })
	q.state.abandon(d)
}

// end removes a sample for good.
func (q *Queue[S]) end(ctx context.Context, d *delivery[S]) error {
	final, err := q.retry(ctx, func(ctx context.Context) (final bool, err error) {
		err = d.message().DoubleAck(ctx)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, nats.ErrNoResponders):
			gone := errors.Is(q.refresh(ctx), organic.ErrGone)
			err = fmt.Errorf("%w: the stream or consumer that it came from", organic.ErrGone)
			return gone || q.state.remote().identity != d.remote.identity, err
		}
		refused := denied(q.conn, "$JS.ACK."+q.cfg.name)
		return refused != nil, cmp.Or(refused, err)
	})
	if !final {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err != nil {
		q.state.unended(d)
		return fmt.Errorf("natsqueue: end sample %s: %w", d.id, err)
	}
	q.state.ended(d)
	q.removeRecord(ctx, d)
	return nil
}

// endDead copies a sample to the dead letters and then ends it.
func (q *Queue[S]) endDead(
	ctx context.Context, d *delivery[S], cause durable.Cause, reason error,
) error {
	if err := q.bury(ctx, d, cause, reason); err != nil {
		return errors.Join(err, q.giveBack(ctx, d, false, askAgain))
	}
	return q.end(ctx, d)
}

// giveUp ends a sample that must not reach a scorer, and reports it.
func (q *Queue[S]) giveUp(
	ctx context.Context, d *delivery[S], reason organic.DropReason, cause durable.Cause, why error,
) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	var err error
	if reason == organic.DroppedDead {
		err = q.endDead(ctx, d, cause, why)
	} else {
		err = q.end(ctx, d)
	}
	if err != nil {
		q.state.count(func(s *Stats) { s.Unsettled++ })
		q.state.forget(d) // if it comes again, it is given up again
		return
	}
	q.dropped(d, reason)
}

// giveBack has a sample delivered again after a delay, unless it is too old by
// then.
func (q *Queue[S]) giveBack(
	ctx context.Context, d *delivery[S], failed bool, delay time.Duration,
) error {
	if q.cfg.isExpired(d.sample.Received, delay) {
		err := q.end(ctx, d)
		q.dropped(d, organic.DroppedExpired)
		return err
	}
	var due time.Time
	if delay > 0 {
		due = time.Now().Add(delay)
	}
	if err := q.storeReturn(ctx, d, failed, due); err != nil {
		return err
	}
	q.state.returned(d, due) // before the nak, which may bring it again at once
	if err := q.nak(d, delay); err != nil {
		return fmt.Errorf("natsqueue: give back sample %s: %w", d.id, err)
	}
	return nil
}

// storeReturn stores the record of a sample that is to be given back, unless it is
// stored: the server forgets a delay if it is killed.
func (q *Queue[S]) storeReturn(
	ctx context.Context, d *delivery[S], failed bool, due time.Time,
) error {
	next := d.record
	if failed {
		next.Failures++
	}
	if d.noted {
		next.Crashes--
	}
	if !due.IsZero() {
		next.NotBefore = due.UnixMilli() + 1
	}
	if next == d.record && d.record.revision > 0 {
		return nil
	}
	if err := q.storeRecord(ctx, d, "back", next); err != nil {
		return err
	}
	d.noted = false
	return nil
}

// nak tells the server to deliver a sample again. The server confirms none.
func (q *Queue[S]) nak(d *delivery[S], delay time.Duration) error {
	q.unflushed.Store(true)
	return d.nak(delay)
}

// sendBack is giveBack in the background of the queue.
func (q *Queue[S]) sendBack(ctx context.Context, d *delivery[S], delay time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	if q.giveBack(ctx, d, false, delay) != nil {
		q.unsettled(d)
	}
}

// giveAllBack is giveBack for many samples. It stores their records all at once,
// and keeps their order, in which the server delivers them again.
func (q *Queue[S]) giveAllBack(ctx context.Context, back []*delivery[S]) (errs []error) {
	errs = make([]error, len(back))
	var group sync.WaitGroup
	for i, d := range back {
		group.Go(func() { errs[i] = q.storeReturn(ctx, d, false, time.Time{}) })
	}
	group.Wait()
	for i, d := range back {
		if errs[i] == nil {
			errs[i] = q.giveBack(ctx, d, false, 0)
		}
	}
	return errs
}

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

// wait returns for how long the sample must not be handed out. Clocks of
// different machines may differ by less than the delays that matter.
func (r record) wait() time.Duration { return time.Until(time.UnixMilli(r.NotBefore)) }

// recordSubject is the subject of the record of a sample, or of all with "*".
func (q *Queue[S]) recordSubject(server *remote, seq string) string {
	return q.cfg.name + ".record." + server.identity + "." + seq
}

// number is the number of a sample as a part of a subject.
func (d *delivery[S]) number() string { return strconv.FormatUint(d.seq, 36) }

// loadRecord reads the record of a delivery. A sample that was delivered before
// and has none was fetched by a process that died, which counts as a crash.
func (q *Queue[S]) loadRecord(ctx context.Context, d *delivery[S]) error {
	if !q.state.mayHaveRecord(d, q.link(d.remote)) {
		return nil
	}
	raw, err := d.remote.records.GetLastMsgForSubject(ctx, q.recordSubject(d.remote, d.number()))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		if d.deliveries > 1 {
			d.record.Crashes = 1
		}
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

// noteLease counts the lease of a sample that was delivered before as a crash,
// until its verdict. A process that dies during its first lease needs no note:
// the sample has no record then.
func (q *Queue[S]) noteLease(ctx context.Context, d *delivery[S]) error {
	if d.deliveries == 1 && d.record.revision == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	next := d.record
	next.Crashes++
	err := q.storeRecord(ctx, d, "lease", next)
	if errors.Is(err, durable.ErrLeaseOver) { // another process has it
		q.state.forget(d)
		return organic.ErrEmpty
	}
	if err != nil {
		q.state.unlease(d)
		return err
	}
	d.noted = true
	return nil
}

// storeRecord stores a record in place of the one that this delivery has read
// or stored last. It returns durable.ErrLeaseOver if there is another one since,
// for the sample has been delivered to another process then.
//
// A store that was not confirmed can be repeated: the server refuses a revision
// before it looks for duplicates, and the ID of the message, which depends on what
// it replaces and why, shows whether it is stored.
func (q *Queue[S]) storeRecord(ctx context.Context, d *delivery[S], why string, next record) error {
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	subject := q.recordSubject(d.remote, d.number())
	msg := newMessage(subject, fmt.Sprint(q.process, why, subject, d.record.revision), data)
	revision := jetstream.WithExpectLastSequencePerSubject(d.record.revision)
	ack, err := q.publish(ctx, msg, revision)
	if err == nil {
		next.revision = ack.Sequence
	} else if isWrongRevision(err) {
		var raw *jetstream.RawStreamMsg
		raw, err = d.remote.records.GetLastMsgForSubject(ctx, subject)
		if err == nil && raw.Header.Get(nats.MsgIdHdr) != msg.Header.Get(nats.MsgIdHdr) {
			err = durable.ErrLeaseOver
		} else if err == nil {
			next.revision = raw.Sequence
		}
	}
	if err != nil {
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

// link is how this process is connected to a queue on the server now.
func (q *Queue[S]) link(server *remote) link {
	return link{remote: server, reconnects: q.conn.Stats().Reconnects}
}

// followRecords takes in the records that any process stores: first those that
// are stored, and then those that are stored from now on. It is to be called again
// when [state.follows] is false, and if not all came. It does without the client's
// ordered consumer, whose Fetch tries for ever on a closed connection.
func (q *Queue[S]) followRecords(ctx context.Context, over link) (stop func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	subject := q.recordSubject(over.remote, "*")
	sub, err := q.conn.Subscribe(subject, func(msg *nats.Msg) { q.hearRecord(msg.Subject, msg.Data) })
	if err != nil {
		return func() {}, err
	}
	stop = func() { _ = sub.Unsubscribe() }
	consumer, err := over.remote.records.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: subject, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: 2 * serverTime,
	})
	if err != nil {
		return stop, err
	}
	missing := int(consumer.CachedInfo().NumPending) //nolint:gosec // bounded by the capacity
	if missing > 0 {
		batch, err := consumer.FetchNoWait(missing)
		if err != nil {
			return stop, err
		}
		for msg := range batch.Messages() {
			missing--
			q.hearRecord(msg.Subject(), msg.Data())
		}
	}
	if missing > 0 {
		return stop, fmt.Errorf("%w: %d records are missing", ErrUnavailable, missing)
	}
	return stop, nil
}

func (q *Queue[S]) hearRecord(subject string, data []byte) {
	var r record
	seq, err := strconv.ParseUint(subject[strings.LastIndexByte(subject, '.')+1:], 36, 64)
	if err == nil && json.Unmarshal(data, &r) == nil {
		q.state.recorded(seq, time.UnixMilli(r.NotBefore))
	}
}
