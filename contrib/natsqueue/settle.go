package natsqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
// after WithAckWait; a verdict that ends it is sent again until then.
func (q *Queue[S]) settle(ctx context.Context, d *delivery[S], verdict organic.Verdict) error {
	leave, err := q.state.settle(d)
	if err != nil {
		return err
	}
	defer leave()
	switch verdict.Outcome {
	case organic.OutcomeScored:
		q.state.count(func(s *Stats) { s.Scored++ })
		return q.end(ctx, d)
	case organic.OutcomeDead:
		return q.endDead(ctx, d, durable.CauseDead, verdict.Err)
	case organic.OutcomeDiscarded:
		return q.endDead(ctx, d, durable.CauseDiscarded, verdict.Err)
	case organic.OutcomeRetry, organic.OutcomeReturn:
		q.state.count(func(s *Stats) { s.GivenBack++ })
		return q.giveBack(ctx, d, verdict.Outcome == organic.OutcomeRetry, max(verdict.Delay, 0))
	default:
		err = fmt.Errorf("natsqueue: unknown outcome %d, the sample is given back", verdict.Outcome)
		return errors.Join(err, q.giveBack(ctx, d, false, 0))
	}
}

// end removes a sample for good.
func (q *Queue[S]) end(ctx context.Context, d *delivery[S]) error {
	late := ErrUnavailable
	err := retry(ctx, q.conn, &late, "$JS.ACK."+q.cfg.name, func(ctx context.Context) (bool, error) {
		err := d.message().DoubleAck(ctx)
		if !errors.Is(err, nats.ErrNoResponders) {
			return false, err
		}
		isGone := errors.Is(q.refresh(ctx), organic.ErrGone)
		err = fmt.Errorf("%w: the stream or consumer that it came from", organic.ErrGone)
		return isGone || q.state.remote().identity != d.remote.identity, err
	})
	q.state.ended(d, err)
	if err != nil {
		return fmt.Errorf("natsqueue: end sample %s: %w", d.id, err)
	}
	if d.record.revision > 0 { // one that is left behind goes when there are too many
		_ = d.remote.records.DeleteMsg(ctx, d.record.revision)
	}
	return nil
}

