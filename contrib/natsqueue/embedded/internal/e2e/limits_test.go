package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// TestLargestSampleCanDie: whatever Add accepts can become a dead letter, with
// the longest reason, and can be put back.
func TestLargestSampleCanDie(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{
		"not ASCII": strings.Repeat("ü", 512),
		"control":   strings.Repeat("\x01", 1024),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queue := openQueue(t, startServer(t), natsqueue.WithDeadLetters(10, 0))
			fits, tooLong := 0, 1<<20
			for tooLong-fits > 1 {
				sample := organic.NewSample(strings.Repeat("x", (fits+tooLong)/2))
				err := queue.Add(t.Context(), sample)
				if err != nil {
					require.ErrorIs(t, err, durable.ErrTooLarge)
					tooLong = len(sample.Payload)
					continue
				}
				fits = len(sample.Payload)
				settle(t, take(t, queue), organic.OutcomeScored, 0)
			}
			require.Greater(t, fits, 1<<20-10<<10)

			largest := organic.NewSample(strings.Repeat("x",
				fits-16)) // the text of a time of arrival may be longer than that of another
			require.NoError(t, queue.Add(t.Context(), largest))
			require.NoError(t, take(t, queue).Settle(t.Context(),
				organic.Verdict{Outcome: organic.OutcomeDead, Err: errors.New(reason)}))
			all := letters(t, queue)
			require.Len(t, all, 1)
			require.Equal(t, reason, all[0].Reason)
			require.Equal(t, largest.Payload, all[0].Sample.Payload)
			require.NoError(t, queue.PutBack(t.Context(), all[0].Number))
			lease := take(t, queue)
			require.Equal(t, largest.ID, lease.Sample.ID)
			settle(t, lease, organic.OutcomeScored, 0)
		})
	}
}

// TestDropsOverSlowLine: Add drops a sample though a round trip takes longer than
// Sample waits.
func TestDropsOverSlowLine(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.WithListen("127.0.0.1:0"))
	add(t, openQueue(t, server, natsqueue.WithCapacity(2)), 2)
	line := startProxy(t, server.URL()[len("nats://"):])
	slow := openOver(t, streamsOf(t, connectURL(t, "nats://"+line.listener.Addr().String())),
		natsqueue.WithCapacity(2), natsqueue.WithDropOldest(), natsqueue.WithAddTimeout(patience))
	line.delay.Store(int64(200 * time.Millisecond))
	require.NoError(t, slow.Add(t.Context(), organic.NewSample("new")))
	require.EqualValues(t, 1, slow.Stats().DroppedFull)
	line.delay.Store(0)
}

// TestSizeWithoutOthers: what was given back and is held by another process now
// is no longer counted.
func TestSizeWithoutOthers(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	one, other := openQueue(t, server), openQueue(t, server, natsqueue.WithPrefetch(5))
	add(t, one, 5)
	leases := make([]organic.Lease[string], 5)
	for i := range leases {
		leases[i] = take(t, one)
	}
	eventually(t, "none is left", func() bool { return one.Size() == 0 })
	for _, lease := range leases {
		settle(t, lease, organic.OutcomeReturn, 200*time.Millisecond)
	}
	held, asked := 0, time.Now()
	for time.Since(asked) < 5*time.Second && held < 5 {
		if _, err := other.Sample(t.Context()); err == nil {
			held++
		}
		if lease, err := one.Sample(t.Context()); err == nil {
			settle(t, lease, organic.OutcomeReturn, 200*time.Millisecond)
		}
	}
	require.Equal(t, 5, held)
	taken := time.Now()
	eventually(t, "the other has them", func() bool { return one.Size() == 0 })
	require.Less(t, time.Since(taken), 3*time.Second)
}

