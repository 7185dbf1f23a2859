package organic_test

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func TestUnbuiltMemoryQueueReturnsAnError(t *testing.T) {
	t.Parallel()
	for _, queue := range []*organic.MemoryQueue[string]{nil, {}} {
		require.ErrorIs(t, queue.Add(t.Context(), promptSample{}), organic.ErrNotBuilt)
		_, err := queue.Sample(t.Context())
		require.ErrorIs(t, err, organic.ErrNotBuilt)
		require.Zero(t, queue.Size())
		require.Empty(t, queue.TakeAll())
		queue.Watch(organic.Watcher{})()
	}
}

// panickingAxon panics when a scorer is attached.
type panickingAxon struct{ value any }

func (a panickingAxon) Attach(organic.Handlers) (func(), error) { panic(a.value) }

// watchedMemory tells what happens in it, and counts its watchers.
type watchedMemory struct {
	*faultyQueue

	watchers int
	blunt    bool // its Watch returns no stop
}

func (q *watchedMemory) Watch(watcher organic.Watcher) (stop func()) {
	q.watchers++
	end := q.queue.Watch(watcher)
	if q.blunt {
		return nil
	}
	return func() {
		q.watchers--
		end()
	}
}

func TestAxonThatFailsLeavesNoTrace(t *testing.T) {
	t.Parallel()
	requirePanicked := func(t *testing.T, err error) {
		t.Helper()
		panicked, ok := errors.AsType[*organic.PanicError](err)
		require.True(t, ok, "%v", err)
		require.Contains(t, string(panicked.Stack()), "emptyvalues_test.go", "the stack is that of the panic")
		require.NotContains(t, err.Error(), "secret")
	}
	tests := []struct {
		name  string
		axon  organic.Axon
		check func(t *testing.T, err error)
	}{
		{name: "error", axon: &organictest.Axon{AttachErr: errMishap}, check: requireMishap},
		{name: "panic", axon: panickingAxon{"secret"}, check: requirePanicked},
		{name: "panic with an error", axon: panickingAxon{errMishap}, check: requirePanicked},
	}
	for _, tt := range tests {
		for _, blunt := range []bool{false, true} {
			t.Run(tt.name+" no stop "+strconv.FormatBool(blunt), func(t *testing.T) {
				t.Parallel()
				queue := &watchedMemory{faultyQueue: newFaultyQueue(t), blunt: blunt}
				scorer, err := organic.New(promptHooks{}, organic.WithQueue(queue), organic.WithAxon(&organictest.Axon{}), organic.WithAxon(tt.axon))
				require.Nil(t, scorer)
				tt.check(t, err)
				if !blunt {
					require.Zero(t, queue.watchers)
				}
			})
		}
	}
}

func TestQueueWhoseWatchReturnsNoStopIsServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t, promptHooks{}, organic.WithQueue(&watchedMemory{faultyQueue: newFaultyQueue(t), blunt: true}))
		s.enqueue("prompt")
		require.EqualValues(t, 1, s.drain().Scored)
	})
}
