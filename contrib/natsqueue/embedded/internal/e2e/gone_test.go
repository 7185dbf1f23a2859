package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// soon is within what time a process notices what happens on the server.
const soon = 5 * time.Second

// TestStreamIsGone: a stream that is removed is reported by Add, Sample and
// Size, and used again when it was created again.
func TestStreamIsGone(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	name := uniqueName()
	queue := openQueue(t, server, natsqueue.WithName(name))
	add(t, queue, 3)
	lease := take(t, queue)
	js := connect(t, server)
	require.NoError(t, js.DeleteStream(t.Context(), name))

	began := time.Now()
	require.ErrorIs(t, queue.Add(t.Context(), organic.NewSample("late")), organic.ErrGone)
	require.Less(t, time.Since(began), soon, "long before the time of WithAddTimeout")
	eventually(t, "Sample reports it", func() bool {
		_, err := queue.Sample(t.Context())
		return isGone(err)
	})
	eventually(t, "Size reports it", func() bool { return queue.Size() == 0 })
	require.Less(t, time.Since(began), 2*soon)
	require.Error(t, lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeScored}),
		"its sample is gone")

	again := openQueue(t, server, natsqueue.WithName(name))
	ids := add(t, again, 1)
	eventually(t, "the stream is found again", func() bool { return queue.Size() == 1 })
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("new")))
	lease = take2(t, queue)
	require.Equal(t, ids[0], lease.Sample.ID)
	settle(t, lease, organic.OutcomeScored, 0)
}

// TestStaleVerdicts: a verdict about a sample of a stream that was removed and
// created again does nothing to the new stream, whatever it is.
func TestStaleVerdicts(t *testing.T) {
	t.Parallel()
	for _, outcome := range []organic.Outcome{
		organic.OutcomeScored, organic.OutcomeRetry, organic.OutcomeReturn, organic.OutcomeDead,
		organic.OutcomeDiscarded,
	} {
		t.Run(outcome.String(), func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			old := openQueue(t, server, natsqueue.WithMaxLease(time.Hour))
			add(t, old, 1)
			stale := take(t, old)
			js := connect(t, server)
			for _, stream := range []string{"organic", "organic_dead", "organic_records"} {
				require.NoError(t, js.DeleteStream(t.Context(), stream))
			}
			eventually(t, "the server must have removed the files of the streams", func() bool {
				_, err := natsqueue.New[string](t.Context(), js)
				return err == nil
			})
			fresh := openQueue(t, server)
			ids := add(t, fresh, 1)
			lease := take(t, fresh)
			require.Equal(t, ids[0], lease.Sample.ID)
			err := stale.Settle(t.Context(), organic.Verdict{Outcome: outcome, Err: errHook})
			if outcome != organic.OutcomeRetry && outcome != organic.OutcomeReturn { // those are not confirmed
				require.Error(t, err)
			}
			other := openQueue(t, server)
			requireNothing(t, other, 300*time.Millisecond, "the new sample is still leased")
			settle(t, lease, organic.OutcomeReturn, 0)
			lease = take(t, other)
			require.Equal(t, ids[0], lease.Sample.ID, "and it is still in the stream")
			require.Equal(t, 1, lease.Sample.Attempt)
			settle(t, lease, organic.OutcomeScored, 0)
		})
	}
}

// TestConsumerIsGone: a consumer that is removed is created again, and every
// sample is handed out.
func TestConsumerIsGone(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	queue := openQueue(t, server)
	ids := add(t, queue, 3)
	leased := take(t, queue)
	stream, err := connect(t, server).Stream(t.Context(), "organic")
	require.NoError(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		require.NoError(t, stream.DeleteConsumer(t.Context(), name))
	}
	began := time.Now()
	scored := map[string]bool{}
	eventually(t, "the samples are handed out again", func() bool {
		lease, err := queue.Sample(t.Context())
		if err == nil {
			scored[lease.Sample.ID] = true
			settle(t, lease, organic.OutcomeScored, 0)
		}
		return scored[ids[1]] && scored[ids[2]]
	})
	require.Less(t, time.Since(began), 2*soon)
	settle(t, leased, organic.OutcomeScored, 0)
	eventually(t, "nothing is left", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 0
	})
}

