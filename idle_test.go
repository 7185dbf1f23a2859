package organic_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// plainQueue is a queue of the three methods that it must have, which counts
// how often it is asked.
type plainQueue struct {
	asked, sized atomic.Int64

	mu      sync.Mutex // guards waiting
	waiting []textSample
}

func (q *plainQueue) Add(_ context.Context, sample textSample) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, sample)
	return nil
}

func (q *plainQueue) Sample(context.Context) (organic.Lease[string], error) {
	q.asked.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return organic.Lease[string]{}, organic.ErrEmpty
	}
	sample := q.waiting[0]
	q.waiting = q.waiting[1:]
	return organic.Lease[string]{Sample: sample}, nil
}

func (q *plainQueue) Size() int {
	q.sized.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// tellingQueue is a plainQueue that has one watcher.
type tellingQueue struct {
	plainQueue

	watcher   organic.Watcher
	unwatched atomic.Bool
}

func (q *tellingQueue) Watch(watcher organic.Watcher) (stop func()) {
	q.watcher = watcher
	return func() { q.unwatched.Store(true) }
}

func (q *tellingQueue) Add(ctx context.Context, sample textSample) error {
	defer q.watcher.Arrived()
	return q.plainQueue.Add(ctx, sample)
}

func TestIdleScorerIsNotBusy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		trigger organic.Trigger
		plain   int64 // most looks in an hour at a queue that tells nothing
	}{
		{name: "default seconds", trigger: organic.Seconds{Frequency: 15 * time.Second}, plain: 3600/15 + 1},
		{name: "a nanosecond", trigger: organic.Seconds{Frequency: 1}, plain: 3600 + 1},
		{name: "steps without steps", trigger: organic.Steps{Frequency: 1}, plain: 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				plain, telling := &plainQueue{}, &tellingQueue{}
				run(t, textHooks{}, organic.WithQueue[string](plain), organic.WithTrigger(tt.trigger))
				run(t, textHooks{}, organic.WithQueue[string](telling), organic.WithTrigger(tt.trigger))
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Equal(t, tt.plain, plain.asked.Load())
				require.LessOrEqual(t, telling.asked.Load(), int64(1), "a queue that tells of arrivals is not looked at")
				require.LessOrEqual(t, plain.sized.Load(), 2*tt.plain+2)
				require.LessOrEqual(t, telling.sized.Load(), int64(2))
			})
		})
	}
}

func TestIdleScorerStartsWhenASampleArrives(t *testing.T) {
	t.Parallel()
	triggers := []struct {
		name    string
		trigger organic.Trigger
	}{
		{name: "seconds", trigger: organic.Seconds{Frequency: 2 * time.Minute}},
		{name: "steps", trigger: organic.Steps{Frequency: 3}},
	}
	queues := []struct {
		name string
		make func() organic.Queue[string]
	}{
		{name: "plain queue", make: func() organic.Queue[string] { return &plainQueue{} }},
		{name: "watched queue", make: func() organic.Queue[string] { return &tellingQueue{} }},
		{name: "memory queue", make: func() organic.Queue[string] {
			queue, _ := organic.NewMemoryQueue[string](organic.MemoryConfig{})
			return queue
		}},
	}
	for _, trigger := range triggers {
		for _, queue := range queues {
			t.Run(trigger.name+" "+queue.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					starts := newJournal()
					s := run(t, starts.hooks(0), organic.WithQueue(queue.make()), organic.WithTrigger(trigger.trigger))
					step(s, 3)
					time.Sleep(time.Hour + time.Nanosecond)
					enqueue(t, s, 1)
					synctest.Wait()
					require.Equal(t, []time.Duration{time.Hour + time.Nanosecond}, starts.times())
				})
			})
		}
	}
}

func TestQueueFilledBehindTheScorersBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plain, telling := &plainQueue{}, &tellingQueue{}
		late, prompt := newJournal(), newJournal()
		run(t, late.hooks(0), organic.WithQueue[string](plain))
		run(t, prompt.hooks(0), organic.WithQueue[string](telling))
		time.Sleep(15*time.Minute + time.Second)
		require.NoError(t, plain.Add(t.Context(), organic.NewSample("text")))
		require.NoError(t, telling.Add(t.Context(), organic.NewSample("text")))
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{15*time.Minute + time.Second}, prompt.times(), "the queue tells")
		require.Equal(t, []time.Duration{15*time.Minute + 15*time.Second}, late.times(), "found at the trigger's pace")
	})
}

func TestPlainQueueIsLookedAtWithEachStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, starts := &plainQueue{}, newJournal()
		s := run(t, starts.hooks(0), organic.WithQueue[string](queue), organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 3)
		require.EqualValues(t, 1, queue.asked.Load())
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("text")))
		time.Sleep(time.Hour)
		require.Zero(t, starts.count())
		step(s, 1)
		require.Equal(t, 1, starts.count())
	})
}

func TestSetStepWhileTheLoopLooksWithEachStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, starts := &plainQueue{}, newJournal()
		s := run(t, starts.hooks(0), organic.WithQueue[string](queue), organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 5)
		s.SetStep(0) // nothing is due any more
		synctest.Wait()
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("text")))
		step(s, 2)
		require.Zero(t, starts.count())
		step(s, 1)
		require.Equal(t, 1, starts.count(), "three steps from the new count")
	})
}

func TestIdleIterationsDoNotSpinUnderConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, starts := &tellingQueue{}, newJournal()
		s := run(t, starts.hooks(time.Hour), organic.WithQueue[string](queue), organic.WithConcurrency(8),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		enqueue(t, s, 2)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		require.Equal(t, every(time.Second, 2), starts.times())
		require.LessOrEqual(t, queue.asked.Load(), int64(4))
	})
}
