package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// TestConformance holds the queue to the contract of organic.Queue, in each of
// its modes.
func TestConformance(t *testing.T) {
	t.Parallel()
	key := natsqueue.WithCipher(newCipher(t))
	tests := []struct {
		name   string
		traits organictest.QueueTraits
		opts   []natsqueue.Option
	}{
		{name: "refuses", traits: organictest.QueueTraits{
			Order: organic.OrderFIFO,
			Bound: organictest.Refuses,
		}},
		{
			name: "drops oldest", traits: organictest.QueueTraits{Order: organic.OrderFIFO},
			opts: []natsqueue.Option{natsqueue.WithDropOldest()},
		},
		{
			name:   "shuffles, encrypted",
			traits: organictest.QueueTraits{Bound: organictest.Refuses, Draws: 1000},
			opts:   []natsqueue.Option{natsqueue.WithShuffle(100), key},
		},
		{
			name: "ten ahead", traits: organictest.QueueTraits{
				Order: organic.OrderFIFO,
				Bound: organictest.DropsOldest,
			},
			opts: []natsqueue.Option{natsqueue.WithPrefetch(10), natsqueue.WithDropOldest()},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t)
			newQueue := func(t *testing.T, opts ...natsqueue.Option) organic.Queue[string] {
				t.Helper()
				opts = append([]natsqueue.Option{natsqueue.WithName(uniqueName())}, opts...)
				return openQueue(t, server, append(opts, tt.opts...)...)
			}
			traits := tt.traits
			traits.Settles, traits.SizeLags = true, true
			traits.Patience = patience / 2 // below WithAckWait, which would bring what was lost
			traits.NewAged = func(t *testing.T, maxAge time.Duration) organic.Queue[string] {
				t.Helper()
				return newQueue(t, natsqueue.WithMaxAge(maxAge))
			}
			organictest.TestQueue(t, func(t *testing.T, capacity int) organic.Queue[string] {
				t.Helper()
				return newQueue(t, natsqueue.WithCapacity(capacity))
			}, traits)
		})
	}
}

// TestDurable tests the queue against the contract of durable queues, on one
// server for all that share a store.
func TestDurable(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	organictest.TestDurableQueue(t, func(*testing.T) organictest.DurableStore {
		return newStore(server, uniqueName())
	}, organictest.DurableTraits{Shared: true, LeasesExpire: true, SizeLags: true, Patience: patience})
}

// newStore is a name on a server. Each handle has a connection of its own.
func newStore(server *embedded.Server, name string) organictest.DurableStore {
	conns := make(map[durable.Queue[string]]*nats.Conn)
	return organictest.DurableStore{
		Open: func(t *testing.T, cfg organictest.DurableConfig) (durable.Queue[string], error) {
			t.Helper()
			js := connect(t, server)
			queue, err := natsqueue.New[string](t.Context(), js, optionsOf(name, cfg)...)
			if err != nil {
				return nil, err
			}
			conns[queue] = js.Conn()
			t.Cleanup(func() { _ = queue.Close(context.Background()) }) // the connection may be closed
			return queue, nil
		},
		Crash: func(_ *testing.T, queue durable.Queue[string]) { conns[queue].Close() },
	}
}

func optionsOf(name string, cfg organictest.DurableConfig) []natsqueue.Option {
	opts := []natsqueue.Option{
		natsqueue.WithName(name), natsqueue.WithCapacity(cfg.Capacity),
		natsqueue.WithAckWait(time.Second),
	}
	if cfg.DropOldest {
		opts = append(opts, natsqueue.WithDropOldest())
	}
	if cfg.MaxAge > 0 {
		opts = append(opts, natsqueue.WithMaxAge(cfg.MaxAge))
	}
	if cfg.MaxLease > 0 {
		opts = append(opts, natsqueue.WithMaxLease(cfg.MaxLease))
	}
	if cfg.MaxCrashes > 0 {
		opts = append(opts, natsqueue.WithMaxCrashes(cfg.MaxCrashes))
	}
	if cfg.Codec != nil {
		opts = append(opts, natsqueue.WithCodec(cfg.Codec))
	}
	if cfg.Cipher != nil {
		opts = append(opts, natsqueue.WithCipher(cfg.Cipher))
	}
	return opts
}

func newCipher(t *testing.T) durable.Cipher {
	t.Helper()
	cipher, err := durable.NewAESGCM("first",
		map[string][]byte{"first": []byte("0123456789abcdef0123456789abcdef")})
	require.NoError(t, err)
	return cipher
}
