package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

const (
	// grace is how long Sample waits for a sample that is on its way.
	grace = 250 * time.Millisecond
	// openFor is how long the server keeps a request for samples when it has
	// none. Close waits for it, for a request that is abandoned loses the sample
	// that is on its way until WithAckWait is over.
	openFor = 500 * time.Millisecond
	// silence is how long after that the client takes a request for lost.
	silence = time.Second
	// noteTime is how long Sample waits until it is stored that a sample is leased.
	noteTime = silence + grace
)

// Sample hands out a sample that is fetched ahead: the oldest, or one at random
// with [WithShuffle]. If there is none it waits for one, for at most 250 ms, if
// samples wait or the server has not been asked for a while, and once after each
// sample that has come. It returns [organic.ErrEmpty] if none comes. For a sample
// that was delivered before it first stores that it is leased, which takes a round
// trip, and at most 1.25 s.
//
// Other errors are [ErrUnavailable], [ErrUnconfirmed] if the server has not
// confirmed the store of the lease (the sample stays in the queue),
// [ErrPermission], organic.ErrGone, durable.ErrUnknownKey if all that waits has
// keys that this process does not know, and durable.ErrClosed.
func (q *Queue[S]) Sample(ctx context.Context) (lease organic.Lease[S], err error) {
	leave, err := q.begin(ctx)
	if err != nil {
		return lease, err
	}
	defer leave()
	d, err := q.next(ctx)
	if err == nil {
		err = q.state.handOut(d, q.noteLease(ctx, d))
	}
	if err != nil {
		return lease, err
	}
	lease.Sample = d.sample
	lease.Settle = func(ctx context.Context, v organic.Verdict) error { return q.settle(ctx, d, v) }
	return lease, nil
}

