package e2e_test

import (
	"context"
	"errors"
	"fmt"
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

// patience is how long a test waits for anything, on a slow machine.
const patience = 30 * time.Second

var errHook = errors.New("a hook failed")

var names atomic.Int64

// uniqueName names a queue that no other test uses.
func uniqueName() string { return fmt.Sprintf("q%d", names.Add(1)) }

func startServer(tb testing.TB, opts ...embedded.Option) *embedded.Server {
	tb.Helper()
	return startServerIn(tb, tb.TempDir(), opts...)
}

func startServerIn(tb testing.TB, folder string, opts ...embedded.Option) *embedded.Server {
	tb.Helper()
	server, err := embedded.Start(folder, opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, server.Stop(context.Background())) })
	return server
}

func connect(tb testing.TB, server *embedded.Server) jetstream.JetStream {
	tb.Helper()
	conn, err := server.Connect()
	require.NoError(tb, err)
	tb.Cleanup(conn.Close)
	return streamsOf(tb, conn)
}

func streamsOf(tb testing.TB, conn *nats.Conn) jetstream.JetStream {
	tb.Helper()
	js, err := jetstream.New(conn)
	require.NoError(tb, err)
	return js
}

// openQueue opens a queue over a connection of its own, as another process
// would.
func openQueue(
	tb testing.TB, server *embedded.Server, opts ...natsqueue.Option,
) *natsqueue.Queue[string] {
	tb.Helper()
	return openOver(tb, connect(tb, server), opts...)
}

func openOver(
	tb testing.TB, js jetstream.JetStream, opts ...natsqueue.Option,
) *natsqueue.Queue[string] {
	tb.Helper()
	queue, err := natsqueue.New[string](tb.Context(), js, opts...)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(tb, queue.Close(ctx))
	})
	return queue
}

// add stores n samples and returns their IDs.
func add(tb testing.TB, queue organic.Queue[string], n int) []string {
	tb.Helper()
	ids := make([]string, n)
	for i := range ids {
		sample := organic.NewSample(fmt.Sprintf("payload %d", i))
		ids[i] = sample.ID
		require.NoError(tb, queue.Add(tb.Context(), sample))
	}
	return ids
}

// take waits for a sample.
func take(tb testing.TB, queue organic.Queue[string]) organic.Lease[string] {
	tb.Helper()
	var lease organic.Lease[string]
	eventually(tb, "a sample that waits must be handed out", func() bool {
		got, err := queue.Sample(tb.Context())
		if err != nil {
			require.ErrorIs(tb, err, organic.ErrEmpty)
		}
		lease = got
		return err == nil
	})
	return lease
}

func settle(
	tb testing.TB, lease organic.Lease[string], outcome organic.Outcome, delay time.Duration,
) {
	tb.Helper()
	verdict := organic.Verdict{Outcome: outcome, Delay: delay}
	if outcome != organic.OutcomeScored {
		verdict.Err = errHook
	}
	require.NoError(tb, lease.Settle(tb.Context(), verdict))
}

// eventually waits for what must come true.
func eventually(tb testing.TB, promise string, condition func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !condition(); <-time.After(time.Millisecond) {
		require.Truef(tb, time.Now().Before(end), "%s (waited %v)", promise, patience)
	}
}

// shortly is a context for a call that fails.
func shortly(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Second)
	tb.Cleanup(cancel)
	return ctx
}
