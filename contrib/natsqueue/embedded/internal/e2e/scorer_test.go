package e2e_test

import (
	"context"
	"errors"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
)

// TestCloseLeavesNothing: no goroutine of the queue outlives Close. It runs
// beside no other test.
func TestCloseLeavesNothing(t *testing.T) {
	ours := func() string {
		var text strings.Builder
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&text, 1))
		return text.String()
	}
	queue := openQueue(t, startServer(t))
	add(t, queue, 3)
	settle(t, take(t, queue), organic.OutcomeScored, 0)
	require.Contains(t, ours(), "natsqueue.(*Queue", "it must be seen")
	require.NoError(t, queue.Close(t.Context()))
	require.NotContains(t, ours(), "natsqueue.(*Queue")
}

// TestScorerDrains: the scorer's own account of a queue that it alone uses is
// exact. Drain does not wait for delays, which the queue keeps.
func TestScorerDrains(t *testing.T) {
	t.Parallel()
	const samples = 300
	queue := openQueue(t, startServer(t))
	l := newLedger()
	scorer := l.startScorer(t, queue, 4)
	for range samples {
		_, err := scorer.Enqueue(t.Context(), "payload")
		require.NoError(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	settled := func() int64 {
		stats := scorer.Stats()
		return int64(stats.Scored + stats.Dead + stats.Discarded)
	}
	eventually(t, "those that are delayed are tried again", func() bool {
		require.NoError(t, scorer.Drain(ctx))
		return settled() == samples
	})
	require.EqualValues(t, samples, scorer.Stats().Accepted)
	require.NoError(t, scorer.Stop(ctx))
	require.Zero(t, queue.Size())
}

// TestEnqueueThenIterate: what this process has added is there for its next
// Sample. That call waits for at most a quarter of a second, so that a loaded
// machine misses some. A queue that needs a second call misses all of them, and
// that alone fails the test.
func TestEnqueueThenIterate(t *testing.T) {
	queue := openQueue(t, startServer(t))
	const rounds = 50
	missed := 0
	for range rounds {
		add(t, queue, 1)
		lease, err := queue.Sample(t.Context())
		if errors.Is(err, organic.ErrEmpty) {
			missed++
			lease, err = take(t, queue), nil
		}
		require.NoError(t, err)
		settle(t, lease, organic.OutcomeScored, 0)
		began := time.Now()
		_, err = queue.Sample(t.Context())
		require.ErrorIs(t, err, organic.ErrEmpty)
		require.Less(t, time.Since(began), patience)
	}
	require.Less(t, missed, rounds, "no first call found its sample")
}
