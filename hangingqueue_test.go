package organic_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// hangingAdd makes a queue's Add wait for the end of its ctx, once it is told
// to hang, and notes how each such call went.
type hangingAdd struct {
	begun time.Time
	hangs atomic.Bool

	mu    sync.Mutex // guards calls
	calls []hungCall
}

// hungCall tells of one Add, in times since the beginning.
type hungCall struct {
	from, to time.Duration
	allowed  time.Duration // until the deadline of its ctx
	dead     bool          // its ctx had ended before
}

func (h *hangingAdd) add(ctx context.Context) error {
	if !h.hangs.Load() {
		return nil
	}
	deadline, _ := ctx.Deadline()
	call := hungCall{from: time.Since(h.begun), allowed: time.Until(deadline), dead: ctx.Err() != nil}
	<-ctx.Done()
	call.to = time.Since(h.begun)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call)
	return ctx.Err()
}

func (h *hangingAdd) hung() []hungCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// newHangingStand makes a scorer whose samples all come back after 10 s, to a
// queue that hangs then.
func newHangingStand(t *testing.T, opts ...organic.Option) (*stand, *hangingAdd) {
	t.Helper()
	queue, h := newFaultyQueue(t), &hangingAdd{begun: time.Now()}
	queue.beforeAdd = h.add
	s := newStand(t, later(10*time.Second), append(opts, organic.WithQueue(queue))...)
	s.enqueue("first", "second", "third", "fourth", "fifth")
	h.hangs.Store(true)
	return s, h
}

func TestSoftStopDoesNotWaitLongForAQueueThatHangs(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	tests := []struct {
		name          string
		bury          func(ctx context.Context) error
		limit         time.Duration
		dead, dropped uint64
	}{
		{name: "dead-letter hook takes them", limit: 20 * time.Second, dead: 5},
		{name: "dead-letter hook hangs too", bury: hang, limit: 30 * time.Second, dropped: 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := grave{before: tt.bury}
				s, h := newHangingStand(t, g.option())
				s.start()
				time.Sleep(19 * time.Second) // a put-back has a second left
				begun := time.Now()
				stats := s.stop()
				require.LessOrEqual(t, time.Since(begun), tt.limit+time.Second)
				require.Equal(t, tt.dead, stats.Dead)
				require.Equal(t, tt.dropped, stats.Dropped)
				require.Zero(t, stats.Queued)
				for _, call := range h.hung() {
					require.LessOrEqual(t, call.allowed, 10*time.Second)
					require.True(t, call.dead || call.to <= 30*time.Second, "one budget for all at the end: %v", call)
				}
			})
		})
	}
}

func TestHardStopEndsAPutBackOfTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g grave
		s, h := newHangingStand(t, g.option())
		kill := s.start()
		time.Sleep(12 * time.Second)
		require.Empty(t, h.hung())
		kill()
		synctest.Wait()
		require.NotEmpty(t, h.hung(), "it has ended")
		first := h.hung()[0]
		require.Equal(t, 10*time.Second, first.from.Round(time.Millisecond))
		require.Equal(t, 12*time.Second, first.to)
		begun := time.Now()
		stats := s.stop()
		require.LessOrEqual(t, time.Since(begun), 10*time.Second)
		require.EqualValues(t, 5, stats.Dead)
		require.Len(t, g.samples, 5)
	})
}

func TestCtxOfIterateEndsItsPutBacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, h := newHangingStand(t)
		for range 5 {
			_, err := s.Iterate(t.Context())
			require.ErrorIs(t, err, errMishap)
		}
		time.Sleep(time.Minute)
		cause := errors.New("tired of waiting")
		begun := time.Now()
		_, err := s.Iterate(soon(t, 3*time.Second, cause))
		require.Error(t, err)
		require.Equal(t, 3*time.Second, time.Since(begun))
		require.NotEmpty(t, h.hung())
		require.Equal(t, 5, s.Stats().Delayed)

		h.hangs.Store(false)
		require.Equal(t, 5, s.stop().Queued, "nothing is lost")
	})
}

func TestPutBackOfAnInterruptedIterationIsNotCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, h := newFaultyQueue(t), &hangingAdd{begun: time.Now()}
		queue.beforeAdd = h.add
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				<-ctx.Done()
			}
			return ctx.Err()
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		h.hangs.Store(true)
		kill := s.start()
		time.Sleep(time.Second)
		kill()
		synctest.Wait()
		require.Empty(t, h.hung(), "it is under way")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.NotEmpty(t, h.hung())
		require.Equal(t, hungCall{from: time.Second, to: 11 * time.Second, allowed: 10 * time.Second}, h.hung()[0])
		h.hangs.Store(false)
		s.stop()
	})
}

func TestInterruptedSampleIsBackInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, alive := newFaultyQueue(t), new(atomic.Int64)
		queue.beforeAdd = func(ctx context.Context) error {
			if ctx.Err() == nil {
				alive.Add(1)
			}
			return ctx.Err()
		}
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				<-ctx.Done()
			}
			return ctx.Err()
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(time.Second)
		kill()
		stats := s.stop()
		require.Equal(t, 1, stats.Queued)
		require.EqualValues(t, 1, stats.Returned)
		require.Zero(t, stats.PutBackFailed)
		require.EqualValues(t, 2, alive.Load())
	})
}
