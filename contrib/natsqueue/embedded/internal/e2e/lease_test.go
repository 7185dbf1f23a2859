package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// silent is a queue that looks for what must not come.
func requireNothing(
	t *testing.T, queue organic.Queue[string], during time.Duration, promise string,
) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		_, err := queue.Sample(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty, promise)
	}
}

// TestLeaseIsKeptAlive: a lease outlives the time after which the server takes
// a silent process for dead, and so does what is held ahead.
func TestLeaseIsKeptAlive(t *testing.T) {
	t.Parallel()
	const ackWait = 3 * time.Second // a slow machine must not be silent for so long
	server := startServer(t)
	scorer := openQueue(t, server, natsqueue.WithAckWait(ackWait), natsqueue.WithPrefetch(2))
	other := openQueue(t, server, natsqueue.WithAckWait(ackWait))
	ids := add(t, scorer, 2)
	leases := []organic.Lease[string]{take(t, scorer), take(t, scorer)}

	requireNothing(t, other, 2*ackWait, "what a living process holds is not handed to another")

	for i, lease := range leases {
		require.Equal(t, ids[i], lease.Sample.ID)
		settle(t, lease, organic.OutcomeScored, 0)
	}
}

// TestLeaseIsOver: a lease ends after its longest time, and the sample goes to
// another.
func TestLeaseIsOver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		outcome organic.Outcome
	}{{"scored late", organic.OutcomeScored}, {"failed late", organic.OutcomeRetry}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			slow := openQueue(t, server, natsqueue.WithMaxLease(300*time.Millisecond))
			id := add(t, slow, 1)[0]
			late := take(t, slow)
			other := openQueue(t, server)
			again := take(t, other)
			require.Equal(t, id, again.Sample.ID)
			require.Equal(t, 1, again.Sample.Attempt, "a lease that expires is not a failed attempt")
			require.EqualValues(t, 1, slow.Stats().LeasesOver)

			require.ErrorIs(t, late.Settle(t.Context(), organic.Verdict{Outcome: tt.outcome, Err: errHook}),
				durable.ErrLeaseOver)
			require.Error(t, late.Settle(t.Context(), organic.Verdict{Outcome: tt.outcome}),
				"one verdict, once")
			settle(t, again, organic.OutcomeScored, 0)
			requireNothing(t, other, 100*time.Millisecond, "it is scored")
		})
	}
}

// TestCloseGivesBack: what was leased or held ahead is another's at once, not
// after the time of a dead process.
func TestCloseGivesBack(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	leaving := openQueue(t, server, natsqueue.WithPrefetch(5))
	ids := add(t, leaving, 7)
	lease := take(t, leaving)
	eventually(t, "the others must be held ahead",
		func() bool { return leaving.Stats().Delivered >= 5 })

	require.NoError(t, leaving.Close(t.Context()))
	require.NoError(t, leaving.Close(t.Context()), "twice does no harm")
	_, err := leaving.Sample(t.Context())
	require.ErrorIs(t, err, durable.ErrClosed)
	require.ErrorIs(t, leaving.Add(t.Context(), organic.NewSample("late")), durable.ErrClosed)
	require.ErrorIs(t, lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeReturn}),
		durable.ErrLeaseOver)

	began := time.Now()
	other := openQueue(t, server)
	var got []string
	for range ids {
		lease := take(t, other)
		got = append(got, lease.Sample.ID)
		settle(t, lease, organic.OutcomeScored, 0)
	}
	require.ElementsMatch(t, ids, got)
	require.Less(t, time.Since(began), 10*time.Second,
		"long before the server would have missed the process")
}

// TestHoldsAheadNoMore: a process has no more than it may hold ahead, and none
// before it samples.
func TestHoldsAheadNoMore(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	frontend, scorer, other := openQueue(t, server), openQueue(t, server,
		natsqueue.WithPrefetch(3)), openQueue(t, server)
	stop := frontend.Watch(organic.Watcher{Arrived: func() {}, Dropped: func(organic.Dropped) {}})
	defer stop()
	add(t, frontend, 10)
	first := take(t, scorer)
	eventually(t, "three must be held ahead", func() bool { return scorer.Stats().Delivered == 4 })
	for range 6 {
		settle(t, take(t, other), organic.OutcomeScored, 0)
	}
	requireNothing(t, other, 100*time.Millisecond, "the other four are held")
	require.Zero(t, frontend.Stats().Delivered)
	require.EqualValues(t, 4, scorer.Stats().Delivered)
	settle(t, first, organic.OutcomeScored, 0)
}

// TestIdleProcessLetsGo: what is held ahead goes back when Sample is not called any
// more.
func TestIdleProcessLetsGo(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	paused := openQueue(t, server, natsqueue.WithPrefetch(2))
	ids := add(t, paused, 2)
	settle(t, take(t, paused), organic.OutcomeScored, 0)
	eventually(t, "the second must be held ahead",
		func() bool { return paused.Stats().Delivered == 2 })
	other := openQueue(t, server)
	lease := take(t, other)
	require.Equal(t, ids[1], lease.Sample.ID)
	settle(t, lease, organic.OutcomeScored, 0)
}

// TestWakesOtherProcesses: a scorer that has nothing to do is told of what a
// front-end adds, and both see the size.
func TestWakesOtherProcesses(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	frontend, scorer := openQueue(t, server), openQueue(t, server)
	arrived := make(chan struct{}, 1)
	stop := scorer.Watch(organic.Watcher{Dropped: func(organic.Dropped) {}, Arrived: func() {
		select {
		case arrived <- struct{}{}:
		default:
		}
	}})
	defer stop()
	_, err := scorer.Sample(t.Context())
	require.ErrorIs(t, err, organic.ErrEmpty)
	add(t, frontend, 3)
	select {
	case <-arrived:
	case <-time.After(patience):
		require.Fail(t, "a scorer must be told what another process adds")
	}
	eventually(t, "sizes", func() bool { return scorer.Size() == 3 && frontend.Size() == 3 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = scorer.Sample(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// TestShortSample: a call of Sample whose ctx ends, or that waits in vain since the
// line is slow for a moment, does not make the next ones report an empty queue.
func TestShortSample(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.WithListen("127.0.0.1:0"))
	line := startProxy(t, server.URL()[len("nats://"):])
	queue := openOver(t, streamsOf(t, connectURL(t, "nats://"+line.listener.Addr().String())))
	add(t, queue, 60)
	next := func() {
		t.Helper()
		lease, err := queue.Sample(t.Context())
		require.NoErrorf(t, err, "%d samples wait", queue.Size())
		settle(t, lease, organic.OutcomeScored, 0)
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Microsecond)
		if lease, err := queue.Sample(ctx); err == nil {
			settle(t, lease, organic.OutcomeScored, 0)
		} else {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		cancel()
	}
	for range 10 {
		next()
	}
	line.delay.Store(int64(200 * time.Millisecond))
	for err := error(nil); err == nil; {
		_, err = queue.Sample(t.Context())
	}
	line.delay.Store(0)
	settle(t, take(t, queue), organic.OutcomeScored, 0)
	for range 20 {
		next()
	}
}
