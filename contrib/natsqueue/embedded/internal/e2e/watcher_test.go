package e2e_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
)

// TestWatcherPanics: a watcher that panics or ends its goroutine harms neither
// the queue nor the process.
func TestWatcherPanics(t *testing.T) {
	t.Parallel()
	queue := openQueue(t, startServer(t))
	var called atomic.Int64
	queue.Watch(organic.Watcher{
		Arrived: func() {
			if called.Add(1)%2 == 0 {
				runtime.Goexit()
			}
			panic("a watcher")
		},
		Dropped: func(organic.Dropped) { panic("a watcher") },
	})
	add(t, queue, 3)
	for range 3 {
		settle(t, take(t, queue), organic.OutcomeScored, 0)
	}
	require.Positive(t, called.Load())
}
