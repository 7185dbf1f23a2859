package e2e_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
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

// keyInside is a cipher whose value holds its key.
type keyInside struct{ Key string }

func (keyInside) Seal(plain, _ []byte) ([]byte, error)  { return plain, nil }
func (keyInside) Open(sealed, _ []byte) ([]byte, error) { return sealed, nil }

// TestPrintsNothing: a queue that is printed while it works shows its name alone.
func TestPrintsNothing(t *testing.T) {
	t.Parallel()
	queue := openQueue(t, startServer(t), natsqueue.WithCipher(keyInside{"the key"}))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		add(t, queue, 1)
		require.Equal(t, "natsqueue organic", fmt.Sprintf(verb, queue))
	}
}
