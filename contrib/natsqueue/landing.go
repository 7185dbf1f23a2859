package natsqueue

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
)

// askAgain is the pause of a sample that could not be given up as it should.
const askAgain = 30 * time.Second

// serverTime is how long the server has for what nobody waits for.
const serverTime = 5 * time.Second

// land takes in a sample that came from the server.
func (q *Queue[S]) land(msg *nats.Msg) {
	d, pending, err := newDelivery[S](msg)
	if err != nil {
		return // nothing that a consumer has sent
	}
	q.counts.delivered.Add(1)
	known := q.note(d, int(pending)) //nolint:gosec // bounded by the capacity
	sound := !known && q.isSound(d, msg)
	switch held := q.hold(d, sound); {
	case held:
		q.arrived()
	case sound:
		q.sendBack(d, 0)
	}
}

// note counts a delivery. It returns true when the sample is known here: still
// held, or settled by a verdict that the server has not got.
func (q *Queue[S]) note(d *delivery[S], pending int) (known bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.outstanding, q.heard, q.pause, q.failed = max(q.outstanding-1, 0), time.Now(), 0, nil
	q.expected, q.incoming = time.Time{}, true
	q.backlog.landed(d.attempts == 1, pending)
	id := d.header.Get(nats.MsgIdHdr)
	if held := q.held[d.seq]; held != nil && held.header.Get(nats.MsgIdHdr) == id {
		held.renew(d)
		known = true
	} else if q.done[d.seq] == id && id != "" {
		delete(q.done, d.seq)
		_ = q.conn.Publish(d.reply, ackDone)
		known = true
	}
	if known {
		q.counts.rejoined.Add(1)
	}
	q.measure()
	return known
}

// isSound gives up what must not reach a scorer.
func (q *Queue[S]) isSound(d *delivery[S], msg *nats.Msg) bool {
	ctx, cancel := context.WithTimeout(context.Background(), serverTime)
	defer cancel()
	var err error
	switch d.sample, err = q.decode(d.header, d.body); {
	case err != nil:
		if meta, metaErr := msg.Metadata(); metaErr == nil {
			d.sample.Received = meta.Timestamp
		}
		q.giveUp(ctx, d, CauseUndecodable, err)
		return false
	case d.attempts > q.cfg.maxDeliveries:
		q.giveUp(ctx, d, CauseDeliveries, nil)
		return false
	case q.isExpired(&d.sample, 0):
		q.expire(ctx, d)
		return false
	}
	d.sample.Attempt = d.attempts
	return true
}

// giveUp moves a sample to the dead letters that no scorer is to see.
func (q *Queue[S]) giveUp(ctx context.Context, d *delivery[S], cause Cause, err error) {
	if q.bury(ctx, d, cause, err) != nil || q.end(ctx, d) != nil {
		q.counts.unsettled.Add(1)
		q.sendBack(d, askAgain)
		return
	}
	if cause == CauseUndecodable {
		q.counts.undecodable.Add(1)
	} else {
		q.counts.overDelivered.Add(1)
	}
	q.counts.deadLettered.Add(1)
	q.dropped(d, organic.DroppedDead, d.attempts-1)
}

// expire ends a sample that is too old.
func (q *Queue[S]) expire(ctx context.Context, d *delivery[S]) {
	if q.end(ctx, d) != nil {
		q.counts.unsettled.Add(1)
		q.sendBack(d, askAgain)
		return
	}
	q.dropped(d, organic.DroppedExpired, max(d.attempts-1, 0))
}

// sendBack returns a sample that nobody here has had, without waiting.
func (q *Queue[S]) sendBack(d *delivery[S], delay time.Duration) {
	if reply, ok := d.revoke(); ok {
		_ = q.conn.Publish(reply, nak(delay)) // else it comes back by itself
	}
}

// hold keeps a sound sample ahead, where there is room: there may be none when
// more came than was asked for, or when nobody wants any.
func (q *Queue[S]) hold(d *delivery[S], sound bool) (held bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.incoming = false
	if held = sound && !q.closed && q.wanted && len(q.buffer) < q.cfg.prefetch; held {
		q.buffer = append(q.buffer, d)
		q.held[d.seq] = d
		q.moves++
		delete(q.delayed, d.seq)
	}
	q.ask()
	q.measure()
	q.announce()
	return held
}

// announce wakes the calls of Sample that wait. The lock is held.
func (q *Queue[S]) announce() {
	if q.waiting > 0 {
		close(q.landing)
		q.landing = make(chan struct{})
	}
}

// release forgets a sample that is no longer held.
func (q *Queue[S]) release(d *delivery[S]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forget(d)
	q.measure()
}

// forget is release with the lock held.
func (q *Queue[S]) forget(d *delivery[S]) {
	if q.held[d.seq] == d {
		delete(q.held, d.seq)
		q.moves++
	}
}
