package organic_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

func TestQueueIsToldEachOutcomeOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error // of the first query
		opts []organic.Option
		want organic.Outcome
		low  time.Duration
		high time.Duration
	}{
		{"scored", nil, nil, organic.OutcomeScored, 0, 0},
		{"retry", errMishap, nil, organic.OutcomeRetry, 4 * time.Second, 6 * time.Second},
		{"return", organic.RetryAfter(7*time.Second, errMishap), nil, organic.OutcomeReturn, 7 * time.Second, 7 * time.Second},
		{"dead", errMishap, []organic.Option{organic.WithRetry(organic.RetryPolicy{Attempts: 1})}, organic.OutcomeDead, 0, 0},
		{"discarded", organic.Discard(errMishap), nil, organic.OutcomeDiscarded, 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			queue := newSettlingQueue()
			s := newStand(t, failing(organic.StageQuery, test.err), append(test.opts, organic.WithQueue(queue))...)
			id := s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.Equal(t, test.err == nil, err == nil)
			require.Len(t, queue.verdicts(), 1)
			told := queue.verdicts()[0]
			require.Equal(t, id, told.id)
			require.Equal(t, test.want, told.verdict.Outcome)
			require.GreaterOrEqual(t, told.verdict.Delay, test.low)
			require.LessOrEqual(t, told.verdict.Delay, test.high)
			require.Equal(t, test.err != nil, errors.Is(told.verdict.Err, errMishap))
			require.NoError(t, told.err)
			require.Greater(t, told.deadline, 9*time.Second)
			require.LessOrEqual(t, told.deadline, 10*time.Second)
			require.Zero(t, s.stop().Delayed, "the queue holds what is delayed")
		})
	}
}

func TestAttemptIsTheCountOfASettlingQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g grave
		queue := newSettlingQueue()
		s := newStand(t, failing(organic.StageQuery, organic.RetryAfter(time.Second, errMishap)), organic.WithQueue(queue), g.option())
		id := s.enqueue("prompt")
		s.runFor(10 * time.Second)
		starts := s.all(organic.EventStarted)
		require.Greater(t, len(starts), 5)
		for i, start := range starts {
			require.Equal(t, id, start.ID)
			require.Equal(t, i+1, start.Attempt)
		}
		require.Empty(t, g.samples, "RetryAfter does not run out of attempts")
	})
}

func TestSettlingQueueIsToldOfAnInterruption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newSettlingQueue()
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
		told := queue.verdicts()
		require.Len(t, told, 1)
		require.Equal(t, organic.OutcomeReturn, told[0].verdict.Outcome)
		require.Zero(t, told[0].verdict.Delay)
		require.ErrorIs(t, told[0].verdict.Err, context.Canceled)
		require.NoError(t, told[0].err, "a hard stop does not cancel the settling")
		require.Equal(t, 10*time.Second, told[0].deadline)
		require.Equal(t, uint64(1), stats.Returned)
		require.Equal(t, 1, stats.Queued)
	})
}

func TestFailingSettleIsCountedAndLogged(t *testing.T) {
	t.Parallel()
	for _, outcome := range []struct {
		name string
		err  error
	}{{"scored", nil}, {"failed", errMishap}, {"discarded", organic.Discard(errMishap)}} {
		t.Run(outcome.name, func(t *testing.T) {
			t.Parallel()
			queue := newSettlingQueue()
			queue.before = func(organic.Verdict) error { return errSibling }
			s := newStand(t, failing(organic.StageQuery, outcome.err), organic.WithQueue(queue))
			id := s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			require.Equal(t, outcome.err == nil, err == nil)
			require.NotErrorIs(t, err, errSibling)
			require.Len(t, queue.verdicts(), 1, "told once, whatever comes of it")
			e := s.one(organic.EventSettleFailed)
			require.Equal(t, []any{id, organic.StageSettle}, []any{e.ID, e.Stage})
			require.ErrorIs(t, e.Err, errSibling)
			require.Equal(t, uint64(1), s.Stats().SettleFailed)
			require.Equal(t, 1, s.logs.FilterMessage("queue did not take the verdict").FilterFieldKey("error").Len())
		})
	}
}

