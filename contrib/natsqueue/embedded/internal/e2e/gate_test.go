package e2e_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
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
