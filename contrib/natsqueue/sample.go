package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

const (
	// grace is how long Sample waits for a sample that is on its way.
	grace = 250 * time.Millisecond
	// armedFor is how long the server keeps a request for samples when it has
	// none. Close waits for it, for a request that is abandoned loses the sample
	// that is on its way until WithAckWait is over.
	armedFor = 500 * time.Millisecond
	// silence is how long after that the client takes a request for lost.
	silence = time.Second
)

// Sample hands out a sample that is fetched ahead: the oldest, or one at random
// with [WithShuffle]. If there is none, it asks the server, which takes a round
// trip and 250 ms at most, and returns [organic.ErrEmpty] if there is none
// either. Other errors are [ErrUnavailable], [ErrPermission], organic.ErrGone,
// durable.ErrUnknownKey if all that waits has keys that this process does not
// know, and durable.ErrClosed.
func (q *Queue[S]) Sample(ctx context.Context) (organic.Lease[S], error) {
	if ctx.Err() != nil {
		return organic.Lease[S]{}, context.Cause(ctx)
	}
	q.work()
	d, err := q.next(ctx)
	if err != nil {
		return organic.Lease[S]{}, err
	}
	if err := q.noteLease(ctx, d); err != nil {
		return organic.Lease[S]{}, err
	}
	q.count(func(s *Stats) { s.Leased++ })
	return organic.Lease[S]{
		Sample: d.sample,
		Settle: func(ctx context.Context, v organic.Verdict) error { return q.settle(ctx, d, v) },
	}, nil
}

// next takes a sample, and waits a moment for one that is on its way.
func (q *Queue[S]) next(ctx context.Context) (*delivery[S], error) {
	late := time.NewTimer(grace)
	defer late.Stop()
	patient := true
	for first := true; ; first = false {
		d, news, err := q.state.take(first, patient)
		switch {
		case d != nil && q.isExpired(&d.sample, 0):
			q.workers.Go(func() { q.giveUp(ctx, d, organic.DroppedExpired, "", nil) })
			continue
		case d != nil:
			return d, nil
		case errors.Is(err, durable.ErrClosed):
			return nil, err
		case !q.conn.IsConnected():
			return nil, fmt.Errorf("%w: connection is %v", ErrUnavailable, q.conn.Status())
		case news == nil && patient:
			return nil, err
		case news == nil:
			return nil, errors.Join(err, denied(q.conn, q.nextSubject()))
		}
		select {
		case <-news:
		case <-ctx.Done():
			patient = false
		case <-late.C:
			patient = false
		}
	}
}

// noteLease counts the lease of a sample that was delivered before as a crash,
// until its verdict. A process that dies during its first lease needs no note:
// the sample has no record then.
func (q *Queue[S]) noteLease(ctx context.Context, d *delivery[S]) error {
	if d.deliveries == 1 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := q.storeRecord(ctx, d, "lease", func(r *record) { r.Crashes++ })
	switch {
	case err == nil:
		d.pessimistic = true
		return nil
	case errors.Is(err, durable.ErrLeaseOver): // another process has it
		q.state.forget(d)
		return organic.ErrEmpty
	default:
		q.state.unlease(d)
		return err
	}
}

// nextSubject is a part of the subject that samples are asked for on.
func (q *Queue[S]) nextSubject() string { return "CONSUMER.MSG.NEXT." + q.cfg.name + "." }

// fetchAll fetches samples while they are wanted: what the server has now, and
// if it has none, what it gets soon. It uses Fetch and not Messages, which
// holds samples where they can be neither kept alive nor given back.
func (q *Queue[S]) fetchAll(ctx context.Context) {
	wait := firstPause
	for ctx.Err() == nil {
		room := q.state.need()
		if room == 0 || !q.conn.IsConnected() {
			q.idle(ctx, room == 0)
			continue
		}
		server := q.state.remote()
		q.state.asking()
		began := time.Now()
		batch, err := server.consumer.FetchNoWait(room)
		n, err := q.receive(ctx, server, batch, err, began.Add(silence))
		armed := n == 0 && err == nil && ctx.Err() == nil
		q.state.answered(err, armed)
		if armed {
			began = time.Now()
			batch, err = server.consumer.Fetch(room, jetstream.FetchMaxWait(armedFor))
			_, err = q.receive(ctx, server, batch, err, began.Add(armedFor+silence))
			q.state.answered(err, false)
		}
		if err == nil {
			wait = firstPause
			continue
		}
		q.state.suspect()
		pause(ctx, wait)
		wait = min(2*wait, lastPause)
	}
}

