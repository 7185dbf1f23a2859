package organic_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// always is a dataset that always gives the same.
func always(payload string) organic.SynthFunc[string] {
	return func(context.Context) (string, error) { return payload, nil }
}

func newMemory(t *testing.T, cfg ...organic.MemoryConfig) *organic.MemoryQueue[string] {
	t.Helper()
	config := organic.MemoryConfig{}
	if len(cfg) > 0 {
		config = cfg[0]
	}
	config.Order = organic.OrderFIFO
	queue, err := organic.NewMemoryQueue[string](config)
	require.NoError(t, err)
	return queue
}

// faultyQueue is a queue of add, sample and size, whose methods can be made to
// misbehave before they do their work.
type faultyQueue struct {
	*memory

	beforeAdd    func(ctx context.Context) error
	beforeSample func(ctx context.Context) error
}

// memory hides that a MemoryQueue tells of what happens in it.
type memory struct{ queue *organic.MemoryQueue[string] }

func newFaultyQueue(t *testing.T, cfg ...organic.MemoryConfig) *faultyQueue {
	t.Helper()
	return &faultyQueue{memory: &memory{newMemory(t, cfg...)}}
}

func (q *faultyQueue) Add(ctx context.Context, sample promptSample) error {
	if q.beforeAdd != nil {
		if err := q.beforeAdd(ctx); err != nil {
			return err
		}
	}
	return q.queue.Add(ctx, sample)
}

func (q *faultyQueue) Sample(ctx context.Context) (promptLease, error) {
	if q.beforeSample != nil {
		if err := q.beforeSample(ctx); err != nil {
			return promptLease{}, err
		}
	}
	return q.queue.Sample(ctx)
}

func (m *memory) Size() int { return m.queue.Size() }

// settled is one verdict that a settling queue was told.
type settled struct {
	id       string
	verdict  organic.Verdict
	err      error         // of ctx
	deadline time.Duration // of ctx
}

// settlingQueue keeps its samples until it is told what became of them.
type settlingQueue struct {
	before func(verdict organic.Verdict) error // what telling it ends in

	mu         sync.Mutex // guards the fields below
	waiting    []promptSample
	due        map[string]time.Time
	deliveries map[string]int
	told       []settled
}

func newSettlingQueue() *settlingQueue {
	return &settlingQueue{due: map[string]time.Time{}, deliveries: map[string]int{}}
}

func (q *settlingQueue) Add(_ context.Context, sample promptSample) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, sample)
	return nil
}

func (q *settlingQueue) Sample(context.Context) (promptLease, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.waiting, func(s promptSample) bool { return !q.due[s.ID].After(time.Now()) })
	if i < 0 {
		return promptLease{}, organic.ErrEmpty
	}
	sample := q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.deliveries[sample.ID]++
	sample.Attempt = q.deliveries[sample.ID]
	return promptLease{Sample: sample, Settle: func(ctx context.Context, verdict organic.Verdict) error {
		return q.settle(ctx, sample, verdict)
	}}, nil
}

func (q *settlingQueue) settle(ctx context.Context, sample promptSample, verdict organic.Verdict) error {
	deadline, _ := ctx.Deadline()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.told = append(q.told, settled{sample.ID, verdict, ctx.Err(), time.Until(deadline)})
	if verdict.Outcome == organic.OutcomeRetry || verdict.Outcome == organic.OutcomeReturn {
		q.due[sample.ID] = time.Now().Add(verdict.Delay)
		q.waiting = append(q.waiting, sample)
	}
	if q.before != nil {
		return q.before(verdict)
	}
	return nil
}

func (q *settlingQueue) Size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

func (q *settlingQueue) verdicts() []settled {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.told)
}