// TestNotNow: what the server puts off is sent again, with pauses, and what it
// never takes is not known to be refused.
func TestNotNow(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	for _, code := range []int{10008, 10158} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			name := uniqueName()
			queue := openQueue(t, server, natsqueue.WithName(name), natsqueue.WithAddTimeout(time.Second))
			js := connect(t, server)
			require.NoError(t, js.DeleteStream(t.Context(), name), "something else answers in its place")
			var tries, refuse atomic.Int64
			sub, err := js.Conn().Subscribe(name+".sample.*", func(msg *nats.Msg) {
				answer := fmt.Sprintf(`{"error":{"code":503,"err_code":%d,"description":"not now"}}`, code)
				if tries.Add(1) > refuse.Load() {
					answer = fmt.Sprintf(`{"stream":%q,"seq":1}`, name)
				}
				_ = msg.Respond([]byte(answer))
			})
			require.NoError(t, err)
			require.NoError(t, js.Conn().Flush())
			refuse.Store(2)
			require.NoError(t, queue.Add(t.Context(), organic.NewSample("put off")))
			require.EqualValues(t, 3, tries.Load())
			refuse.Store(1 << 40)
			require.ErrorIs(t, queue.Add(t.Context(), organic.NewSample("put off for ever")),
				natsqueue.ErrUnconfirmed)
			require.Less(t, tries.Load(), int64(20), "there are pauses")
			require.NoError(t, sub.Unsubscribe())
		})
	}
}

// TestCloseAgain: a Close that could not give back all is no success the next
// time either, until the server has confirmed it, and two do not wait for each
// other longer than each may.
func TestCloseAgain(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.WithListen("127.0.0.1:0"))
	line := startProxy(t, server.URL()[len("nats://"):])
	queue := openOver(t, streamsOf(t, connectURL(t, "nats://"+line.listener.Addr().String())))
	ids := add(t, queue, 1)
	take(t, queue)
	line.delay.Store(int64(2 * time.Second))
	began := time.Now()
	errs := make([]error, 2)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			errs[i] = queue.Close(ctx)
		})
	}
	group.Wait()
	require.Less(t, time.Since(began), time.Second)
	for _, err := range errs {
		require.Error(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.Error(t, queue.Close(ctx), "it is still not confirmed")
	line.delay.Store(0)
	require.NoError(t, queue.Close(t.Context()))
	closed := time.Now()
	lease := take(t, openQueue(t, server))
	require.Equal(t, ids[0], lease.Sample.ID)
	require.Less(t, time.Since(closed), patience/2, "it must not come by WithAckWait")
	settle(t, lease, organic.OutcomeScored, 0)
}

// TestRefusesBadID: an ID that would come back as another is refused, so that
// its sample does not become undecodable.
func TestRefusesBadID(t *testing.T) {
	t.Parallel()
	queue := openQueue(t, startServer(t))
	sample := organic.NewSample("payload")
	sample.ID = "\xff"
	require.ErrorContains(t, queue.Add(t.Context(), sample), "not valid UTF-8")
	require.Zero(t, queue.Size())
}

// TestUnconfirmedVerdict: a verdict that arrived though it was not confirmed leaves
// no ghost in the size.
func TestUnconfirmedVerdict(t *testing.T) {
	t.Parallel()
	server := startServer(t, embedded.WithListen("127.0.0.1:0"))
	line := startProxy(t, server.URL()[len("nats://"):])
	queue := openOver(t, streamsOf(t, connectURL(t, "nats://"+line.listener.Addr().String())))
	other := openQueue(t, server)
	add(t, queue, 4)
	older := take(t, other)
	for range 3 {
		lease := take(t, queue)
		line.delay.Store(int64(400 * time.Millisecond))
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		require.Error(t, lease.Settle(ctx, organic.Verdict{Outcome: organic.OutcomeScored}))
		line.delay.Store(0)
	}
	added := time.Now()
	add(t, queue, 2)
	eventually(t, "both know the size", func() bool { return queue.Size() == 2 && other.Size() == 2 })
	require.Less(t, time.Since(added), 3*time.Second)
	settle(t, older, organic.OutcomeScored, 0)
}
