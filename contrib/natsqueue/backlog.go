package natsqueue

import (
	"context"
	"time"
)

const (
	// lookPause is the least time between two looks at the backlog.
	lookPause = 25 * time.Millisecond
	// lookEvery is how often it is looked at without a cause.
	lookEvery = time.Second
	// lookFor is how long the server has to tell.
	lookFor = 2 * time.Second
	// passedOn is how long after its time a sample that was given back, and did
	// not come while this process asks for samples, is another's.
	passedOn = time.Second
)

// backlog is what this process believes of what the server holds. It may be
// told too high between two looks, never too low by what this process has
// added itself. The queue's lock guards it.
type backlog struct {
	pending int       // samples that no process was given
	changes uint64    // of what this process knows better than the last look
	looked  uint64    // the changes that the last look has seen
	added   int       // samples that this process has added since the last look began
	more    bool      // the next look tells the watchers
	others  int       // samples that the server waits for and that are not held here, by the last look
	sure    bool      // there was a look
	newest  time.Time // when this process has added a sample last
}

// add notes a sample that this process has stored.
func (b *backlog) add() {
	b.pending++
	b.added++
	b.changes++
	b.more, b.newest = true, time.Now()
}

// landed notes a delivery, with what was left at the server then.
func (b *backlog) landed(first bool, pending int) {
	if first {
		b.pending--
	}
	if b.pending != pending {
		b.changes++
	}
	if pending > b.pending+1 { // by one it is just that Add has not noted it yet
		b.pending = pending
	}
}

// seen takes over what a look has found. It returns whether there is more to
// take than was known before. A look is early when a sample may be missing from
// it: the server counts one a moment after it has confirmed it, and no longer
// when it is on its way to this process.
func (b *backlog) seen(pending, others int, changes uint64, early bool) (more bool) {
	more = b.more || pending > b.pending
	pending += b.added
	if early {
		pending = max(pending, b.pending)
	}
	b.pending, b.others, b.looked, b.more, b.sure = pending, others, changes, false, true
	return more
}

// isCurrent reports whether the last look knows what this process knows.
func (b *backlog) isCurrent() bool { return b.sure && b.looked == b.changes }

// measure sets what Size says. The lock is held.
func (q *Queue[S]) measure() {
	delayed := len(q.delayed)
	if q.backlog.isCurrent() {
		delayed = min(delayed, q.backlog.others)
		if delayed == 0 {
			clear(q.delayed)
		}
	}
	waiting := max(q.backlog.pending, 0) + len(q.buffer) + delayed
	if q.incoming {
		waiting++
	}
	q.gauge.Store(int64(waiting))
}

// kick has the backlog looked at soon.
func (q *Queue[S]) kick() { wake(q.kicked) }

// wake puts a value into a channel of one slot, unless one is there already.
func wake(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}

// watchBacklog looks at the backlog, soon after each kick and now and then.
func (q *Queue[S]) watchBacklog(ctx context.Context) {
	regular := time.NewTicker(lookEvery)
	defer regular.Stop()
	for {
		select {
		case <-q.kicked:
		case <-q.urgent:
		case <-regular.C:
		case <-ctx.Done():
			return
		}
		q.look(ctx)
		select {
		case <-time.After(lookPause):
		case <-q.urgent: // somebody waits
			wake(q.urgent)
		case <-ctx.Done():
			return
		}
	}
}

// passOn forgets what was to come back before then: it would have, to this
// process, had no other got it. The lock is held.
func (q *Queue[S]) passOn(then time.Time) {
	for seq, due := range q.delayed {
		if due.Before(then) {
			delete(q.delayed, seq)
		}
	}
}

// look asks the server for the backlog.
func (q *Queue[S]) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	q.mu.Lock()
	changes, moves := q.backlog.changes, q.moves
	early := time.Since(q.backlog.newest) < lookPause
	q.backlog.added = 0
	q.mu.Unlock()
	info, err := q.consumer.Info(ctx)

	q.mu.Lock()
	more := false
	if err == nil {
		if q.outstanding > 0 {
			q.passOn(time.Now().Add(-passedOn))
		}
		others := max(info.NumAckPending-len(q.held), 0)
		if q.moves != moves { // what was counted and what is held now do not fit together
			others = max(others, len(q.delayed))
		}
		early = early || q.outstanding > 0 && others > q.backlog.others // one may be on its way here
		if q.outstanding > 0 && others > len(q.delayed) && !q.backlog.isCurrent() {
			q.expected = time.Now().Add(usual) // it may have been sent to this process
		}
		more = q.backlog.seen(int(info.NumPending), others, changes, early) //nolint:gosec // bounded by the capacity
		q.measure()
	}
	q.announce()
	again := early || !q.backlog.isCurrent()
	q.mu.Unlock()
	if more {
		q.arrived()
	}
	if again && ctx.Err() == nil && err == nil {
		q.kick()
	}
}
