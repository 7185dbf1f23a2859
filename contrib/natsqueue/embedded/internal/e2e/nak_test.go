package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
)

// tapped is a client that passes each message that it receives through a function.
type tapped struct {
	jetstream.JetStream

	tap func(msg jetstream.Msg) jetstream.Msg
}

func (c tapped) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := c.JetStream.Stream(ctx, name)
	return tappedStream{stream, c}, err
}

type tappedStream struct {
	jetstream.Stream

	client tapped
}

func (s tappedStream) Consumer(ctx context.Context, name string) (jetstream.Consumer, error) {
	consumer, err := s.Stream.Consumer(ctx, name)
	return tappedConsumer{consumer, s.client}, err
}

type tappedConsumer struct {
	jetstream.Consumer

	client tapped
}

func (c tappedConsumer) FetchNoWait(n int) (jetstream.MessageBatch, error) {
	batch, err := c.Consumer.FetchNoWait(n)
	return tappedBatch{batch, c.client}, err
}

func (c tappedConsumer) Fetch(n int, opts ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	batch, err := c.Consumer.Fetch(n, opts...)
	return tappedBatch{batch, c.client}, err
}

type tappedBatch struct {
	jetstream.MessageBatch

	client tapped
}

func (b tappedBatch) Messages() <-chan jetstream.Msg {
	messages := make(chan jetstream.Msg)
	go func() {
		defer close(messages)
		for msg := range b.MessageBatch.Messages() {
			messages <- b.client.tap(msg)
		}
	}()
	return messages
}

// slowNakMsg is a message whose nak returns long after it was sent.
type slowNakMsg struct{ jetstream.Msg }

func slowNak(msg jetstream.Msg) jetstream.Msg { return slowNakMsg{msg} }

func (s slowNakMsg) NakWithDelay(delay time.Duration) error {
	err := s.Msg.NakWithDelay(delay)
	<-time.After(200 * time.Millisecond)
	return err
}

// TestRedeliveryBeforeNakReturns: a sample that the server hands out again
// before the call that gives it back has returned is not taken for the lease
// that ends.
func TestRedeliveryBeforeNakReturns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		outcome organic.Outcome
	}{{"failed", organic.OutcomeRetry}, {"returned", organic.OutcomeReturn}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			openQueue(t, server) // creates what the client below finds
			queue := openOver(t, tapped{connect(t, server), slowNak})
			id := add(t, queue, 1)[0]
			lease := take(t, queue)
			settled := make(chan error, 1)
			verdict := organic.Verdict{Outcome: tt.outcome, Err: errHook}
			go func() { settled <- lease.Settle(t.Context(), verdict) }()

			began := time.Now()
			again := take(t, queue)

			require.NoError(t, <-settled)
			require.Equal(t, id, again.Sample.ID)
			require.Less(t, time.Since(began), patience/2, "it must not come by WithAckWait")
			settle(t, again, organic.OutcomeScored, 0)
			require.Zero(t, queue.Stats().Rejoined)
		})
	}
}
