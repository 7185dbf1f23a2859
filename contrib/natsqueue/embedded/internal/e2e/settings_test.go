package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"
)

// TestOtherSettings: a queue that exists with other settings is an error that
// names them, and is changed only when that is asked for and loses nothing.
func TestOtherSettings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options []natsqueue.Option
		says    string
		harms   bool // also with WithUpdate
	}{
		{
			name: "larger", options: []natsqueue.Option{natsqueue.WithCapacity(20)},
			says: "messages: have 10, want 20",
		},
		{
			name: "smaller, but large enough", options: []natsqueue.Option{natsqueue.WithCapacity(5)},
			says: "messages: have 10, want 5",
		},
		{
			name: "smaller than what is stored", options: []natsqueue.Option{natsqueue.WithCapacity(4)},
			says: "messages: have 10, want 4", harms: true,
		},
		{
			name: "fewer bytes than are stored", options: []natsqueue.Option{natsqueue.WithMaxBytes(10)},
			says: "bytes: have -1, want 10", harms: true,
		},
		{
			name: "maximum age", options: []natsqueue.Option{natsqueue.WithMaxAge(time.Hour)},
			says: "age: have 0s, want 1h2m0s",
		},
		{
			name: "lease", options: []natsqueue.Option{natsqueue.WithAckWait(time.Minute)},
			says: "acknowledgement wait: have 30s, want 1m0s",
		},
		{
			name: "dead letters", options: []natsqueue.Option{natsqueue.WithDeadLetters(7, time.Hour)},
			says: "messages: have 10000, want 7",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			before := openQueue(t, server, natsqueue.WithCapacity(10))
			ids := add(t, before, 5)
			require.NoError(t, before.Close(t.Context()))

			options := append([]natsqueue.Option{natsqueue.WithCapacity(10)}, tt.options...)
			_, err := natsqueue.New[string](t.Context(), connect(t, server), options...)
			require.ErrorIs(t, err, natsqueue.ErrMismatch)
			require.ErrorContains(t, err, tt.says)

			options = append(options, natsqueue.WithUpdate())
			if tt.harms {
				_, err = natsqueue.New[string](t.Context(), connect(t, server), options...)
				require.ErrorIs(t, err, natsqueue.ErrMismatch)
				options = []natsqueue.Option{natsqueue.WithCapacity(10)}
			}
			after := openQueue(t, server, options...)
			for _, id := range ids {
				lease := take(t, after)
				require.Equal(t, id, lease.Sample.ID)
				settle(t, lease, organic.OutcomeScored, 0)
			}
		})
	}
}

// TestForeignStreams: what others have made with limits that could lose a
// sample is never used, whatever is asked for.
func TestForeignStreams(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	js := connect(t, server)
	good := func(name string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Subjects: []string{name + ".sample.*"}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: 1, MaxMsgs: 10_000,
		}
	}
	tests := []struct {
		name   string
		change func(cfg *jetstream.StreamConfig)
		says   string
	}{
		{"drops the oldest", func(cfg *jetstream.StreamConfig) {
			cfg.Discard,
				cfg.DiscardNewPerSubject = jetstream.DiscardOld, false
		}, "discard: have DiscardOld"},
		{
			"keeps all", func(cfg *jetstream.StreamConfig) { cfg.Retention = jetstream.LimitsPolicy },
			"retention: have Limits",
		},
		{
			"in memory", func(cfg *jetstream.StreamConfig) { cfg.Storage = jetstream.MemoryStorage },
			"storage: have Memory",
		},
		{
			"limit per subject", func(cfg *jetstream.StreamConfig) { cfg.MaxMsgsPerSubject = 2 },
			"messages per subject: have 2",
		},
		{
			"other subjects", func(cfg *jetstream.StreamConfig) { cfg.Subjects = []string{"y.>"} },
			"subjects: have [y.>]",
		},
		{"sends no answers", func(cfg *jetstream.StreamConfig) { cfg.NoAck = true }, "no ack: have true"},
	}
	for i, tt := range tests {
		stream := good(fmt.Sprintf("foreign%d",
			i)) // the server may not have removed a stream of the same name yet
		tt.change(&stream)
		_, err := js.CreateStream(t.Context(), stream)
		require.NoError(t, err, tt.name)
		for _, option := range []natsqueue.Option{
			natsqueue.WithCapacity(10_000),
			natsqueue.WithUpdate(),
		} {
			_, err = natsqueue.New[string](t.Context(), js, natsqueue.WithName(stream.Name), option)
			require.ErrorIs(t, err, natsqueue.ErrMismatch, tt.name)
			require.ErrorContains(t, err, tt.says, tt.name)
		}
	}
}

// TestMaximumAgeOfRetries: a retry that would come too late is an expiry, not a
// silent loss, and so is what the next scorer finds too old.
func TestMaximumAgeOfRetries(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	queue := openQueue(t, server, natsqueue.WithMaxAge(time.Hour))
	drops := make(chan organic.Dropped, 10)
	defer queue.Watch(organic.Watcher{
		Arrived: func() {},
		Dropped: func(d organic.Dropped) { drops <- d },
	})()
	ids := add(t, queue, 1)
	settle(t, take(t, queue), organic.OutcomeRetry, 2*time.Hour)
	drop := <-drops
	require.Equal(t, ids[0], drop.ID)
	require.Equal(t, organic.DroppedExpired, drop.Reason)
	eventually(t, "it must not count any more", func() bool { return queue.Size() == 0 })
	require.EqualValues(t, 1, queue.Stats().Expired)
}
