package organic_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func TestMemoryQueueConforms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		opts   []organic.QueueOption
		traits organictest.QueueTraits
	}{
		{name: "random, drops the oldest"},
		{
			name:   "first in, first out, refuses",
			opts:   []organic.QueueOption{organic.WithOrder(organic.FIFO), organic.WithRefusal()},
			traits: organictest.QueueTraits{Order: organic.FIFO, Bound: organictest.Refuses},
		},
		{
			name:   "newest first",
			opts:   []organic.QueueOption{organic.WithOrder(organic.Newest)},
			traits: organictest.QueueTraits{Order: organic.Newest},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			newQueue := func(t *testing.T, opts ...organic.QueueOption) organic.Queue[string] {
				t.Helper()
				queue, err := organic.NewMemoryQueue[string](append(opts, test.opts...)...)
				require.NoError(t, err)
				return queue
			}
			test.traits.NewAged = func(t *testing.T, age time.Duration) organic.Queue[string] {
				t.Helper()
				return newQueue(t, organic.WithMaxAge(age))
			}
			organictest.TestQueue(t, func(t *testing.T, capacity int) organic.Queue[string] {
				t.Helper()
				return newQueue(t, organic.WithCapacity(capacity))
			}, test.traits)
		})
	}
}
