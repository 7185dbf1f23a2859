package e2e_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
)

// countedReads is a client that counts how often all records are read.
type countedReads struct {
	jetstream.JetStream

	reads *atomic.Int64
}

func (c countedReads) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := c.JetStream.Stream(ctx, name)
	return countedReadsStream{stream, c.reads}, err
}

type countedReadsStream struct {
	jetstream.Stream

	reads *atomic.Int64
}

func (c countedReadsStream) CreateConsumer(
	ctx context.Context, cfg jetstream.ConsumerConfig,
) (jetstream.Consumer, error) {
	c.reads.Add(1)
	return c.Stream.CreateConsumer(ctx, cfg)
}

// TestForgetsRecords: the records that a process knows of are bounded, though one
// sample stays unsettled and others are ended by another process.
func TestForgetsRecords(t *testing.T) {
	t.Parallel()
	const capacity = 4
	server := startServer(t)
	other := openQueue(t, server, natsqueue.WithCapacity(capacity))
	var reads atomic.Int64
	queue := openOver(t, countedReads{connect(t, server), &reads}, natsqueue.WithCapacity(capacity))
	add(t, other, 1)
	old := take(t, other)
	queue.Size() // starts its goroutines
	eventually(t, "the records are read", func() bool { return reads.Load() > 0 })
	before := reads.Load()
	for range 4*capacity + 1 {
		add(t, other, 1)
		settle(t, take(t, other), organic.OutcomeRetry, 0)
		settle(t, take(t, other), organic.OutcomeScored, 0)
	}
	eventually(t, "and read again", func() bool { return reads.Load() > before })

	settle(t, old, organic.OutcomeRetry, 300*time.Millisecond)
	require.Equal(t, 2, take2(t, queue).Sample.Attempt)
}

// cutReads is a client whose connection is closed when the records are about to be
// read.
type cutReads struct {
	jetstream.JetStream

	cut chan struct{}
}

func (c cutReads) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := c.JetStream.Stream(ctx, name)
	return cutReadsStream{stream, c}, err
}

type cutReadsStream struct {
	jetstream.Stream

	client cutReads
}

func (c cutReadsStream) CreateConsumer(
	ctx context.Context, cfg jetstream.ConsumerConfig,
) (jetstream.Consumer, error) {
	consumer, err := c.Stream.CreateConsumer(ctx, cfg)
	c.client.Conn().Close()
	close(c.client.cut)
	return consumer, err
}

// TestCloseAfterTheConnectionWasClosed: what is under way when the connection is
// closed ends, and so does Close.
func TestCloseAfterTheConnectionWasClosed(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	other := openQueue(t, server)
	add(t, other, 1)
	settle(t, take(t, other), organic.OutcomeRetry, time.Hour) // there is a record
	client := cutReads{connect(t, server), make(chan struct{})}
	queue, err := natsqueue.New[string](t.Context(), client)
	require.NoError(t, err)
	queue.Size()
	<-client.cut

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NotErrorIs(t, queue.Close(ctx), context.DeadlineExceeded)
}