// TestFailuresSurviveLostConsumer: a consumer that was created again delivers all
// samples as if for the first time. Failures and delays are kept.
func TestFailuresSurviveLostConsumer(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	queue := openQueue(t, server)
	ids := add(t, queue, 1)
	due := time.Now().Add(2 * time.Second)
	settle(t, take(t, queue), organic.OutcomeRetry, 2*time.Second)
	stream, err := connect(t, server).Stream(t.Context(), "organic")
	require.NoError(t, err)
	for name := range stream.ConsumerNames(t.Context()).Name() {
		require.NoError(t, stream.DeleteConsumer(t.Context(), name))
	}
	for _, scorer := range []*natsqueue.Queue[string]{queue, openQueue(t, server)} {
		lease := take2(t, scorer)
		require.Equal(t, ids[0], lease.Sample.ID)
		require.Equal(t, 2, lease.Sample.Attempt)
		require.False(t, time.Now().Before(due), "the delay must be kept")
		settle(t, lease, organic.OutcomeReturn, 0)
		require.NoError(t, scorer.Close(t.Context()), "it may hold the sample ahead again")
	}
}

// TestEmptiedStore: a server that comes back with an empty folder is one whose
// stream is gone.
func TestEmptiedStore(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.TempDir(), embedded.WithListen("127.0.0.1:0"))
	require.NoError(t, err)
	address := strings.TrimPrefix(server.URL(), "nats://")
	queue, err := natsqueue.New[string](t.Context(), streamsOf(t, connectURL(t, server.URL())))
	require.NoError(t, err)
	add(t, queue, 3)
	require.NoError(t, server.Stop(t.Context()))
	startServer(t, embedded.WithListen(address))
	eventually(t, "Add reports it", func() bool {
		return isGone(queue.Add(t.Context(), organic.NewSample("late")))
	})
	eventually(t, "Sample reports it", func() bool {
		_, err := queue.Sample(t.Context())
		return isGone(err)
	})
	require.Zero(t, queue.Size())
	require.NoError(t, queue.Close(t.Context()))
}

// TestSizeInEveryProcess: each process knows the size within a second, whether
// it adds, scores or only looks.
func TestSizeInEveryProcess(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	frontend, scorer, leaving := openQueue(t, server), openQueue(t, server), openQueue(t, server,
		natsqueue.WithPrefetch(5))
	watching := openQueue(t, server)
	queues := map[string]*natsqueue.Queue[string]{
		"front-end": frontend, "scorer": scorer,
		"one that only looks": watching,
	}
	requireSize := func(what string, want int) {
		t.Helper()
		began := time.Now()
		for name, queue := range queues {
			eventually(t, fmt.Sprintf("%s: size of the %s, have %d, want %d", what, name, queue.Size(),
				want),
				func() bool { return queue.Size() == want })
		}
		t.Logf("%s: %v", what, time.Since(began))
		require.Less(t, time.Since(began), soon)
	}
	require.Zero(t, watching.Size())
	add(t, frontend, 20)
	requireSize("added", 20)
	leases := []organic.Lease[string]{take(t, scorer), take(t, scorer), take(t, scorer)}
	requireSize("leased", 17)
	settle(t, leases[0], organic.OutcomeScored, 0)
	requireSize("scored", 17)
	settle(t, leases[1], organic.OutcomeReturn, 0)
	requireSize("given back", 18)
	settle(t, leases[2], organic.OutcomeRetry, time.Hour)
	requireSize("delayed", 18)
	take(t, leaving)
	take(t, leaving)
	requireSize("leased by another", 16)
	require.NoError(t, leaving.Close(t.Context()))
	requireSize("given back by one that left", 18)
	queues["one that came later"] = openQueue(t, server)
	requireSize("opened", 18)
}

// TestHeldAheadGoesBack: what a process has fetched and does not take is handed
// to another after 5 s, and does not count as a crash.
func TestHeldAheadGoesBack(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	paused, other := openQueue(t, server, natsqueue.WithPrefetch(3)), openQueue(t, server,
		natsqueue.WithMaxCrashes(1))
	ids := add(t, paused, 3)
	first := take(t, paused)
	eventually(t, "the others are held ahead", func() bool { return paused.Stats().Delivered == 3 })
	began := time.Now()
	lease := take(t, other)
	require.InDelta(t, 5, time.Since(began).Seconds(), 3)
	require.Equal(t, ids[1], lease.Sample.ID)
	settle(t, lease, organic.OutcomeScored, 0)
	settle(t, take(t, other), organic.OutcomeScored, 0)
	settle(t, first, organic.OutcomeScored, 0)
	require.Empty(t, letters(t, other))
	require.EqualValues(t, 3, paused.Stats().Delivered, "it asks for no more")
}