// next takes a sample, and waits a moment for one that is on its way.
func (q *Queue[S]) next(ctx context.Context) (*delivery[S], error) {
	late, patient := time.After(grace), true
	for first := true; ; first = false {
		d, news, err := q.state.take(first, patient)
		switch {
		case d != nil:
			return d, nil
		case !q.conn.IsConnected():
			return nil, fmt.Errorf("%w: connection is %v", ErrUnavailable, q.conn.Status())
		case news == nil && patient:
			return nil, err
		case news == nil: // the server has not answered
			return nil, errors.Join(err, denied(q.conn, q.nextSubject()))
		}
		select {
		case <-news:
		case <-late:
			patient = false
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// nextSubject is a part of the subject that samples are asked for on.
func (q *Queue[S]) nextSubject() string { return "CONSUMER.MSG.NEXT." + q.cfg.name + "." }

// fetchAll fetches samples while they are wanted, ends what has expired, and gives
// back what was not taken or not settled in time. It does so between its requests,
// since the server would send what is given back to a request that is open.
//
// It uses Fetch and not Messages, which holds samples where they can be neither
// kept alive nor given back.
func (q *Queue[S]) fetchAll(ctx context.Context) {
	for wait := firstPause; ctx.Err() == nil; {
		missing, expired, back := q.state.plan()
		q.clear(ctx, expired, back)
		if missing == 0 || q.awaitConnection(ctx) != nil {
			q.state.idle(ctx)
			continue
		}
		_, err := q.receive(ctx, missing, openFor)
		if err == nil {
			q.state.fail(nil, 0)
			wait = firstPause
			continue
		}
		if q.refresh(ctx) == nil {
			q.state.fail(err, 0)
		}
		pause(ctx, wait)
		wait = min(2*wait, lastPause)
	}
}

// clear ends and gives back samples, all at once, for at most serverTime.
func (q *Queue[S]) clear(ctx context.Context, expired, back []*delivery[S]) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	var group sync.WaitGroup
	for _, d := range expired {
		group.Go(func() { _ = q.drop(ctx, d, organic.DroppedExpired) })
	}
	_ = q.giveAllBack(ctx, back) // what fails comes again after WithAckWait
	group.Wait()
}

// receive takes in what one request brings within a time. The server answers it: if
// it has not, this reports a missing permission.
func (q *Queue[S]) receive(ctx context.Context, n int, wait time.Duration) (came int, err error) {
	server, began := q.state.remote(), time.Now()
	batch, err := server.consumer.Fetch(n, jetstream.FetchMaxWait(wait))
	if err == nil {
		for msg := range batch.Messages() {
			came++
			q.examine(ctx, server, msg)
		}
		err = batch.Error()
	}
	if err != nil {
		return came, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if came == 0 && time.Since(began) >= wait+silence {
		return 0, denied(q.conn, q.nextSubject())
	}
	return came, nil
}

// examine keeps the sample of a message until it is taken. It gives up or back what
// must not reach a scorer.
func (q *Queue[S]) examine(ctx context.Context, server *remote, msg jetstream.Msg) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	d := newDelivery[S](server, msg)
	if d == nil {
		return
	}
	isNew, hasEnded := q.state.arrive(d, link{server, q.conn.Stats().Reconnects})
	if hasEnded {
		_ = msg.Ack() // else it comes again
	}
	if !isNew {
		return
	}
	if wait := q.loadRecord(ctx, d); wait > 0 { // the server has forgotten the delay
		q.state.returned(d, time.Now().Add(wait))
		_ = q.nak(d, wait) // else it comes back after WithAckWait
		return
	}
	sample, err := q.coder.Decode(d.id, msg.Data(), isSealed(msg.Headers()))
	if errors.Is(err, durable.ErrUnknownKey) && d.id != "" {
		q.state.fail(fmt.Errorf("natsqueue: %w", err), 2*askAgain)
		_ = q.giveBack(ctx, d, false, askAgain)
		return
	}
	cause := durable.CauseUndecodable
	if err == nil {
		d.sample = sample
		d.sample.Attempt = d.record.Failures + 1
	}
	if err == nil && d.record.Crashes >= q.cfg.maxCrashes {
		cause = durable.CauseCrashes
		err = fmt.Errorf("%d deliveries ended with the death of the process", d.record.Crashes)
	}
	switch {
	case err != nil:
		if q.endDead(ctx, d, cause, err) == nil {
			q.dropped(d, organic.DroppedDead)
		}
	case q.state.keep(d):
		q.arrived()
	}
}

// delivery is one sample that the server has handed to this process.
type delivery[S any] struct {
	remote     *remote
	seq        uint64 // its number in the stream
	deliveries uint64 // how often the server has delivered it
	id         string

	// Used by the goroutine that examines, leases or settles it.
	// A server that was killed may deliver a sample again as if for the first time:
	// so it may have a record then, too.
	mayHaveRecord bool
	record        record
	notSure       bool // whether the record with its lease is stored
	sample        organic.Sample[S]

	// Guarded by the lock of the state.
	phase  phase
	since  time.Time // when the phase began
	judged bool      // it has got its verdict

	mu      sync.Mutex    // guards all below
	msg     jetstream.Msg // the last delivery, to which the verdict goes
	nakSent bool          // a sign of life would undo the delay of the nak
	alive   time.Time     // when the server was told last that it is held
}

// phase is how far a delivery has come.
type phase uint8

const (
	arriving    phase = iota // being examined
	ahead                    // to be handed out
	leased                   // handed out, or about to be
	settling                 // being ended or given back
	unconfirmed              // ended, which the server has not confirmed
)

// newDelivery returns nil for a message that no consumer has sent.
func newDelivery[S any](server *remote, msg jetstream.Msg) *delivery[S] {
	meta, err := msg.Metadata()
	if err != nil {
		return nil
	}
	d := &delivery[S]{
		remote: server, seq: meta.Sequence.Stream, deliveries: meta.NumDelivered,
		id: idOf(msg.Headers()), msg: msg, alive: time.Now(),
	}
	d.sample.Received = meta.Timestamp
	if attempt, err := strconv.Atoi(msg.Headers().Get(headerAttempt)); err == nil && attempt > 1 {
		d.record.Failures = attempt - 1
	}
	return d
}

func (d *delivery[S]) message() jetstream.Msg {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.msg
}

// renew replaces the message by that of a later delivery: a server that was
// killed may not know the earlier one.
func (d *delivery[S]) renew(msg jetstream.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.msg, d.alive = msg, time.Now()
}

func (d *delivery[S]) nak(delay time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nakSent = true
	return d.msg.NakWithDelay(delay)
}

// keepAlive tells the server that the sample is held, if the last time is long
// enough ago.
func (d *delivery[S]) keepAlive(now time.Time, every time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.nakSent && now.Sub(d.alive) >= every && d.msg.InProgress() == nil {
		d.alive = now
	}
}
