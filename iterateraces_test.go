package organic_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// slowQueue takes its time to say that it is empty, and to take a sample in.
type slowQueue struct {
	tellingQueue

	sampling, adding time.Duration
}

func (q *slowQueue) Sample(ctx context.Context) (organic.Lease[string], error) {
	lease, err := q.tellingQueue.Sample(ctx)
	if err != nil {
		time.Sleep(q.sampling)
	}
	return lease, err
}

func (q *slowQueue) Add(ctx context.Context, sample textSample) error {
	time.Sleep(q.adding)
	return q.tellingQueue.Add(ctx, sample)
}

func TestArrivalWhileIterateFindsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(0), organic.WithQueue[string](&slowQueue{sampling: 10 * time.Second}))
		time.Sleep(time.Minute) // the loop waits for an arrival
		empty := make(chan error, 1)
		go func() {
			_, err := s.Iterate(t.Context())
			empty <- err
		}()
		time.Sleep(time.Second)
		enqueue(t, s, 1) // the loop is woken while Iterate has the only slot
		require.ErrorIs(t, <-empty, organic.ErrEmpty)
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{70 * time.Second}, starts.times())
	})
}

func TestStopWaitsForIteratePuttingSamplesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := &slowQueue{}
		s := build(t, textHooks{QueryMinersFunc: func(context.Context, textSample) (map[organic.UID]string, error) {
			return nil, errHook
		}}, organic.WithQueue[string](queue))
		enqueue(t, s, 1)
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, errHook)
		time.Sleep(time.Hour)
		queue.adding = 5 * time.Second
		go func() { _, _ = s.Iterate(t.Context()) }()
		synctest.Wait() // it puts the delayed sample back
		require.NoError(t, s.Stop(t.Context()))
		requireAccounted(t, s.Stats())
	})
}
