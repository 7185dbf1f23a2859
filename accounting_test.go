package organic_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// countedQueue is a queue whose samples can be counted at the end.
type countedQueue interface {
	organic.Queue[int]
	TakeAll() []organic.Sample[int]
}

type accountingCase struct {
	name    string
	samples int
	queue   func(t *testing.T, l *ledger) countedQueue
	// reached lists what must have happened for the case to show anything.
	reached []organic.EventKind
}

func accountingCases() []accountingCase {
	common := []organic.EventKind{
		organic.EventAccepted, organic.EventScored, organic.EventFailed, organic.EventInterrupted, organic.EventRetried,
		organic.EventReturned, organic.EventDead, organic.EventDiscarded, organic.EventDeadLetterFailed,
		organic.EventStageRetried, organic.EventOverdue, organic.EventStopped,
	}
	with := func(more ...organic.EventKind) []organic.EventKind { return append(more, common...) }
	return []accountingCase{
		{
			name: "random, drops the oldest, maximum age", samples: 100_000,
			queue:   memoryQueueOf(organic.MemoryConfig{Capacity: 300, MaxAge: 350 * time.Millisecond, Seed: 1}),
			reached: with(organic.EventDropped, organic.EventExpired),
		},
		{
			name: "first in first out, drops the oldest", samples: 10_000,
			queue:   memoryQueueOf(organic.MemoryConfig{Capacity: 100, Order: organic.OrderFIFO}),
			reached: with(organic.EventDropped),
		},
		{
			name: "newest first, maximum age", samples: 10_000,
			queue:   memoryQueueOf(organic.MemoryConfig{Capacity: 1000, Order: organic.OrderNewest, MaxAge: 300 * time.Millisecond}),
			reached: with(organic.EventExpired),
		},
		{
			name: "refuses when full", samples: 10_000,
			queue:   memoryQueueOf(organic.MemoryConfig{Capacity: 50, Refuse: true, Seed: 1}),
			reached: with(organic.EventRefused, organic.EventPutBackFailed, organic.EventDropped),
		},
		{
			name: "capacity of one", samples: 10_000,
			queue:   memoryQueueOf(organic.MemoryConfig{Capacity: 1}),
			reached: []organic.EventKind{organic.EventScored, organic.EventDropped, organic.EventRetried, organic.EventInterrupted},
		},
		{
			name: "settles, and fails to now and then", samples: 10_000,
			queue:   func(_ *testing.T, l *ledger) countedQueue { return &leasingQueue{ledger: l, capacity: 200} },
			reached: with(organic.EventDropped, organic.EventSettleFailed),
		},
		{
			name: "fifteen lines, not watched", samples: 10_000,
			queue:   func(*testing.T, *ledger) countedQueue { return &sliceQueue{} },
			reached: common,
		},
		{
			name: "not watched, fails now and then", samples: 10_000,
			queue:   func(*testing.T, *ledger) countedQueue { return &flakyQueue{} },
			reached: []organic.EventKind{organic.EventScored, organic.EventRefused, organic.EventPutBackFailed, organic.EventSourceFailed},
		},
	}
}

func memoryQueueOf(cfg organic.MemoryConfig) func(t *testing.T, l *ledger) countedQueue {
	return func(t *testing.T, _ *ledger) countedQueue {
		t.Helper()
		queue, err := organic.NewMemoryQueue[int](cfg)
		require.NoError(t, err)
		return queue
	}
}

// TestEverySampleIsAccountedFor: whatever hooks, queues and stops do, each
// sample that was accepted ends in exactly one way or is still in the queue,
// and the counters of the scorer say so at every rest.
func TestEverySampleIsAccountedFor(t *testing.T) {
	t.Parallel()
	for _, tt := range accountingCases() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { keepAccounts(t, tt) })
		})
	}
}

func keepAccounts(t *testing.T, tt accountingCase) {
	t.Helper()
	const producers = 4
	l := newLedger(tt.samples)
	queue := tt.queue(t, l)
	hooks := fatefulHooks(l)
	scorer, err := organic.New(hooks,
		organic.WithQueue[int](queue),
		organic.WithTrigger(organic.Seconds{Frequency: 200 * time.Microsecond, Min: 100 * time.Microsecond}),
		organic.WithConcurrency(8),
		organic.WithStage(organic.StageQuery, organic.StagePolicy{Timeout: 4 * time.Millisecond}),
		organic.WithStage(organic.StageReference, organic.StagePolicy{Timeout: 4 * time.Millisecond}),
		organic.WithStage(organic.StageRewards, organic.StagePolicy{Timeout: 2 * time.Millisecond}),
		organic.WithStage(organic.StageWeights, organic.StagePolicy{Timeout: 2 * time.Millisecond, Tries: 2, Backoff: time.Millisecond}),
		organic.WithRetry(organic.RetryPolicy{Attempts: 3, Delay: 20 * time.Millisecond, MaxDelay: 60 * time.Millisecond}),
		organic.WithDeadLetter(l.bury),
		organic.WithObserver(l.observe),
		organic.WithSeed(1),
	)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // lets a failing test end
	produced := make(chan struct{}, producers)
	for p := range producers {
		go func() {
			l.produce(ctx, scorer, p, producers)
			produced <- struct{}{}
		}()
	}
	for round := 0; len(produced) < producers; round++ {
		runAndStop(t, scorer, round)
		synctest.Wait() // producers are between two samples
		l.requireBalance(t, scorer.Stats())
	}
	l.requireAccounts(t, scorer.Stats(), queue.TakeAll())
	l.requireReached(t, tt.reached)
}

// runAndStop runs a scorer for a while and stops it in one of four ways.
func runAndStop(t *testing.T, scorer *organic.OrganicScorer[int, int], round int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.NoError(t, scorer.Start(ctx))
	for range 3 + 2*(round%7) {
		go scorer.Iterate(t.Context()) //nolint:errcheck // beside the loop; its hooks may end the goroutine
		time.Sleep(9 * time.Millisecond)
	}
	switch round % 4 {
	case 1: // the end of the run's ctx
		cancel()
	case 2: // a stop that loses patience
		hurry, done := context.WithTimeout(t.Context(), time.Millisecond)
		requireStops(t, scorer.Stop(hurry))
		done()
	case 3: // a stop without patience
		hurry, done := context.WithCancel(t.Context())
		done()
		requireStops(t, scorer.Stop(hurry))
	}
	require.NoError(t, scorer.Stop(t.Context()))
	if round%3 == 0 {
		time.Sleep(5 * time.Millisecond) // samples come in all the same
	}
}

func requireStops(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		require.ErrorIs(t, err, context.Canceled)
	}
}
