package natsqueue

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// leastTick and mostTick bound how often leases are looked at.
const (
	leastTick = 10 * time.Millisecond
	mostTick  = time.Second
)

// work starts the goroutines that tend the queue, at the first call.
func (q *Queue[S]) work() {
	q.start.Do(func() {
		ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // Close calls it
		q.ended = cancel
		q.workers.Go(func() { q.watchBacklog(ctx) })
		q.workers.Go(func() { q.tendLeases(ctx) })
	})
}

// tendLeases keeps alive what is held, and the request for more.
func (q *Queue[S]) tendLeases(ctx context.Context) {
	statuses := q.conn.StatusChanged(nats.CONNECTED)
	defer q.conn.RemoveStatusListener(statuses)
	every := q.cfg.ackWait / 3
	tick := time.NewTicker(min(max(every/2, leastTick), mostTick))
	defer tick.Stop()
	for {
		select {
		case <-statuses:
			q.lost()
			q.kick()
		case now := <-tick.C:
			q.keepAlive(now, every)
			q.tendBuffer(ctx, now)
			q.tend(now)
		case <-ctx.Done():
			return
		}
	}
}

// keepAlive tells the server of all that is held, and gives back what has been
// leased for too long.
func (q *Queue[S]) keepAlive(now time.Time, every time.Duration) {
	q.mu.Lock()
	held := make([]*delivery[S], 0, len(q.held))
	for _, d := range q.held {
		held = append(held, d)
	}
	q.mu.Unlock()
	for _, d := range held {
		if !d.keepAlive(q.conn, now, every, q.cfg.maxLease) {
			continue
		}
		if reply, ok := d.revoke(); ok {
			q.counts.leasesOver.Add(1)
			q.postpone(d, now)
			_ = q.conn.Publish(reply, nak(0)) // else it comes back by itself
		}
	}
}

// postpone notes that a sample goes back to the server until then.
func (q *Queue[S]) postpone(d *delivery[S], until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forget(d)
	q.delayed[d.seq] = until
	q.backlog.others++
	q.backlog.changes++
	q.measure()
	q.kick()
}

// tendBuffer drops what has become too old while it was held ahead, and gives
// all of it back when nobody has asked for samples for long.
func (q *Queue[S]) tendBuffer(ctx context.Context, now time.Time) {
	q.mu.Lock()
	expired := q.takeExpired()
	var idle []*delivery[S]
	if q.wanted && now.Sub(q.asked) > q.cfg.maxLease {
		q.rest()
		idle, q.buffer = q.buffer, nil
	}
	q.ask()
	q.measure()
	q.mu.Unlock()
	for _, d := range idle {
		q.postpone(d, now)
		q.sendBack(d, 0)
	}
	q.expireAll(ctx, expired)
}

// takeExpired takes what is too old out of what is held ahead. The lock is
// held.
func (q *Queue[S]) takeExpired() (expired []*delivery[S]) {
	if q.cfg.maxAge == 0 {
		return nil
	}
	kept := q.buffer[:0]
	for _, d := range q.buffer {
		if q.isExpired(&d.sample, 0) {
			expired = append(expired, d)
			q.forget(d)
			continue
		}
		kept = append(kept, d)
	}
	clear(q.buffer[len(kept):])
	q.buffer = kept
	return expired
}

func (q *Queue[S]) expireAll(ctx context.Context, expired []*delivery[S]) {
	if len(expired) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverTime)
	defer cancel()
	for _, d := range expired {
		q.expire(ctx, d)
	}
}