// idle waits until samples may be wanted, or until there may be a connection.
func (q *Queue[S]) idle(ctx context.Context, unwanted bool) {
	limit := time.NewTimer(lookEvery)
	if !unwanted {
		limit.Reset(firstPause)
	}
	defer limit.Stop()
	select {
	case <-q.state.fetch:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// receive takes in what one request brings. The server answers each: if there
// was no answer until the limit, this reports a missing permission.
func (q *Queue[S]) receive(
	ctx context.Context, server *remote, batch jetstream.MessageBatch, err error, limit time.Time,
) (n int, _ error) {
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for msg := range batch.Messages() {
		n++
		q.admit(ctx, server, msg)
	}
	if err := batch.Error(); err != nil {
		return n, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if n == 0 && !time.Now().Before(limit) {
		return 0, denied(q.conn, q.nextSubject())
	}
	return n, nil
}

// admit takes in a sample that came from the server.
func (q *Queue[S]) admit(ctx context.Context, server *remote, msg jetstream.Msg) {
	q.count(func(s *Stats) { s.Delivered++ })
	d, err := q.delivery(server, msg)
	if err != nil {
		return // no consumer has sent it
	}
	if held := q.state.rejoins(d); held != nil {
		q.count(func(s *Stats) { s.Rejoined++ })
		if held.isEnding() {
			_ = msg.Ack() // else it comes again
		}
		return
	}
	if !q.isSound(ctx, d) {
		return
	}
	if q.state.hold(d) {
		q.arrived()
		return
	}
	q.sendBack(ctx, d, 0)
}

func (q *Queue[S]) delivery(server *remote, msg jetstream.Msg) (*delivery[S], error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	header := msg.Headers()
	d := &delivery[S]{
		remote: server, seq: meta.Sequence.Stream, deliveries: meta.NumDelivered,
		id: idOf(header), sealed: isSealed(header), body: msg.Data(), msg: msg, alive: time.Now(),
	}
	d.sample.Received = meta.Timestamp
	if attempt, err := strconv.Atoi(header.Get(headerAttempt)); err == nil && attempt > 1 {
		d.record.Failures = attempt - 1
	}
	return d, nil
}

// isSound gives up or back what must not reach a scorer.
func (q *Queue[S]) isSound(ctx context.Context, d *delivery[S]) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	if err := q.loadRecord(ctx, d); err != nil {
		_ = d.release().NakWithDelay(time.Second) // else it comes back after WithAckWait
		return false
	}
	if wait := d.record.wait(); wait > 0 { // the server has forgotten the delay
		_ = d.release().NakWithDelay(wait)
		return false
	}
	sample, err := q.coder.Decode(d.id, d.body, d.sealed)
	switch {
	case errors.Is(err, durable.ErrUnknownKey) && d.id != "":
		q.state.cannotOpen(fmt.Errorf("natsqueue: %w", err))
		q.sendBack(ctx, d, askAgain)
		return false
	case err != nil:
		q.giveUp(ctx, d, organic.DroppedDead, durable.CauseUndecodable, err)
		return false
	}
	d.sample = sample
	d.sample.Attempt = d.record.Failures + 1
	switch {
	case d.record.Crashes >= q.cfg.maxCrashes:
		err := fmt.Errorf("%d deliveries ended with the death of the process", d.record.Crashes)
		q.giveUp(ctx, d, organic.DroppedDead, durable.CauseCrashes, err)
		return false
	case q.isExpired(&d.sample, 0):
		q.giveUp(ctx, d, organic.DroppedExpired, "", nil)
		return false
	}
	return true
}

// isExpired reports whether a sample will be too old after a delay.
func (q *Queue[S]) isExpired(sample *organic.Sample[S], delay time.Duration) bool {
	return q.cfg.maxAge > 0 && time.Since(sample.Received) > q.cfg.maxAge-delay
}