// drop ends a sample that is not to be scored, and reports it.
func (q *Queue[S]) drop(ctx context.Context, d *delivery[S], reason organic.DropReason) error {
	err := q.end(ctx, d)
	q.dropped(d, reason)
	return err
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

// giveBack has a sample delivered again after a delay, unless it is too old by
// then.
func (q *Queue[S]) giveBack(
	ctx context.Context, d *delivery[S], failed bool, delay time.Duration,
) error {
	if q.cfg.isExpired(d.sample.Received, delay) {
		return q.drop(ctx, d, organic.DroppedExpired)
	}
	var due time.Time
	if delay > 0 {
		due = time.Now().Add(delay)
	}
	if err := q.storeReturn(ctx, d, failed, due); err != nil {
		q.state.kept(d, err)
		return err
	}
	q.state.returned(d, due) // before the nak, which may bring it again at once
	if err := q.nak(d, delay); err != nil {
		return fmt.Errorf("natsqueue: give back sample %s: %w", d.id, err)
	}
	return nil
}

// giveAllBack is giveBack for many samples. It stores their records all at once, and
// gives them back in their order, in which the server delivers them again. That
// another process has a sample is no error.
func (q *Queue[S]) giveAllBack(ctx context.Context, back []*delivery[S]) error {
	var group sync.WaitGroup
	for _, d := range back { // giveBack tries again what fails
		group.Go(func() { _ = q.storeReturn(ctx, d, false, time.Time{}) })
	}
	group.Wait()
	slices.SortFunc(back, bySeq)
	var errs []error
	for _, d := range back {
		if err := q.giveBack(ctx, d, false, 0); !errors.Is(err, durable.ErrLeaseOver) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// nak tells the server to deliver a sample again. The server confirms none.
func (q *Queue[S]) nak(d *delivery[S], delay time.Duration) error {
	q.unflushed.Store(true)
	return d.nak(delay)
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

	noted    bool   // it counts this lease as a crash
	revision uint64 // its number in the stream of records, 0 if it is not stored
}

// recordSubject is the subject of the record of a sample, or of all with "*".
func (q *Queue[S]) recordSubject(server *remote, seq string) string {
	return q.cfg.name + ".record." + server.identity + "." + seq
}

// number is the number of a sample as a part of a subject.
func (d *delivery[S]) number() string { return strconv.FormatUint(d.seq, 36) }

// loadRecord reads the record of a delivery, and returns for how long the sample
// must not be handed out. A sample that was delivered before and has none was
// fetched by a process that died, which counts as a crash.
func (q *Queue[S]) loadRecord(ctx context.Context, d *delivery[S]) (wait time.Duration) {
	if !d.mayHaveRecord {
		return 0
	}
	var raw *jetstream.RawStreamMsg
	late, subject := ErrUnavailable, "STREAM.MSG.GET."+q.cfg.name+"_records"
	err := retry(ctx, q.conn, &late, subject, func(ctx context.Context) (final bool, err error) {
		record := q.recordSubject(d.remote, d.number())
		raw, err = d.remote.records.GetLastMsgForSubject(ctx, record)
		return isFinal(err) || errors.Is(err, jetstream.ErrMsgNotFound), err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		if d.deliveries > 1 {
			d.record.Crashes = 1
		}
		return 0
	}
	if err == nil {
		err = json.Unmarshal(raw.Data, &d.record)
	}
	if err != nil {
		err = fmt.Errorf("natsqueue: read the record of sample %s: %w", d.id, err)
		q.state.fail(err, serverTime)
		return time.Second // it is read again then
	}
	d.record.revision = raw.Sequence
	// Clocks of different machines may differ by less than the delays that matter.
	return time.Until(time.UnixMilli(d.record.NotBefore))
}

// noteLease counts the lease of a sample that was delivered before as a crash,
// until its verdict. A process that dies during its first lease needs no note:
// the sample has no record then.
func (q *Queue[S]) noteLease(ctx context.Context, d *delivery[S]) error {
	if d.deliveries == 1 && d.record.revision == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	defer cancel()
	next := d.record
	next.noted = true
	next.Crashes++
	err := q.storeRecord(ctx, d, next)
	d.notSure = err != nil
	return err
}

// storeReturn stores the record of a sample that is to be given back, unless it is
// stored: the server forgets a delay if it is killed.
func (q *Queue[S]) storeReturn(
	ctx context.Context, d *delivery[S], failed bool, due time.Time,
) error {
	if d.notSure { // else the lease, which was not handed out, stays a crash
		if err := q.noteLease(ctx, d); err != nil {
			return err
		}
	}
	next := d.record
	if failed {
		next.Failures++
	}
	if next.noted {
		next.noted = false
		next.Crashes--
	}
	if !due.IsZero() {
		next.NotBefore = due.UnixMilli() + 1
	}
	if next == d.record && d.record.revision > 0 {
		return nil
	}
	return q.storeRecord(ctx, d, next)
}

// storeRecord stores a record in place of the one that this delivery has read
// or stored last. It returns durable.ErrLeaseOver if there is another one since,
// for the sample has been delivered to another process then.
//
// A store that was not confirmed can be repeated: the server refuses a revision
// before it looks for duplicates, and the ID of the message, which depends on the
// record and what it replaces, shows whether it is stored.
func (q *Queue[S]) storeRecord(ctx context.Context, d *delivery[S], next record) error {
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	subject := q.recordSubject(d.remote, d.number())
	id := token(fmt.Sprint(q.process, subject, d.record.revision, string(data)))
	msg := newMessage(subject, id, data)
	revision := strconv.FormatUint(d.record.revision, 10)
	msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{revision}
	ack, err := q.publish(ctx, msg)
	if err == nil {
		next.revision = ack.Sequence
	} else if isWrongRevision(err) {
		var raw *jetstream.RawStreamMsg
		raw, err = d.remote.records.GetLastMsgForSubject(ctx, subject)
		if err == nil && raw.Header.Get(nats.MsgIdHdr) != id {
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

// readRecords takes in the records that are stored. It does without the client's
// ordered consumer, whose Fetch tries for ever on a closed connection.
func (q *Queue[S]) readRecords(ctx context.Context, server *remote) error {
	ctx, cancel := context.WithTimeout(ctx, serverTime)
	defer cancel()
	consumer, err := server.records.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: q.recordSubject(server, "*"), InactiveThreshold: 2 * serverTime,
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true,
	})
	if err != nil {
		return err
	}
	missing := int(consumer.CachedInfo().NumPending) //nolint:gosec // bounded by the capacity
	if missing == 0 {
		return nil
	}
	batch, err := consumer.FetchNoWait(missing)
	if err != nil {
		return err
	}
	for msg := range batch.Messages() {
		missing--
		q.hearRecord(&nats.Msg{Subject: msg.Subject(), Data: msg.Data()})
	}
	if missing > 0 {
		return fmt.Errorf("%w: %d records are missing", ErrUnavailable, missing)
	}
	return nil
}

// hearRecord takes in a record that any process has stored.
func (q *Queue[S]) hearRecord(msg *nats.Msg) {
	var r record
	prefix, number, _ := strings.Cut(msg.Subject, q.recordSubject(q.state.remote(), ""))
	seq, err := strconv.ParseUint(number, 36, 64)
	if prefix == "" && err == nil && json.Unmarshal(msg.Data, &r) == nil {
		q.state.recorded(seq, time.UnixMilli(r.NotBefore))
	}
}
