package e2e_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// gate is a client that stores no records while it is closed.
type gate struct {
	jetstream.JetStream

	closed  atomic.Bool
	waiting atomic.Int64
	opened  chan struct{}
}

func newGate(js jetstream.JetStream) *gate {
	return &gate{JetStream: js, opened: make(chan struct{})}
}

func (g *gate) open() {
	g.closed.Store(false)
	close(g.opened)
}

func (g *gate) PublishMsg(
	ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt,
) (*jetstream.PubAck, error) {
	if g.closed.Load() && strings.Contains(msg.Subject, ".record.") {
		g.waiting.Add(1)
		defer g.waiting.Add(-1)
		select {
		case <-g.opened:
		case <-ctx.Done():
		}
	}
	return g.JetStream.PublishMsg(ctx, msg, opts...)
}

// TestIdleProcessLetsGoOfAll: what was held ahead for too long is given back all at
// once, not each after the one before.
func TestIdleProcessLetsGoOfAll(t *testing.T) {
	t.Parallel()
	const ahead = 20
	server := startServer(t)
	gate := newGate(connect(t, server))
	paused := openOver(t, gate, natsqueue.WithPrefetch(ahead))
	add(t, paused, ahead+1)
	settle(t, take(t, paused), organic.OutcomeScored, 0)
	eventually(t, "the others must be held ahead", func() bool {
		return paused.Stats().Delivered == ahead+1
	})
	gate.closed.Store(true)
	eventually(t, "they are given back", func() bool { return gate.waiting.Load() > 1 })
	gate.open()
	require.NoError(t, paused.Close(t.Context()))
}

// deaf is a client that does not hear that records are stored while it is deaf.
type deaf struct {
	jetstream.JetStream

	isDeaf *atomic.Bool
}

func (c deaf) PublishMsg(
	ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt,
) (*jetstream.PubAck, error) {
	ack, err := c.JetStream.PublishMsg(ctx, msg, opts...)
	if c.isDeaf.Load() && strings.Contains(msg.Subject, ".record.") {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return ack, err
}

// TestUnconfirmedNoteIsNoCrash: a sample that was not handed out, since the server
// did not confirm its lease, has not crashed when it is given back.
func TestUnconfirmedNoteIsNoCrash(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	client := deaf{connect(t, server), new(atomic.Bool)}
	crashes := natsqueue.WithMaxCrashes(1)
	queue, other := openOver(t, client, crashes), openQueue(t, server, crashes)
	ids := add(t, queue, 1)
	settle(t, take(t, queue), organic.OutcomeReturn, 0)
	client.isDeaf.Store(true)
	eventually(t, "its lease is not confirmed", func() bool {
		_, err := queue.Sample(t.Context())
		return errors.Is(err, natsqueue.ErrUnconfirmed)
	})
	client.isDeaf.Store(false)
	require.NoError(t, queue.Close(t.Context()))
	lease := take(t, other)
	require.Equal(t, ids[0], lease.Sample.ID)
	settle(t, lease, organic.OutcomeScored, 0)
}

// TestSlowLineRetries: over a slow line, a sample that failed is handed out again.
func TestSlowLineRetries(t *testing.T) {
	t.Parallel()
	for _, roundTrip := range []time.Duration{300 * time.Millisecond, 400 * time.Millisecond} {
		t.Run(roundTrip.String(), func(t *testing.T) {
			t.Parallel()
			server := startServer(t, embedded.WithListen("127.0.0.1:0"))
			line := startProxy(t, server.URL()[len("nats://"):])
			queue := openOver(t, streamsOf(t, connectURL(t, "nats://"+line.listener.Addr().String())))
			add(t, queue, 1)
			settle(t, take(t, queue), organic.OutcomeRetry, 0)
			line.delay.Store(int64(roundTrip / 2))
			began := time.Now()
			lease := take2(t, queue)
			require.Less(t, time.Since(began), patience/2)
			require.Equal(t, 2, lease.Sample.Attempt)
			settle(t, lease, organic.OutcomeScored, 0)
			line.delay.Store(0)
		})
	}
}
