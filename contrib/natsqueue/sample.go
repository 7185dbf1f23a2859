package natsqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
)

// grace is how long Sample waits for a sample that is on its way.
const grace = 250 * time.Millisecond

// usual is after what time it is looked for whether it really is.
const usual = 20 * time.Millisecond

// Sample hands out a sample that is held ahead: the oldest, or one at random
// with [WithShuffle]. It does not wait for one to be added: where nothing is
// held ahead it answers [organic.ErrEmpty], at once when the server was found
// to have nothing, and else after a round trip, 250 ms at most.
//
// The error is ErrUnavailable while the server is away, the cause of ctx when
// that has ended, and [ErrClosed] after Close.
func (q *Queue[S]) Sample(ctx context.Context) (organic.Lease[S], error) {
	if ctx.Err() != nil {
		return organic.Lease[S]{}, context.Cause(ctx)
	}
	q.work()
	began := time.Now()
	for patient := true; ; patient = ctx.Err() == nil && time.Since(began) < grace {
		d, landing, err := q.take(patient) //nolint:contextcheck // what expires does so whatever becomes of ctx
		if d != nil {
			return q.lease(d), nil
		}
		if landing == nil {
			return organic.Lease[S]{}, err
		}
		q.await(ctx, landing)
	}
}

// await waits for something new for Sample, and has the backlog looked at when
// that takes longer than it should.
func (q *Queue[S]) await(ctx context.Context, landing <-chan struct{}) {
	late := time.NewTimer(usual)
	defer late.Stop()
	select {
	case <-landing:
	case <-ctx.Done():
	case <-late.C:
		wake(q.urgent)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting--
}

// take takes a sample that is held ahead, or returns what is closed when it is
// worth while to look again, or why there is none.
func (q *Queue[S]) take(patient bool) (d *delivery[S], landing <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wanted, q.asked = true, time.Now()
	if q.closed {
		return nil, nil, ErrClosed
	}
	if status := q.conn.Status(); !q.conn.IsConnected() {
		return nil, nil, fmt.Errorf("%w: connection is %v", ErrUnavailable, status)
	}
	if expired := q.takeExpired(); len(expired) > 0 {
		q.workers.Go(func() { q.expireAll(context.Background(), expired) })
	}
	q.ask()
	wait := patient && q.isExpecting()
	switch {
	case len(q.buffer) > 0 && (!wait || !q.cfg.shuffle || len(q.buffer) == q.cfg.prefetch):
		return q.pick(), nil, nil
	case wait:
		q.waiting++
		if !q.backlog.isCurrent() {
			wake(q.urgent)
		}
		return nil, q.landing, nil
	case q.failed != nil:
		return nil, nil, q.failed
	default:
		q.measure()
		return nil, nil, organic.ErrEmpty
	}
}

// isExpecting reports whether a sample may be on its way. The lock is held.
func (q *Queue[S]) isExpecting() bool {
	if q.incoming || !q.backlog.isCurrent() || q.backlog.pending > 0 {
		return true
	}
	now := time.Now()
	if now.Before(q.expected) {
		return true
	}
	for _, due := range q.delayed {
		if late := now.Sub(due); late >= 0 && late < grace {
			return true
		}
	}
	return false
}

// pick takes a sample out of what is held ahead. The lock is held.
func (q *Queue[S]) pick() *delivery[S] {
	i := 0
	if q.cfg.shuffle {
		i = rand.IntN(len(q.buffer))
	}
	d := q.buffer[i]
	q.buffer = slices.Delete(q.buffer, i, i+1)
	d.lease(time.Now())
	q.ask()
	q.measure()
	return d
}

// lease hands a sample out.
func (q *Queue[S]) lease(d *delivery[S]) organic.Lease[S] {
	q.counts.leased.Add(1)
	return organic.Lease[S]{
		Sample: d.sample,
		Settle: func(ctx context.Context, verdict organic.Verdict) error { return q.settle(ctx, d, verdict) },
	}
}
