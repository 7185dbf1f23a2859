package natsqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
)

// oneNow asks the server for a sample that waits, if there is one. The server
// says after 100 ms of its own time that there is none; without that time it
// sometimes forgets to, when another request gets the last one.
var oneNow = []byte(`{"batch":1,"no_wait":true,"expires":100000000}`)

// longestRoom is the last pause before another sample has to go.
const longestRoom = 64 * time.Millisecond

// makeRoom gives up the oldest sample that waits. It is ErrFull when there is
// none, because all are leased, delayed or held ahead elsewhere.
func (q *Queue[S]) makeRoom(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.cfg.addTimeout)
	defer cancel()
	if d := q.oldestAhead(); d != nil {
		return q.drop(ctx, d, d.attempts)
	}
	return q.dropNext(ctx)
}

// drop ends a sample for room.
func (q *Queue[S]) drop(ctx context.Context, d *delivery[S], attempts int) error {
	if err := q.end(ctx, d); err != nil {
		q.sendBack(d, 0)
		return err
	}
	q.dropped(d, organic.DroppedFull, attempts)
	return nil
}

// publishInto publishes a message for which room was made. The server confirms
// that a sample has ended a moment before there is room; so that no second one
// has to go, this looks several times.
func (q *Queue[S]) publishInto(ctx context.Context, msg *nats.Msg) (ack *jetstream.PubAck, err error) {
	for pause := time.Millisecond; pause <= longestRoom; pause *= 2 {
		if ack, err = q.publish(ctx, msg); !isFull(err) {
			return ack, err
		}
		<-time.After(pause)
	}
	return q.publish(ctx, msg)
}

// oldestAhead takes the oldest sample out of those that are held ahead.
func (q *Queue[S]) oldestAhead() *delivery[S] {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.buffer) == 0 {
		return nil
	}
	oldest := 0
	for i, d := range q.buffer {
		if d.seq < q.buffer[oldest].seq {
			oldest = i
		}
	}
	d := q.buffer[oldest]
	q.buffer = slices.Delete(q.buffer, oldest, oldest+1)
	q.forget(d)
	q.ask()
	q.measure()
	return d
}

// dropNext takes the next sample from the server and gives it up.
func (q *Queue[S]) dropNext(ctx context.Context) error {
	msg, err := q.takeNow(ctx)
	if err != nil {
		return fmt.Errorf("%w: make room: %w", ErrUnavailable, err)
	}
	d, pending, err := newDelivery[S](msg)
	if err != nil { // nothing waits, or what waits is on its way to somebody
		return q.retryRoom(ctx)
	}
	q.mu.Lock()
	q.backlog.landed(d.attempts == 1, int(pending)) //nolint:gosec // bounded by the capacity
	delete(q.delayed, d.seq)
	q.measure()
	q.mu.Unlock()
	if !q.isSound(d, msg) {
		return nil // there is room now
	}
	return q.drop(ctx, d, max(d.attempts-1, 0))
}

// takeNow asks for one sample by a request of its own. It returns a status when
// there is none. The server ends the request by itself, so that this waits for
// its word, however slow the line; only one that was cut brings none.
func (q *Queue[S]) takeNow(ctx context.Context) (*nats.Msg, error) {
	answer, gone, late := make(chan *nats.Msg), make(chan struct{}), make(chan struct{}, 1)
	cuts, inbox := q.conn.Stats().Reconnects, q.conn.NewRespInbox()
	sub, err := q.conn.Subscribe(inbox, func(msg *nats.Msg) {
		select {
		case answer <- msg:
		case <-gone:
			if msg.Reply != "" { // a sample that nobody waits for any more
				_ = q.conn.Publish(msg.Reply, nak(0)) // else it comes back by itself
			}
			wake(late)
		}
	})
	if err != nil {
		return nil, err
	}
	if err := q.conn.PublishRequest(q.next, inbox, oneNow); err != nil {
		return nil, errors.Join(err, sub.Unsubscribe())
	}
	look := time.NewTicker(grace)
	defer look.Stop()
	for err == nil {
		select {
		case msg := <-answer:
			_ = sub.Unsubscribe() // fails only when the connection is closed
			return msg, nil
		case <-look.C:
			if !q.conn.IsConnected() || q.conn.Stats().Reconnects != cuts {
				err = nats.ErrDisconnected
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	close(gone)
	q.listenOn(sub, late)
	return nil, err
}

// listenOn keeps a subscription until what was asked for has come late, or
// does not come.
func (q *Queue[S]) listenOn(sub *nats.Subscription, late <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		_ = sub.Unsubscribe()
		return
	}
	q.workers.Go(func() {
		select {
		case <-late:
		case <-time.After(serverTime):
		}
		_ = sub.Unsubscribe()
	})
}

// retryRoom waits a moment for a sample that is on its way to this process,
// and says that the queue is full when none comes.
func (q *Queue[S]) retryRoom(ctx context.Context) error {
	q.mu.Lock()
	onItsWay := q.outstanding > 0 && q.isExpecting()
	landing := q.landing
	if onItsWay {
		q.waiting++
	}
	q.mu.Unlock()
	if !onItsWay {
		return organic.ErrFull
	}
	q.kick()
	select {
	case <-landing:
	case <-time.After(grace):
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting--
	if len(q.buffer) > 0 {
		return nil
	}
	return organic.ErrFull
}