// TestAttemptsAreFailures: RetryAfter and deploys do not bring a sample nearer
// to its end.
func TestAttemptsAreFailures(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	id := add(t, openQueue(t, server), 1)[0]
	for range 3 {
		queue := openQueue(t, server, natsqueue.WithMaxCrashes(1))
		settle(t, take(t, queue), organic.OutcomeReturn, 0) // RetryAfter
		take(t, queue)
		require.NoError(t, queue.Close(t.Context())) // a deploy
	}
	queue := openQueue(t, server, natsqueue.WithMaxCrashes(1))
	settle(t, take(t, queue), organic.OutcomeRetry, 0)
	lease := take(t, queue)
	require.Equal(t, id, lease.Sample.ID)
	require.Equal(t, 2, lease.Sample.Attempt, "it has failed once")
	settle(t, lease, organic.OutcomeScored, 0)
	stream, err := connect(t, server).Stream(t.Context(), "organic_records")
	require.NoError(t, err)
	eventually(t, "the record goes with the sample", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 0
	})
}

// TestDelaySurvivesKilledServer: a retry is not early because the server was
// killed right after the verdict.
func TestDelaySurvivesKilledServer(t *testing.T) {
	t.Parallel()
	folder, address := t.TempDir(), freePorts(t, 1)[0]
	url, kill := spawn(t, "server", folder, address)
	queue, err := natsqueue.New[string](t.Context(), streamsOf(t, connectURL(t, url)),
		natsqueue.WithAckWait(time.Second))
	require.NoError(t, err)
	const delay = 6 * time.Second
	add(t, queue, 1)
	lease := take2(t, queue)
	due := time.Now().Add(delay)
	settle(t, lease, organic.OutcomeRetry, delay)
	kill()
	_, _ = spawn(t, "server", folder, address)
	lease = take2(t, queue)
	require.False(t, time.Now().Before(due), "the delay must be kept")
	require.Equal(t, 2, lease.Sample.Attempt)
	settle(t, lease, organic.OutcomeScored, 0)
	require.NoError(t, queue.Close(t.Context()))
}

// TestFailuresSurviveKilledServer: a server that is killed forgets what it has
// delivered. Samples that have failed before are neither early nor new, in a
// process that was there and in one that comes later.
func TestFailuresSurviveKilledServer(t *testing.T) {
	t.Parallel()
	const samples, failing = 40, 20
	folder, address := t.TempDir(), freePorts(t, 1)[0]
	url, kill := spawn(t, "server", folder, address)
	open := func() *natsqueue.Queue[string] {
		queue, err := natsqueue.New[string](t.Context(), streamsOf(t, connectURL(t, url)),
			natsqueue.WithAckWait(time.Second))
		require.NoError(t, err)
		return queue
	}
	queue := open()
	ids := add(t, queue, samples)
	due := make(map[string]time.Time)
	for range failing {
		lease := take2(t, queue)
		due[lease.Sample.ID] = time.Now().Add(4 * time.Second)
		settle(t, lease, organic.OutcomeRetry, 4*time.Second)
	}
	kill()
	_, _ = spawn(t, "server", folder, address)

	queues := []*natsqueue.Queue[string]{queue, open()}
	scored := make(map[string]bool)
	for i := 0; len(scored) < len(ids); i++ {
		lease, err := queues[i%2].Sample(t.Context())
		if err != nil {
			<-time.After(time.Millisecond)
			continue
		}
		id, attempt := lease.Sample.ID, 1
		if early, failed := due[id]; failed {
			require.False(t, time.Now().Before(early), "the delay must be kept")
			attempt = 2
		}
		require.Equal(t, attempt, lease.Sample.Attempt)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_ = lease.Settle(ctx, organic.Verdict{Outcome: organic.OutcomeScored}) // it may be one from before the kill
		cancel()
		scored[id] = true
	}
	for _, queue := range queues {
		require.NoError(t, queue.Close(t.Context()))
	}
}

// TestAccountDemandsBytes: in an account whose streams need a limit in bytes,
// New names the option, and works with it.
func TestAccountDemandsBytes(t *testing.T) {
	t.Parallel()
	js := limitedAccount(t)
	_, err := natsqueue.New[string](t.Context(), js)
	require.ErrorContains(t, err, "use WithMaxBytes")
	queue := openOver(t, js, natsqueue.WithMaxBytes(1<<20), natsqueue.WithCapacity(1000))
	add(t, queue, 3)
	settle(t, take(t, queue), organic.OutcomeRetry, 0)
	settle(t, take(t, queue), organic.OutcomeDead, 0)
	require.Len(t, letters(t, queue), 1)
}

