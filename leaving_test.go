package organic_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// unsteady makes hooks of which the first query fails, and notes whose weights
// are set.
func unsteady(weighed *hookDiary, first error) promptHooks {
	var queries atomic.Int64
	return promptHooks{
		QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
			if queries.Add(1) == 1 {
				return nil, first
			}
			return map[organic.UID]string{0: "answer"}, nil
		},
		SetWeightsFunc: func(_ context.Context, sample promptSample, _ organic.Rewards) error {
			weighed.add(sample.Payload)
			return nil
		},
	}
}

// leaver is an observer that leaves by runtime.Goexit at some events, as often
// as it is told to.
func leaver(at organic.Event, left *atomic.Int64, times int64) organic.Option {
	return organic.WithObserver(func(e organic.Event) {
		if e.Kind == at.Kind && (at.Stage == 0 || at.Stage == e.Stage) && left.Add(1) <= times {
			runtime.Goexit()
		}
	})
}

func TestObserverThatLeavesLosesNoSample(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		at    organic.Event
		first error // of the first query
	}{
		{name: "started", at: organic.Event{Kind: organic.EventStarted}},
		{name: "query done", at: organic.Event{Kind: organic.EventStageDone, Stage: organic.StageQuery}},
		{name: "weights done", at: organic.Event{Kind: organic.EventStageDone, Stage: organic.StageWeights}},
		{name: "log done", at: organic.Event{Kind: organic.EventStageDone, Stage: organic.StageLog}},
		{name: "scored", at: organic.Event{Kind: organic.EventScored}},
		{name: "failed", at: organic.Event{Kind: organic.EventFailed}, first: errMishap},
		{name: "retried", at: organic.Event{Kind: organic.EventRetried}, first: errMishap},
		{name: "returned", at: organic.Event{Kind: organic.EventReturned}, first: organic.RetryAfter(time.Second, errMishap)},
	}
	for _, tt := range tests {
		for _, concurrency := range []int{1, 3} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var left atomic.Int64
					weighed := newHookDiary()
					s := newStand(t, unsteady(weighed, tt.first), leaver(tt.at, &left, 2),
						organic.WithConcurrency(concurrency), organic.WithRetry(organic.RetryPolicy{Attempts: organic.Unlimited}))
					s.enqueue("first", "second", "third")
					s.start()
					time.Sleep(10 * time.Minute)
					s.enqueue("fourth")
					time.Sleep(10 * time.Minute)
					stats := s.stop()
					require.Positive(t, left.Load())
					require.EqualValues(t, 4, stats.Scored)
					require.ElementsMatch(t, []string{"first", "second", "third", "fourth"}, weighed.noted(), "each once")
					require.Len(t, s.all(organic.EventStopped), 1)
				})
			})
		}
	}
}

func TestObserverThatLeavesAtADeadLetterLosesNoSample(t *testing.T) {
	t.Parallel()
	for _, kind := range []organic.EventKind{organic.EventFailed, organic.EventDead, organic.EventDiscarded} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				err := errMishap
				if kind == organic.EventDiscarded {
					err = organic.Discard(errMishap)
				}
				var left atomic.Int64
				var g grave
				s := newStand(t, failing(organic.StageQuery, err), g.option(), organic.WithRetry(organic.RetryPolicy{Attempts: 1}),
					leaver(organic.Event{Kind: kind}, &left, 1))
				s.enqueue("first", "second")
				stats := s.runFor(time.Minute)
				require.Len(t, g.samples, 2)
				require.EqualValues(t, 2, stats.Dead+stats.Discarded)
				require.EqualValues(t, 2, left.Load())
			})
		})
	}
}

func TestObserverThatLeavesAtARunDoesNotHoldUpItsEnd(t *testing.T) {
	t.Parallel()
	for _, kind := range []organic.EventKind{organic.EventRunning, organic.EventStopping, organic.EventStopped, organic.EventSourceFailed} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var left, calls atomic.Int64
				queue := newFaultyQueue(t)
				queue.beforeSample = func(context.Context) error {
					if calls.Add(1) == 1 {
						return errMishap
					}
					return nil
				}
				s := newStand(t, promptHooks{}, organic.WithQueue(queue), leaver(organic.Event{Kind: kind}, &left, 1))
				s.enqueue("first")
				s.start()
				time.Sleep(time.Minute)
				require.EqualValues(t, 1, s.Stats().Scored)
				s.stop()
				s.enqueue("second")
				require.EqualValues(t, 2, s.runFor(time.Minute).Scored)
				require.Positive(t, left.Load())
			})
		})
	}
}

func TestObserverThatLeavesAtTheSoftStopCancelsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var left atomic.Int64
		s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage != organic.StageQuery {
				return nil
			}
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
			return ctx.Err()
		}), leaver(organic.Event{Kind: organic.EventStopping}, &left, 1))
		s.enqueue("prompt")
		require.EqualValues(t, 1, s.runFor(time.Second).Scored)
		require.EqualValues(t, 1, left.Load())
	})
}

// sizeless is a queue whose Size leaves by runtime.Goexit, once it is told to.
type sizeless struct {
	*faultyQueue

	leaves atomic.Bool
	asked  atomic.Int64
}

func (q *sizeless) Size() int {
	if q.leaves.Load() {
		q.asked.Add(1)
		runtime.Goexit()
	}
	return q.faultyQueue.Size()
}

func TestQueueWhoseSizeLeavesIsNoBusyLoop(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		samples []string
		opts    []organic.Option
	}{
		{name: "empty queue"},
		{name: "samples wait", samples: []string{"first", "second", "third"}},
		{name: "steps", opts: []organic.Option{organic.WithTrigger(organic.Steps{Frequency: 1})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := &sizeless{faultyQueue: newFaultyQueue(t)}
				s := newStand(t, promptHooks{}, append(tt.opts, organic.WithQueue(queue))...)
				s.enqueue(tt.samples...)
				queue.leaves.Store(true)
				s.start()
				time.Sleep(time.Hour)
				require.Positive(t, queue.asked.Load())
				require.LessOrEqual(t, queue.asked.Load(), int64(3700), "about once a second")
				queue.leaves.Store(false)
				time.Sleep(2 * time.Minute)
				s.IncrementStep()
				s.enqueue("last")
				s.IncrementStep()
				time.Sleep(2 * time.Minute)
				stopAtOnce(t, s)
				stats := s.stop()
				require.EqualValues(t, len(tt.samples)+1, stats.Scored)
			})
		})
	}
}

func TestStopWhileSizeLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &sizeless{faultyQueue: newFaultyQueue(t)}
		s := newStand(t, promptHooks{}, organic.WithQueue(queue))
		queue.leaves.Store(true)
		s.start()
		time.Sleep(time.Minute)
		begun := time.Now()
		require.NoError(t, s.Stop(t.Context()))
		require.LessOrEqual(t, time.Since(begun), time.Second)
		queue.leaves.Store(false)
		s.stop()
	})
}
