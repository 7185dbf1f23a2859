package organic_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// What the tests of the loop share: hooks, scorers and samples over strings.
type (
	textHooks  = organictest.HookFuncs[string, string]
	textScorer = organic.OrganicScorer[string, string]
	textSample = organic.Sample[string]
)

var errHook = errors.New("hook failed")

// nobody is what QueryMiners returns when no miner answered.
var nobody map[organic.UID]string

// endless is a dataset that always has something.
var endless = organic.SynthFunc[string](func(context.Context) (string, error) { return "synthetic", nil })

// build makes a scorer that comes to rest when the test or bubble ends.
func build(t *testing.T, hooks organic.Hooks[string, string], opts ...organic.Option) *textScorer {
	t.Helper()
	s, err := organic.New(hooks, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.Background())) })
	return s
}

// run builds and starts a scorer.
func run(t *testing.T, hooks organic.Hooks[string, string], opts ...organic.Option) *textScorer {
	t.Helper()
	s := build(t, hooks, opts...)
	require.NoError(t, s.Start(t.Context()))
	return s
}

// stopAside stops a scorer in a goroutine of its own.
func stopAside(t *testing.T, s *textScorer) {
	t.Helper()
	go func() { _ = s.Stop(t.Context()) }() // Done tells the end
}

// enqueue puts n samples into the queue.
func enqueue(t *testing.T, s *textScorer, n int) {
	t.Helper()
	for range n {
		_, err := s.Enqueue(t.Context(), "text")
		require.NoError(t, err)
	}
}

// journal notes when things happen, counted from its own beginning.
type journal struct {
	begun time.Time
	mu    sync.Mutex // guards at
	at    []time.Duration
}

func newJournal() *journal { return &journal{begun: time.Now()} }

func (j *journal) note() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.at = append(j.at, time.Since(j.begun))
}

func (j *journal) times() []time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.at)
}

func (j *journal) count() int { return len(j.times()) }

// hooks note the start of each iteration and take their time with the query.
func (j *journal) hooks(took time.Duration) textHooks {
	return textHooks{QueryMinersFunc: func(context.Context, textSample) (map[organic.UID]string, error) {
		j.note()
		time.Sleep(took)
		return nobody, nil
	}}
}

// every returns n times that follow each other at an interval.
func every(interval time.Duration, n int) []time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = time.Duration(i) * interval
	}
	return times
}

// closed reports whether a channel is closed.
func closed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

// soon is a ctx that ends after d, for a reason of its own.
func soon(t *testing.T, d time.Duration, cause error) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), d, cause)
	t.Cleanup(cancel)
	return ctx
}

// requireAccounted requires that every accepted sample is where it belongs.
func requireAccounted(t *testing.T, stats organic.Stats) {
	t.Helper()
	require.Zero(t, stats.InFlight, "in flight")
	require.Zero(t, stats.Delayed, "delayed")
	require.Equal(t, stats.Accepted,
		stats.Scored+stats.Dead+stats.Dropped+stats.Expired+stats.Discarded+uint64(stats.Queued), "%+v", stats)
}
