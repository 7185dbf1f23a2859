package boltqueue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// TestMove moves a queue to another file: attempts go with the samples, what is
// delayed comes later, and what is in both is moved once.
func TestMove(t *testing.T) {
	t.Parallel()
	from := open(t, newPath(t), boltqueue.Config[string]{})
	to := open(t, newPath(t), boltqueue.Config[string]{Order: organic.OrderFIFO})
	var samples []organic.Sample[string]
	for i := range 10 {
		sample := organic.NewSample(fmt.Sprint(i))
		samples = append(samples, sample)
		require.NoError(t, from.Add(t.Context(), sample))
	}
	require.NoError(t, to.Add(t.Context(), samples[3]), "an earlier Move was interrupted")
	failed := take(t, from)
	delay := organic.Verdict{Outcome: organic.OutcomeRetry, Delay: 100 * time.Millisecond}
	require.NoError(t, failed.Settle(t.Context(), delay))

	moved := 0
	holds := func() bool {
		stats := from.Stats() // once: a delay can end between two calls
		return stats.Waiting+stats.Delayed > 0
	}
	for holds() {
		n, err := durable.Move(t.Context(), from, to)
		require.NoError(t, err)
		moved += n
	}
	require.Equal(t, 10, moved)
	require.Equal(t, 10, to.Size())
	for _, want := range samples {
		got := take(t, to).Sample
		require.Equal(t, want.ID, got.ID)
		if want.ID == failed.Sample.ID {
			require.Contains(t, []int{1, 2}, got.Attempt)
			if want.ID != samples[3].ID {
				require.Equal(t, 2, got.Attempt)
			}
		}
	}
}
