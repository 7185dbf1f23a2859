package e2e_test

import (
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/stretchr/testify/require"
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
		{name: "refuses", traits: organictest.QueueTraits{Order: organic.OrderFIFO, Bound: organictest.Refuses}},
		{name: "drops oldest", traits: organictest.QueueTraits{Order: organic.OrderFIFO}, opts: []natsqueue.Option{natsqueue.WithDropOldest()}},
		{
			name: "shuffles, encrypted", traits: organictest.QueueTraits{Bound: organictest.Refuses, Draws: 1000},
			opts: []natsqueue.Option{natsqueue.WithShuffle(100), key},
		},
		{
			name: "ten ahead", traits: organictest.QueueTraits{Order: organic.OrderFIFO, Bound: organictest.DropsOldest},
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
			traits.Deduplicates, traits.Settles, traits.SizeLags = true, true, true
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

func newCipher(t *testing.T) durable.Cipher {
	t.Helper()
	cipher, err := durable.NewAESGCM("first", map[string][]byte{"first": []byte("0123456789abcdef0123456789abcdef")})
	require.NoError(t, err)
	return cipher
}
