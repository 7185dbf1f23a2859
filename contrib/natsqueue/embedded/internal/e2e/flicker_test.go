package e2e_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// flicker is a client whose stream is missing for a while.
type flicker struct {
	jetstream.JetStream
	missing *atomic.Bool
}

func (c flicker) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	if c.missing.Load() {
		return nil, jetstream.ErrStreamNotFound
	}
	stream, err := c.JetStream.Stream(ctx, name)
	return flickerStream{stream, c}, err
}

type flickerStream struct {
	jetstream.Stream
	client flicker
}

func (s flickerStream) Consumer(ctx context.Context, name string) (jetstream.Consumer, error) {
	consumer, err := s.Stream.Consumer(ctx, name)
	return flickerConsumer{consumer, s.client}, err
}

type flickerConsumer struct {
	jetstream.Consumer
	client flicker
}

func (c flickerConsumer) Info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	if c.client.missing.Load() {
		return nil, jetstream.ErrStreamNotFound
	}
	return c.Consumer.Info(ctx)
}

// TestGoneForAWhile: a stream that is there again, the same as before, counts again.
func TestGoneForAWhile(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	other := openQueue(t, server)
	add(t, other, 3)
	client := flicker{connect(t, server), new(atomic.Bool)}
	queue := openOver(t, client)
	eventually(t, "the size is known", func() bool { return queue.Size() == 3 })
	client.missing.Store(true)
	eventually(t, "the stream is gone", func() bool { return queue.Size() == 0 })
	client.missing.Store(false)
	began := time.Now()
	eventually(t, "the size is known again", func() bool { return queue.Size() == 3 })
	require.Less(t, time.Since(began), 2*soon)
}