// TestUnknownKey: a sample that was sealed with a key that this process does
// not have is no poison: it stays, Sample reports it, and others are scored.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	old, fresh := cipherWith(t, "old"), cipherWith(t, "new", "old")
	frontend, scorer := openQueue(t, server, natsqueue.WithCipher(fresh)), openQueue(t, server,
		natsqueue.WithCipher(old))
	ids := add(t, frontend, 30)
	known := add(t, scorer, 1)
	lease := take2(t, scorer)
	require.Equal(t, known[0], lease.Sample.ID)
	settle(t, lease, organic.OutcomeScored, 0)
	_, err := scorer.Sample(t.Context())
	require.ErrorContains(t, err, "cannot be opened with the keys of this queue")
	require.ErrorContains(t, err, `no key "new"`)
	require.Empty(t, letters(t, scorer))
	require.NoError(t, scorer.Close(t.Context()))

	updated := openQueue(t, server, natsqueue.WithCipher(fresh))
	got := map[string]bool{}
	for range ids {
		lease := take(t, updated)
		got[lease.Sample.ID] = true
		require.Equal(t, 1, lease.Sample.Attempt)
		settle(t, lease, organic.OutcomeScored, 0)
	}
	require.Len(t, got, len(ids))
}

// TestDropsWhatIsNeeded: a large sample drops as many small ones as it needs
// and no more, and one that can never fit drops none.
func TestDropsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	server := startServer(t)
	queue := openQueue(t, server, natsqueue.WithMaxBytes(limit), natsqueue.WithDropOldest())
	stream, err := connect(t, server).Stream(t.Context(), "organic")
	require.NoError(t, err)
	state := func() jetstream.StreamState {
		info, err := stream.Info(t.Context())
		require.NoError(t, err)
		return info.State
	}
	for state().Bytes < limit-2000 {
		for range 10 {
			require.NoError(t, queue.Add(t.Context(), organic.NewSample(text(1000))))
		}
	}
	dropped := queue.Stats().DroppedFull
	before := state()
	each := int64(before.Bytes / before.Msgs)
	require.NoError(t, queue.Add(t.Context(), organic.NewSample(text(50<<10))))
	dropped = queue.Stats().DroppedFull - dropped
	free := limit - int64(before.Bytes)
	require.InDelta(t, float64(50<<10-free)/float64(each), dropped, 2, "as many as the sample needs")
	require.Greater(t, int64(state().Bytes), limit-2*each, "and no more")

	for _, size := range []int{limit - 204, limit, 2 * limit} {
		before := state()
		require.Error(t, queue.Add(t.Context(), organic.NewSample(text(size))))
		require.NotErrorIs(t, queue.Add(t.Context(), organic.NewSample(text(size))), organic.ErrFull,
			"it is too large, not the queue full")
		require.Equal(t, before.Msgs, state().Msgs, "nothing is dropped for what can never fit")
	}
}

// TestRefusesBeforeDropping: if what waits is not enough, nothing of it is
// dropped.
func TestRefusesBeforeDropping(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	opts := []natsqueue.Option{natsqueue.WithMaxBytes(20_000), natsqueue.WithDropOldest()}
	frontend, scorer := openQueue(t, server, opts...), openQueue(t, server, opts...)
	for range 15 {
		require.NoError(t, frontend.Add(t.Context(), organic.NewSample(text(1000))))
	}
	for range 12 {
		take(t, scorer)
	}
	require.ErrorIs(t, frontend.Add(t.Context(), organic.NewSample(text(12_000))), organic.ErrFull)
	require.Zero(t, frontend.Stats().DroppedFull)
	eventually(t, "what waited waits again", func() bool { return frontend.Size() == 3 })
}

// TestRecordsAreGone: the stream of records is created again when it is needed, and
// if the samples are gone as well a verdict says so at once.
func TestRecordsAreGone(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	js, queue := connect(t, server), openQueue(t, server)
	add(t, queue, 1)
	lease := take(t, queue)
	require.NoError(t, js.DeleteStream(t.Context(), "organic_records"))
	began := time.Now()
	require.NoError(t, lease.Settle(shortly(t),
		organic.Verdict{Outcome: organic.OutcomeRetry, Err: errHook}))
	lease = take(t, queue)
	require.Equal(t, 2, lease.Sample.Attempt)
	require.NoError(t, js.DeleteStream(t.Context(), "organic_records"))
	require.NoError(t, js.DeleteStream(t.Context(), "organic"))
	err := lease.Settle(t.Context(), organic.Verdict{Outcome: organic.OutcomeRetry, Err: errHook})
	require.ErrorIs(t, err, organic.ErrGone)
	require.Less(t, time.Since(began), 5*time.Second)
}
