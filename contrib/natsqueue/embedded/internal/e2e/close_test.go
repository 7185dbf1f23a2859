package e2e_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// beginClose begins a Close, and returns when it refuses samples.
func beginClose(t *testing.T, queue *natsqueue.Queue[string]) (closed <-chan error) {
	t.Helper()
	result := make(chan error, 1)
	go func() { result <- queue.Close(t.Context()) }()
	eventually(t, "the queue must be closed", func() bool {
		_, err := queue.Sample(t.Context())
		return errors.Is(err, durable.ErrClosed)
	})
	return result
}

// requireAtOnce takes the only sample, which must not come by WithAckWait.
func requireAtOnce(t *testing.T, server *embedded.Server, id string, attempt int) {
	t.Helper()
	began := time.Now()
	lease := take(t, openQueue(t, server))
	require.Less(t, time.Since(began), patience/2, "it must not come by WithAckWait")
	require.Equal(t, id, lease.Sample.ID)
	require.Equal(t, attempt, lease.Sample.Attempt)
	settle(t, lease, organic.OutcomeScored, 0)
}

// TestCloseDuringFetch: a sample that comes while the queue is closed is given back,
// and Close waits until the server has confirmed that.
func TestCloseDuringFetch(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.WithListen("127.0.0.1:0"))
	ids := add(t, openQueue(t, server), 1) // creates what the client below finds
	line := startProxy(t, server.URL()[len("nats://"):])
	came, proceed := make(chan struct{}), make(chan struct{})
	js := streamsOf(t, connectURL(t, "nats://"+line.listener.Addr().String()))
	queue := openOver(t, tapped{js, func(msg jetstream.Msg) jetstream.Msg {
		close(came) // a second message would be one that was given back too early
		<-proceed
		return msg
	}})
	_, err := queue.Sample(t.Context())
	require.ErrorIs(t, err, organic.ErrEmpty)
	<-came
	closed := beginClose(t, queue)
	line.delay.Store(int64(300 * time.Millisecond))
	close(proceed)
	require.NoError(t, <-closed)
	line.cut()
	line.delay.Store(0)
	requireAtOnce(t, server, ids[0], 1)
}

// TestCloseDuringSample: a sample that is about to be handed out when the queue is
// closed is given back instead.
func TestCloseDuringSample(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	gate := newGate(connect(t, server))
	queue := openOver(t, gate)
	ids := add(t, queue, 1)
	settle(t, take(t, queue), organic.OutcomeRetry, 0) // the next lease is stored
	gate.closed.Store(true)
	sampled := make(chan error, 1)
	go func() {
		_, err := queue.Sample(t.Context())
		for err != nil && !errors.Is(err, durable.ErrClosed) {
			_, err = queue.Sample(t.Context())
		}
		sampled <- err
	}()
	eventually(t, "the lease is stored", func() bool { return gate.waiting.Load() == 1 })
	closed := beginClose(t, queue)
	gate.open()
	require.ErrorIs(t, <-sampled, durable.ErrClosed)
	require.NoError(t, <-closed)
	requireAtOnce(t, server, ids[0], 2)
}
