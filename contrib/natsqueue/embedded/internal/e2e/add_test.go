package e2e_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// quiet keeps what the client says of cut connections out of the tests' output.
var quiet = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

// connectURL connects as another process does, quick to notice and to return.
func connectURL(tb testing.TB, url string) *nats.Conn {
	tb.Helper()
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ReconnectJitter(0, 0), quiet)
	require.NoError(tb, err)
	tb.Cleanup(conn.Close)
	return conn
}

// freePorts are n different addresses that are not in use.
func freePorts(tb testing.TB, n int) []string {
	tb.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		defer func() { require.NoError(tb, listener.Close()) }() // when all are chosen
		addresses[i] = listener.Addr().String()
	}
	return addresses
}

// TestServerAway: Add waits for a server that is away, and reports when it
// takes too long; what was accepted is there when it is back.
func TestServerAway(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	server, err := embedded.Start(folder, embedded.WithListen("127.0.0.1:0"))
	require.NoError(t, err)
	address := strings.TrimPrefix(server.URL(), "nats://")
	conn := connectURL(t, server.URL())
	queue, err := natsqueue.New[string](t.Context(), streamsOf(t, conn),
		natsqueue.WithAddTimeout(300*time.Millisecond))
	require.NoError(t, err)
	patient, err := natsqueue.New[string](t.Context(), streamsOf(t, conn),
		natsqueue.WithAddTimeout(patience))
	require.NoError(t, err)
	accepted := add(t, queue, 3)
	require.NoError(t, server.Stop(t.Context()))
	eventually(t, "the client must notice", func() bool { return !conn.IsConnected() })

	began := time.Now()
	lost := organic.NewSample("lost")
	err = queue.Add(t.Context(), lost)
	require.ErrorIs(t, err, natsqueue.ErrUnavailable)
	require.Less(t, time.Since(began), 5*time.Second)
	_, err = queue.Sample(t.Context())
	require.ErrorIs(t, err, natsqueue.ErrUnavailable)
	require.GreaterOrEqual(t, queue.Size(), 3, "Size says what is known")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, patient.Add(ctx, lost), context.DeadlineExceeded, "ctx ends the waiting")

	waited := organic.NewSample("waited")
	added := make(chan error, 1)
	go func() { added <- patient.Add(t.Context(), waited) }()
	startServerIn(t, folder, embedded.WithListen(address))
	require.NoError(t, <-added)
	accepted = append(accepted, waited.ID)
	var got []string
	for range accepted {
		lease := take2(t, queue)
		got = append(got, lease.Sample.ID)
		settle(t, lease, organic.OutcomeScored, 0)
	}
	require.Equal(t, accepted, got)
	requireNothing(t, queue, 100*time.Millisecond, "what was refused is not there")
	require.NoError(t, queue.Close(t.Context()))
	require.NoError(t, patient.Close(t.Context()))
}

// take2 is take over a connection that may be down.
func take2(tb testing.TB, queue organic.Queue[string]) (lease organic.Lease[string]) {
	tb.Helper()
	eventually(tb, "a sample that waits must be handed out", func() bool {
		got, err := queue.Sample(tb.Context())
		lease = got
		return err == nil
	})
	return lease
}

// TestWhatCannotBeStored: a full queue, samples that are too long, and IDs of
// any kind.
func TestWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	queue := openQueue(t, server, natsqueue.WithCapacity(1))
	first, second := organic.NewSample("1"), organic.NewSample("2")
	first.ID = "any ID,\r\nReally: \x00 100 % ü #1"
	require.NoError(t, queue.Add(t.Context(), first))
	require.ErrorIs(t, queue.Add(t.Context(), second), organic.ErrFull)
	require.ErrorIs(t, queue.Add(t.Context(), organic.NewSample(strings.Repeat("x", 2<<20))),
		durable.ErrTooLarge)
	require.ErrorIs(t, queue.Add(t.Context(), first), organic.ErrDuplicate, "it waits")
	lease := take(t, queue)
	require.Equal(t, first.ID, lease.Sample.ID)
	require.ErrorIs(t, queue.Add(t.Context(), first), organic.ErrDuplicate, "it is leased")
	require.ErrorIs(t, queue.Add(t.Context(), second), organic.ErrFull, "what is leased still counts")
	settle(t, lease, organic.OutcomeScored, 0)
	require.NoError(t, queue.Add(t.Context(), second), "its ID is free, it was refused")
	lease = take(t, queue)
	require.Equal(t, second.ID, lease.Sample.ID)
	settle(t, lease, organic.OutcomeScored, 0)
	require.NoError(t, queue.Add(t.Context(), organic.Sample[string]{ID: "bare"}))
	lease = take(t, queue)
	require.WithinDuration(t, time.Now(), lease.Sample.Received, patience)
	settle(t, lease, organic.OutcomeScored, 0)
	stats := queue.Stats()
	require.Equal(t, []int64{3, 4}, []int64{stats.Added, stats.Refused})

	small := openQueue(t, server, natsqueue.WithName("small"), natsqueue.WithMaxBytes(2000),
		natsqueue.WithDropOldest())
	require.ErrorIs(t, small.Add(t.Context(), organic.NewSample(strings.Repeat("x", 3000))),
		durable.ErrTooLarge)
	for range 10 {
		require.NoError(t, small.Add(t.Context(), organic.NewSample(strings.Repeat("x", 300))))
	}
	require.Positive(t, small.Stats().DroppedFull)
}

// TestDropsNoLease: at the bound, what is leased or waits for its next attempt
// stays, and the oldest that waits goes.
func TestDropsNoLease(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	scorer, frontend := openQueue(t, server, natsqueue.WithCapacity(3)), openQueue(t, server,
		natsqueue.WithCapacity(3), natsqueue.WithDropOldest())
	drops := make(chan organic.Dropped, 10)
	defer frontend.Watch(organic.Watcher{
		Arrived: func() {},
		Dropped: func(d organic.Dropped) { drops <- d },
	})()
	ids := add(t, scorer, 3)
	leased, delayed := take(t, scorer), take(t, scorer)
	settle(t, delayed, organic.OutcomeRetry, time.Hour)
	eventually(t, "the third is held ahead by the scorer",
		func() bool { return scorer.Stats().Delivered == 3 })
	require.ErrorIs(t, frontend.Add(t.Context(), organic.NewSample("new")), organic.ErrFull,
		"none waits")
	settle(t, take(t, scorer), organic.OutcomeReturn, 0)
	eventually(t, "the third comes back", func() bool { return scorer.Stats().Delivered == 4 })
	require.NoError(t, scorer.Close(t.Context()), "everything but the delayed one waits now")
	require.Error(t, leased.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeReturn}))

	added := add(t, frontend, 3)
	var gone []string
	for range 3 {
		gone = append(gone, (<-drops).ID)
	}
	require.ElementsMatch(t, []string{ids[0], ids[2], added[0]}, gone,
		"all that waited; the one that is delayed is kept")
	require.EqualValues(t, 3, frontend.Stats().DroppedFull)
	for _, id := range added[1:] {
		lease := take(t, frontend)
		require.Equal(t, id, lease.Sample.ID)
		settle(t, lease, organic.OutcomeScored, 0)
	}
}
