package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
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
)

// Sample hands out a sample that is fetched ahead: the oldest, or one at random
// with [WithShuffle]. If there is none, it asks the server, which takes a round
// trip, and waits for at most 250 ms. It returns [organic.ErrEmpty] if there is
// none either. For a sample that was delivered before it first stores that it is
// leased, which takes another round trip and at most 250 ms more.
//
// Other errors are [ErrUnavailable], [ErrUnconfirmed] if the server has not
// confirmed the store of the lease (the sample stays in the queue),
// [ErrPermission], organic.ErrGone, durable.ErrUnknownKey if all that waits has
// keys that this process does not know, and durable.ErrClosed.
func (q *Queue[S]) Sample(ctx context.Context) (organic.Lease[S], error) {
	if ctx.Err() != nil {
		return organic.Lease[S]{}, context.Cause(ctx)
	}
	q.work()
	leave, err := q.state.enter()
	if err != nil {
		return organic.Lease[S]{}, err
	}
	defer leave()
	d, err := q.next(ctx)
	if err == nil {
		err = q.noteLease(ctx, d)
	}
	if err == nil {
		err = q.state.handOut(d)
	}
	if err != nil {
		return organic.Lease[S]{}, err
	}
	q.state.count(func(s *Stats) { s.Leased++ })
	var judged atomic.Bool
	return organic.Lease[S]{
		Sample: d.sample,
		Settle: func(ctx context.Context, v organic.Verdict) error {
			if judged.Swap(true) {
				return durable.ErrSettled
			}
			return q.settle(ctx, d, v)
		},
	}, nil
}

