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

func (c countedReadsStream) OrderedConsumer(
	ctx context.Context, cfg jetstream.OrderedConsumerConfig,
) (jetstream.Consumer, error) {
	c.reads.Add(1)
	return c.Stream.OrderedConsumer(ctx, cfg)
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
