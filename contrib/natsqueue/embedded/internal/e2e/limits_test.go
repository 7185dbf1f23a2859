package e2e_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
)

// TestLargestSampleCanDie: whatever Add accepts can become a dead letter, with
// the longest reason, and can be put back.
func TestLargestSampleCanDie(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]string{"not ASCII": strings.Repeat("ü", 512), "control": strings.Repeat("\x01", 1024)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queue := openQueue(t, startServer(t), natsqueue.WithDeadLetters(10, 0))
			fits, tooLong := 0, 1<<20
			for tooLong-fits > 1 {
				sample := organic.NewSample(strings.Repeat("x", (fits+tooLong)/2))
				err := queue.Add(t.Context(), sample)
				if err != nil {
					require.ErrorIs(t, err, natsqueue.ErrTooLarge)
					tooLong = len(sample.Payload)
					continue
				}
				fits = len(sample.Payload)
				settle(t, take(t, queue), organic.Scored, 0)
			}
			require.Greater(t, fits, 1<<20-10<<10)

			largest := organic.NewSample(strings.Repeat("x", fits))
			require.NoError(t, queue.Add(t.Context(), largest))
			require.NoError(t, take(t, queue).Settle(t.Context(), organic.Verdict{Outcome: organic.Dead, Err: errors.New(reason)}))
			all := letters(t, queue)
			require.Len(t, all, 1)
			require.Equal(t, reason, all[0].Reason)
			require.Equal(t, largest.Payload, all[0].Sample.Payload)
			require.NoError(t, queue.PutBack(t.Context(), all[0].Number))
			lease := take(t, queue)
			require.Equal(t, largest.ID, lease.Sample.ID)
			settle(t, lease, organic.Scored, 0)
		})
	}
}

// TestForeignSampleCanDie: one that leaves no room for a reason, because
// something else than Add has stored it, becomes a dead letter without.
func TestForeignSampleCanDie(t *testing.T) {
	t.Parallel()
	js := connect(t, startServer(t))
	queue := openOver(t, js)
	sample := organic.NewSample(strings.Repeat("x", 1<<20-1000))
	body, err := json.Marshal(sample)
	require.NoError(t, err)
	_, err = js.Publish(t.Context(), "organic.sample", body, jetstream.WithMsgID(sample.ID))
	require.NoError(t, err)
	reason := errors.New(strings.Repeat("x", 2000))
	require.NoError(t, take(t, queue).Settle(t.Context(), organic.Verdict{Outcome: organic.Dead, Err: reason}))
	all := letters(t, queue)
	require.Len(t, all, 1)
	require.Empty(t, all[0].Reason)
	require.Equal(t, sample.Payload, all[0].Sample.Payload)
}
