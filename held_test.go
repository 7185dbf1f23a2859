package organic_test

import (
	"context"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// strictQueue is a sliceQueue that asks before it takes a sample back.
type strictQueue struct {
	sliceQueue

	onReturn func() error // called by Add for a sample that has failed before
}

func (q *strictQueue) Add(ctx context.Context, sample organic.Sample[int]) error {
	if sample.Attempt > 1 {
		if err := q.onReturn(); err != nil {
			return err
		}
	}
	return q.sliceQueue.Add(ctx, sample)
}

// failingScorer returns a scorer over the queue whose samples all fail.
func failingScorer(t *testing.T, queue organic.Queue[int], opts ...organic.Option) *organic.OrganicScorer[int, int] {
	t.Helper()
	hooks := organictest.HookFuncs[int, int]{
		QueryMinersFunc: func(context.Context, organic.Sample[int]) (map[organic.UID]int, error) { return nil, errFateful },
	}
	scorer, err := organic.New(hooks, append(opts, organic.WithQueue(queue))...)
	require.NoError(t, err)
	return scorer
}

// failOnce enqueues samples and lets each of them fail once.
func failOnce(t *testing.T, scorer *organic.OrganicScorer[int, int], samples int) {
	t.Helper()
	for n := range samples {
		_, err := scorer.EnqueueSample(t.Context(), organic.Sample[int]{ID: strconv.Itoa(n), Payload: n})
		require.NoError(t, err)
	}
	for range samples {
		_, err := scorer.Iterate(t.Context())
		require.ErrorIs(t, err, errFateful)
	}
	require.Equal(t, samples, scorer.Stats().Delayed)
}

func TestStopPutsAllDelayedSamplesBack(t *testing.T) {
	t.Parallel()
	leave := func() error { runtime.Goexit(); return nil }
	refuse := func() error { return organic.ErrFull }
	accept := func() error { return nil }
	bury := func(context.Context, organic.Sample[int], error) error { return nil }
	tests := []struct {
		name                  string
		onReturn              func() error
		bury                  func(context.Context, organic.Sample[int], error) error
		queued, dead, dropped int
	}{
		{name: "queue takes them", onReturn: accept, bury: bury, queued: 5},
		{name: "queue refuses them", onReturn: refuse, bury: bury, dead: 5},
		{name: "queue panics", onReturn: func() error { panic("queue") }, bury: bury, dead: 5},
		{name: "queue ends the goroutine", onReturn: leave, bury: bury, dead: 5},
		{
			name: "queue refuses and the dead-letter hook fails", onReturn: refuse, dropped: 5,
			bury: func(context.Context, organic.Sample[int], error) error { return errFateful },
		},
		{
			name: "queue refuses and the dead-letter hook ends the goroutine", onReturn: refuse, dropped: 5,
			bury: func(context.Context, organic.Sample[int], error) error { runtime.Goexit(); return nil },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scorer := failingScorer(t, &strictQueue{onReturn: tt.onReturn}, organic.WithDeadLetter(tt.bury))
			failOnce(t, scorer, 5)

			require.NoError(t, scorer.Stop(t.Context()), "Stop returns, whoever calls it")
			stats := scorer.Stats()
			require.Zero(t, stats.Delayed)
			require.Equal(t, tt.queued, stats.Queued)
			require.EqualValues(t, tt.dead, stats.Dead)
			require.EqualValues(t, tt.dropped, stats.Dropped)
		})
	}
}

// TestStopWaitsForIterateToPutSamplesBack: a delayed sample is never on its
// way behind the back of a scorer at rest.
func TestStopWaitsForIterateToPutSamplesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		busy := make(chan struct{})
		scorer := failingScorer(t, &strictQueue{onReturn: func() error { <-busy; return nil }})
		failOnce(t, scorer, 1)
		time.Sleep(time.Minute) // it is due

		go scorer.Iterate(t.Context()) //nolint:errcheck // fails again
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- scorer.Stop(context.Background()) }()
		synctest.Wait()
		require.Empty(t, stopped, "the queue has not taken the sample back")

		close(busy)
		require.NoError(t, <-stopped)
		stats := scorer.Stats()
		require.Zero(t, stats.Delayed)
		require.Equal(t, 1, stats.Queued)
	})
}

func TestQueueThatEndsTheGoroutineOfIterateCostsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls int
		scorer := failingScorer(t, &strictQueue{onReturn: func() error {
			if calls++; calls == 1 {
				runtime.Goexit()
			}
			return nil
		}})
		failOnce(t, scorer, 1)
		time.Sleep(time.Minute)

		go scorer.Iterate(t.Context()) //nolint:errcheck // does not come back
		synctest.Wait()
		time.Sleep(time.Minute)
		_, err := scorer.Iterate(t.Context())
		require.ErrorIs(t, err, errFateful, "the slot is free and the sample is there")
		require.NoError(t, scorer.Stop(t.Context()))
	})
}
