package boltqueue_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// open opens a queue that is closed with the test.
func open(t *testing.T, path string, cfg boltqueue.Config[string]) *boltqueue.Queue[string] {
	t.Helper()
	queue, err := boltqueue.Open(path, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, queue.Close(context.WithoutCancel(t.Context()))) })
	return queue
}

func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "queue.db")
}

// crashed copies the files of a queue that is open as they are at this moment:
// what a process leaves that is killed now.
func crashed(t *testing.T, path string) string {
	t.Helper()
	left := newPath(t)
	for _, suffix := range []string{"", ".journal"} {
		data, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(left+suffix, data, 0o600))
	}
	return left
}

func TestQueueKeepsTheContract(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		cfg   boltqueue.Config[string]
		bound organictest.Bound
	}{
		{name: "random"},
		{
			name:  "fifo refuses",
			cfg:   boltqueue.Config[string]{Order: organic.OrderFIFO, Refuse: true},
			bound: organictest.Refuses,
		},
		{name: "newest", cfg: boltqueue.Config[string]{Order: organic.OrderNewest}},
		{name: "fair", cfg: boltqueue.Config[string]{Order: organic.OrderFair}},
		{name: "no sync", cfg: boltqueue.Config[string]{NoSync: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			draws := 500 // with two syncs each
			if tt.cfg.NoSync {
				draws = 5000
			}
			newQueue := func(t *testing.T, capacity int) organic.Queue[string] {
				t.Helper()
				cfg := tt.cfg
				cfg.Capacity = capacity
				return open(t, newPath(t), cfg)
			}
			organictest.TestQueue(t, newQueue, organictest.QueueTraits{
				Order: tt.cfg.Order, Bound: tt.bound, Draws: draws,
				Settles: true, Deduplicates: true,
				NewAged: func(t *testing.T, maxAge time.Duration) organic.Queue[string] {
					t.Helper()
					cfg := tt.cfg
					cfg.MaxAge = maxAge
					return open(t, newPath(t), cfg)
				},
			})
		})
	}
}

func TestQueueKeepsTheContractOfDurableQueues(t *testing.T) {
	t.Parallel()
	for _, order := range []organic.Order{organic.OrderRandom, organic.OrderFair} {
		t.Run(order.String(), func(t *testing.T) {
			t.Parallel()
			newStore := func(t *testing.T) organictest.DurableStore {
				t.Helper()
				path := newPath(t)
				return organictest.DurableStore{
					Open: func(
						_ *testing.T, cfg organictest.DurableConfig,
					) (durable.Queue[string], error) {
						return boltqueue.Open(path, boltqueue.Config[string]{
							Capacity:   cfg.Capacity,
							Refuse:     !cfg.DropOldest,
							MaxAge:     cfg.MaxAge,
							MaxCrashes: cfg.MaxCrashes,
							Codec:      cfg.Codec,
							Cipher:     cfg.Cipher,
							Order:      order,
						})
					},
					Crash: func(t *testing.T, _ durable.Queue[string]) {
						t.Helper()
						path = crashed(t, path)
					},
				}
			}
			organictest.TestDurableQueue(t, newStore, organictest.DurableTraits{})
		})
	}
}
