package organic_test

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
)

const (
	heldAtMost = 10_000 // samples, and one that is on its way out
	// triesPerHour bounds the put-backs that fail in an hour: 6 while the pause
	// between them doubles from 1 s, then one a minute.
	triesPerHour = 70
)

// springQueue has a new sample whenever it is asked, and takes none back.
type springQueue struct {
	given   atomic.Int64
	refused atomic.Int64
}

func (q *springQueue) Add(context.Context, promptSample) error {
	q.refused.Add(1)
	return organic.ErrFull
}

func (q *springQueue) Sample(context.Context) (promptLease, error) {
	id := strconv.FormatInt(q.given.Add(1), 10)
	return promptLease{Sample: promptSample{ID: id, Payload: id, Received: time.Now(), Attempt: 1}}, nil
}

func (*springQueue) Size() int { return 1 }

// later makes hooks that want every sample again after a delay.
func later(delay time.Duration) promptHooks {
	return failing(organic.StageQuery, organic.RetryAfter(delay, errMishap))
}

// stopAtOnce stops the scorer, which must take no time.
func stopAtOnce(t *testing.T, s *stand) {
	t.Helper()
	begun := time.Now()
	require.NoError(t, s.Stop(t.Context()))
	require.Zero(t, time.Since(begun))
	require.Zero(t, s.Stats().Delayed)
}

// heldAgain returns the put-backs that failed and left the sample held.
func heldAgain(s *stand) []organic.Event {
	return slices.DeleteFunc(s.all(organic.EventPutBackFailed), func(e organic.Event) bool { return e.Duration == 0 })
}

// TestQueueThatTakesNothingBackIsNotAskedForMore: what it has handed out stays
// in memory until a stop, so the loop takes no more beyond the limit.
func TestQueueThatTakesNothingBackIsNotAskedForMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 100
		var g grave
		queue := &springQueue{}
		s := newStand(t, later(time.Minute), organic.WithQueue(queue), g.option(), organic.WithHeldLimit(limit),
			organic.WithTrigger(organic.Seconds{Frequency: 250 * time.Millisecond}))
		s.start()
		for range 60 {
			time.Sleep(time.Minute)
			synctest.Wait()
			require.LessOrEqual(t, s.Stats().Delayed, limit+triesPerHour)
		}
		require.Less(t, int64(limit), queue.given.Load(), "the limit is reached")
		require.LessOrEqual(t, queue.refused.Load(), int64(triesPerHour))
		require.Empty(t, g.samples, "waiting never ends in a dead letter while the scorer runs")

		stopAtOnce(t, s)
		require.Len(t, g.samples, int(queue.given.Load()), "each exactly once")
		require.EqualValues(t, queue.given.Load(), s.Stats().Dead)
	})
}

// TestDelaysBeyondTheLimitAreCutForTheSampleDueFirst also shows that all others
// keep their delay.
func TestDelaysBeyondTheLimitAreCutForTheSampleDueFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit, samples = 100, 130
		asked := map[string]int{}
		queue := newMemory(t)
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage != organic.StageQuery {
				return nil
			}
			return organic.RetryAfter(24*time.Hour, errMishap)
		}), organic.WithQueue(queue), organic.WithHeldLimit(limit))
		for range samples {
			s.enqueue("prompt")
		}
		for range samples {
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errMishap)
			time.Sleep(time.Second)
		}
		for _, event := range s.all(organic.EventStarted) {
			asked[event.ID]++
		}
		cuts := s.all(organic.EventDelayCut)
		require.NotEmpty(t, cuts)
		for _, cut := range cuts {
			require.InDelta(t, float64(24*time.Hour), float64(cut.Duration), float64(samples)*float64(time.Second))
			delete(asked, cut.ID)
		}
		for id, times := range asked {
			require.Equal(t, 1, times, "%s kept its delay", id)
		}
		require.GreaterOrEqual(t, s.Stats().Delayed, limit)
		require.LessOrEqual(t, s.Stats().Delayed, limit+1)
	})
}

func TestFullRefusingQueueAndManyHeldSamples(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const samples = heldAtMost + 50
		var g grave
		queue := newMemory(t, organic.MemoryConfig{Capacity: 1, Refuse: true})
		s := newStand(t, later(time.Hour), organic.WithQueue(queue), g.option(), organic.WithLogger(zap.NewNop()))
		s.Pause()
		s.start()
		for range samples {
			if queue.Size() == 0 { // beyond the limit a sample goes back early
				s.enqueue("prompt")
			}
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errMishap)
			require.LessOrEqual(t, s.Stats().Delayed, heldAtMost+2)
		}
		if queue.Size() == 0 {
			s.enqueue("fills the queue")
		}
		time.Sleep(59 * time.Minute)
		before := len(heldAgain(s))
		time.Sleep(time.Hour) // all of them are due
		synctest.Wait()
		require.LessOrEqual(t, len(heldAgain(s))-before, triesPerHour)
		require.Greater(t, len(heldAgain(s))-before, 50, "it keeps trying")
		require.GreaterOrEqual(t, s.Stats().Delayed, heldAtMost-100)

		stopAtOnce(t, s)
		stats := s.stop()
		require.Greater(t, stats.Accepted, uint64(heldAtMost))
		require.Equal(t, 1, stats.Queued)
		require.Equal(t, stats.Accepted-1, stats.Dead)
		require.Len(t, g.samples, int(stats.Dead))
	})
}

// TestHeldSamplesGoBackWhenTheQueueHasRoomAgain: the longest pause between two
// tries is a minute, and the first success ends it.
func TestHeldSamplesGoBackWhenTheQueueHasRoomAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const samples = 20
		var full atomic.Bool
		var calls atomic.Int64
		queue := newFaultyQueue(t)
		queue.beforeAdd = func(context.Context) error {
			if full.Load() {
				return organic.ErrFull
			}
			return nil
		}
		s := newStand(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery && calls.Add(1) <= samples {
				return organic.RetryAfter(time.Minute, errMishap)
			}
			return nil
		}), organic.WithQueue(queue))
		for range samples {
			s.enqueue("prompt")
		}
		full.Store(true)
		s.start()
		time.Sleep(20 * time.Minute)
		require.Equal(t, samples, s.Stats().Delayed)
		require.LessOrEqual(t, s.Stats().PutBackFailed, uint64(samples+triesPerHour))
		full.Store(false)
		time.Sleep(2*time.Minute + samples*time.Second)
		synctest.Wait()
		require.EqualValues(t, samples, s.Stats().Scored)
		s.stop()
	})
}
