package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
)

// slowNak is a client whose naks return long after they were sent.
type slowNak struct{ jetstream.JetStream }

func (s slowNak) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := s.JetStream.Stream(ctx, name)
	return slowNakStream{stream}, err
}

type slowNakStream struct{ jetstream.Stream }

func (s slowNakStream) Consumer(ctx context.Context, name string) (jetstream.Consumer, error) {
	consumer, err := s.Stream.Consumer(ctx, name)
	return slowNakConsumer{consumer}, err
}

type slowNakConsumer struct{ jetstream.Consumer }

func (s slowNakConsumer) FetchNoWait(n int) (jetstream.MessageBatch, error) {
	batch, err := s.Consumer.FetchNoWait(n)
	return slowNakBatch{batch}, err
}

func (s slowNakConsumer) Fetch(n int, opts ...jetstream.FetchOpt) (jetstream.MessageBatch, error) {
	batch, err := s.Consumer.Fetch(n, opts...)
	return slowNakBatch{batch}, err
}

type slowNakBatch struct{ jetstream.MessageBatch }

func (s slowNakBatch) Messages() <-chan jetstream.Msg {
	slow := make(chan jetstream.Msg)
	go func() {
		defer close(slow)
		for msg := range s.MessageBatch.Messages() {
			slow <- slowNakMsg{msg}
		}
	}()
	return slow
}

type slowNakMsg struct{ jetstream.Msg }

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
			queue := openOver(t, slowNak{connect(t, server)})
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