// next takes a sample, and waits a moment for one that is on its way.
func (q *Queue[S]) next(ctx context.Context) (*delivery[S], error) {
	late := time.NewTimer(grace)
	defer late.Stop()
	eager, patient := q.state.ask(), true
	for {
		d, news, err := q.state.take(eager, patient)
		switch {
		case d != nil, errors.Is(err, durable.ErrClosed):
			return d, err
		case !q.conn.IsConnected():
			return nil, fmt.Errorf("%w: connection is %v", ErrUnavailable, q.conn.Status())
		case news == nil && patient:
			return nil, err
		case news == nil: // the server has not answered
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

// nextSubject is a part of the subject that samples are asked for on.
func (q *Queue[S]) nextSubject() string { return "CONSUMER.MSG.NEXT." + q.cfg.name + "." }

// fetchAll fetches samples while they are wanted, and ends or gives back those
// that are held ahead and were not taken. It does so between its requests, since
// the server would send what is given back to a request that is open.
//
// It uses Fetch and not Messages, which holds samples where they can be neither
// kept alive nor given back.
func (q *Queue[S]) fetchAll(ctx context.Context) {
	wait := firstPause
	for ctx.Err() == nil {
		missing, expired, stale := q.state.plan()
		q.clear(ctx, expired, stale)
		if missing == 0 || !q.conn.IsConnected() {
			q.idle(ctx)
			continue
		}
		err := q.fetch(ctx, missing)
		if err == nil {
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
		group.Go(func() { q.giveUp(ctx, d, organic.DroppedExpired, "", nil) })
	}
	for i, err := range q.giveAllBack(ctx, back) {
		if err != nil {
			q.unsettled(back[i])
		}
	}
	group.Wait()
}

// idle waits until samples may be wanted and there may be a connection.
func (q *Queue[S]) idle(ctx context.Context) {
	if !q.conn.IsConnected() {
		pause(ctx, firstPause)
		return
	}
	select {
	case <-q.state.fetch:
	case <-time.After(lookEvery):
	case <-ctx.Done():
	}
}

// fetch fetches what the server has now, or if it has none, what it gets soon.
func (q *Queue[S]) fetch(ctx context.Context, missing int) error {
	server, began := q.state.remote(), time.Now()
	batch, err := server.consumer.FetchNoWait(missing)
	n, err := q.receive(ctx, server, batch, err, began.Add(silence))
	if n > 0 || err != nil || ctx.Err() != nil {
		return err
	}
	q.state.answered()
	began = time.Now()
	batch, err = server.consumer.Fetch(missing, jetstream.FetchMaxWait(openFor))
	_, err = q.receive(ctx, server, batch, err, began.Add(openFor+silence))
	return err
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

// admit keeps a sample that came from the server until it is taken.
func (q *Queue[S]) admit(ctx context.Context, server *remote, msg jetstream.Msg) {
	d := q.examine(ctx, server, msg)
	switch {
	case d == nil:
	case q.cfg.isExpired(d.sample.Received, 0):
		q.giveUp(ctx, d, organic.DroppedExpired, "", nil)
	case q.state.hold(d):
		q.arrived()
	default:
		q.sendBack(ctx, d, 0)
	}
}

// examine returns the delivery of a message. It gives up or back what must not
// reach a scorer, and returns nil.
func (q *Queue[S]) examine(ctx context.Context, server *remote, msg jetstream.Msg) *delivery[S] {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	d, err := newDelivery[S](server, msg)
	if err != nil {
		return nil // no consumer has sent it
	}
	if held, ended := q.state.rejoin(d); held {
		if ended {
			_ = msg.Ack() // else it comes again
		}
		return nil
	}
	if err := q.loadRecord(ctx, d); err != nil {
		_ = q.nak(d, time.Second) // else it comes back after WithAckWait
		return nil
	}
	if wait := d.record.wait(); wait > 0 { // the server has forgotten the delay
		q.state.returned(d, time.Now().Add(wait))
		_ = q.nak(d, wait)
		return nil
	}
	sample, err := q.coder.Decode(d.id, d.data, isSealed(d.header))
	if errors.Is(err, durable.ErrUnknownKey) && d.id != "" {
		q.state.fail(fmt.Errorf("natsqueue: %w", err), 2*askAgain)
		q.sendBack(ctx, d, askAgain)
		return nil
	}
	if err != nil {
		q.giveUp(ctx, d, organic.DroppedDead, durable.CauseUndecodable, err)
		return nil
	}
	d.sample = sample
	d.sample.Attempt = d.record.Failures + 1
	if d.record.Crashes >= q.cfg.maxCrashes {
		err := fmt.Errorf("%d deliveries ended with the death of the process", d.record.Crashes)
		q.giveUp(ctx, d, organic.DroppedDead, durable.CauseCrashes, err)
		return nil
	}
	return d
}

// delivery is one sample that the server has handed to this process.
type delivery[S any] struct {
	remote     *remote
	seq        uint64 // its number in the stream
	deliveries uint64 // how often the server has delivered it
	id         string
	header     nats.Header
	data       []byte
	sample     organic.Sample[S]

	// Used by the goroutine that examines, leases or settles it.
	record record
	noted  bool // the record counts this lease as a crash

	// Guarded by the lock of the state.
	phase phase
	since time.Time // when the phase began

	mu      sync.Mutex    // guards all below
	msg     jetstream.Msg // the last delivery, to which the verdict goes
	nakSent bool          // a sign of life would undo the delay of the nak
	alive   time.Time     // when the server was told last that it is held
}

// phase is how far a delivery has come.
type phase uint8

const (
	ahead       phase = iota // fetched, not handed out
	leasing                  // being handed out
	leased                   // handed out
	settling                 // being ended or given back
	unconfirmed              // ended, which the server has not confirmed
)

func newDelivery[S any](server *remote, msg jetstream.Msg) (*delivery[S], error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	header := msg.Headers()
	d := &delivery[S]{
		remote: server, seq: meta.Sequence.Stream, deliveries: meta.NumDelivered,
		id: idOf(header), header: header, data: msg.Data(), msg: msg, alive: time.Now(),
	}
	d.sample.Received = meta.Timestamp
	if attempt, err := strconv.Atoi(header.Get(headerAttempt)); err == nil && attempt > 1 {
		d.record.Failures = attempt - 1
	}
	return d, nil
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