func TestFailingDeadLetterHookSendsTheSampleBackUncounted(t *testing.T) {
	t.Parallel()
	for _, ending := range endings {
		for _, cause := range []error{errMishap, organic.Discard(errMishap)} {
			t.Run(ending.name+" "+cause.Error(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					calls := 0
					g := grave{before: func(context.Context) error {
						if calls++; calls <= 2 {
							return ending.end()
						}
						return nil
					}}
					s := newStand(t, failing(organic.StageQuery, cause), g.option(), organic.WithRetry(organic.RetryPolicy{Attempts: 1}))
					s.enqueue("prompt")
					stats := s.drain()
					require.Len(t, g.samples, 1)
					require.Equal(t, 1, g.samples[0].Attempt)
					require.ErrorIs(t, g.causes[0], errMishap)
					require.Equal(t, uint64(2), stats.DeadLetterFailed)
					require.Equal(t, uint64(2), stats.Returned)
					require.Zero(t, stats.Retried)
					require.Equal(t, uint64(1), stats.Dead+stats.Discarded)
					for i, e := range s.all(organic.EventDeadLetterFailed) {
						requireJitter(t, 5*time.Second, e.Duration)
						require.Equal(t, e.Duration, s.all(organic.EventReturned)[i].Duration)
					}
				})
			})
		}
	}
}

func TestDeadLetterHookHasTenSecondsWhateverIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		g := grave{before: func(ctx context.Context) error {
			deadline, _ := ctx.Deadline()
			require.Equal(t, 10*time.Second, time.Until(deadline))
			if calls.Add(1) == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			require.NoError(t, ctx.Err())
			return nil
		}}
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				<-ctx.Done()
				return organic.Discard(errMishap)
			}
			return nil
		}), g.option(), organic.WithStage(organic.StageQuery, organic.StagePolicy{Timeout: time.Hour}))
		s.enqueue("prompt")
		kill := s.start()
		time.Sleep(90 * time.Minute)
		require.Equal(t, int64(1), calls.Load())
		kill()
		stats := s.stop()
		require.Equal(t, uint64(1), stats.Discarded, "discarded at a hard stop too")
		require.Len(t, g.samples, 1)
	})
}

// jammedQueue refuses from a moment on.
func jammedQueue(t *testing.T) (queue *faultyQueue, jammed *atomic.Bool) {
	t.Helper()
	queue, jammed = newFaultyQueue(t), new(atomic.Bool)
	queue.beforeAdd = func(context.Context) error {
		if jammed.Load() {
			return organic.ErrFull
		}
		return nil
	}
	return queue, jammed
}

func TestSampleThatAQueueDoesNotTakeBackIsHeldAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, jammed := jammedQueue(t)
		calls := 0
		s := newStand(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				if calls++; calls == 1 {
					jammed.Store(true)
					return errMishap
				}
			}
			return nil
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		s.start()
		time.Sleep(time.Minute)
		require.Equal(t, 1, s.Stats().Delayed)
		_, err := s.Enqueue(t.Context(), "another")
		require.ErrorIs(t, err, organic.ErrFull)
		jammed.Store(false)
		time.Sleep(time.Minute)
		stats := s.stop()
		require.Equal(t, uint64(1), stats.Scored)
		require.Equal(t, uint64(1), stats.Refused)
		failures := s.all(organic.EventPutBackFailed)
		require.Greater(t, len(failures), 2)
		require.Equal(t, stats.PutBackFailed, uint64(len(failures)))
		for i, e := range failures {
			require.ErrorIs(t, e.Err, organic.ErrFull)
			require.Equal(t, 2, e.Attempt)
			require.Equal(t, doubling(time.Second, i, time.Minute), e.Duration)
		}
	})
}

func TestSampleThatAQueueDoesNotTakeBackAtTheStopIsADeadLetter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		bury          func() error // nil: no dead-letter hook
		dead, dropped uint64
	}{
		{"no dead-letter hook", nil, 2, 0},
		{"dead-letter hook", func() error { return nil }, 2, 0},
		{"dead-letter hook fails", func() error { return errSibling }, 0, 2},
		{"dead-letter hook panics", func() error { panic("at the disco") }, 0, 2},
		{"dead-letter hook leaves", func() error {
			runtime.Goexit()
			return nil
		}, 0, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var opts []organic.Option
				var g grave
				if test.bury != nil {
					g.before = func(context.Context) error { return test.bury() }
					opts = append(opts, g.option())
				}
				queue, jammed := jammedQueue(t)
				s := newStand(t, failing(organic.StageQuery, organic.RetryAfter(time.Hour, errMishap)), append(opts, organic.WithQueue(queue))...)
				s.enqueue("first", "second")
				s.start()
				time.Sleep(time.Minute)
				jammed.Store(true)
				stats := s.stop()
				require.Equal(t, []uint64{test.dead, test.dropped}, []uint64{stats.Dead, stats.Dropped})
				require.Equal(t, test.dropped, stats.DeadLetterFailed)
				require.Equal(t, int(test.dropped), s.logs.FilterMessage("dead-letter hook failed").Len(), "what is lost is logged as an error")
				for _, cause := range g.causes {
					require.ErrorIs(t, cause, organic.ErrFull)
				}
				for _, e := range s.all(organic.EventDropped) {
					require.Equal(t, time.Minute, e.Duration)
				}
			})
		})
	}
}
