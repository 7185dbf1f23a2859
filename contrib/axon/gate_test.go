package axon_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// queue is a stand whose hooks hold every request until they are let go, and
// give each the number in its body as priority.
type queue struct {
	*stand
	release chan struct{}

	mu    sync.Mutex // guards order
	order []string
}

func newQueue(t *testing.T, limits axon.Limits) *queue {
	t.Helper()
	q := &queue{stand: newStand(t, axon.WithLimits(limits)), release: make(chan struct{})}
	require.NoError(t, attach(q.epistula, organic.Handlers{
		Priority: func(_ context.Context, synapse *organic.Synapse) float64 {
			priority, err := strconv.ParseFloat(string(synapse.Body), 64)
			if err != nil {
				t.Error(err)
			}
			return priority
		},
		Forward: func(_ context.Context, _ http.ResponseWriter, synapse *organic.Synapse) error {
			q.mu.Lock()
			q.order = append(q.order, string(synapse.Body))
			q.mu.Unlock()
			<-q.release
			return nil
		},
	}))
	return q
}

// send asks in the background with this priority, and returns when one is
// inside and so many wait.
func (q *queue) send(t *testing.T, priority string, waiting int) <-chan reply {
	t.Helper()
	answers := make(chan reply, 1)
	request := q.byEpistula(q.alice, priority)
	go func() { answers <- q.ask(request) }()
	require.Eventually(t, func() bool {
		stats := q.server.Stats()
		return stats.Serving == 1 && stats.Waiting == waiting
	}, 10*time.Second, time.Millisecond)
	return answers
}

func TestPriorityOrders(t *testing.T) {
	t.Parallel()
	q := newQueue(t, axon.Limits{Serving: 1, Waiting: 10})
	answers := []<-chan reply{q.send(t, "0", 0)}
	for i, priority := range []string{"1", "8", "NaN", "3", "-2", "5"} {
		answers = append(answers, q.send(t, priority, i+1))
	}
	for range answers {
		q.release <- struct{}{}
	}
	for _, answer := range answers {
		require.Equal(t, http.StatusOK, (<-answer).code)
	}
	require.Equal(t, []string{"0", "8", "5", "3", "1", "NaN", "-2"}, q.order)
}

func TestWhoWaitsTooLongIsTold(t *testing.T) {
	t.Parallel()
	q := newQueue(t, axon.Limits{Serving: 1, Wait: 50 * time.Millisecond})
	inside := q.send(t, "0", 0)
	late := q.ask(q.byEpistula(q.alice, "9"))
	require.Equal(t, http.StatusRequestTimeout, late.code)
	require.Equal(t, http.StatusRequestTimeout, late.status)
	require.JSONEq(t, `{"message": "Timeout"}`, late.body)
	q.release <- struct{}{}
	require.Equal(t, http.StatusOK, (<-inside).code)
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonWaited: 1}, q.server.Stats().Refused)
}

// TestADendritesOwnTimeoutEndsItsWait has a limit of hours beside it.
func TestADendritesOwnTimeoutEndsItsWait(t *testing.T) {
	t.Parallel()
	q := newQueue(t, axon.Limits{Serving: 1, Wait: time.Hour})
	require.NoError(t, attach(q.bittensor, organic.Handlers{Forward: echo}))
	inside := q.send(t, "0", 0)
	require.Equal(t, http.StatusRequestTimeout,
		q.ask(q.byDendrite(q.dendrite, "hi", 50*time.Millisecond)).code)
	q.release <- struct{}{}
	require.Equal(t, http.StatusOK, (<-inside).code)
}

func TestWhenTooManyWaitTheLastIsTold(t *testing.T) {
	t.Parallel()
	q := newQueue(t, axon.Limits{Serving: 1, Waiting: 1})
	first := q.send(t, "0", 0)
	low := q.send(t, "2", 1)
	refused := q.ask(q.byEpistula(q.alice, "1"))
	require.Equal(t, http.StatusServiceUnavailable, refused.code)
	require.JSONEq(t, `{"message": "Busy"}`, refused.body)
	high := q.send(t, "3", 1)
	require.Equal(t, http.StatusServiceUnavailable, (<-low).code, "it was evicted for a higher one")
	q.release <- struct{}{}
	q.release <- struct{}{}
	require.Equal(t, http.StatusOK, (<-first).code)
	require.Equal(t, http.StatusOK, (<-high).code)
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonBusy: 2}, q.server.Stats().Refused)
}

func TestWhoLeavesWaitsNoMore(t *testing.T) {
	t.Parallel()
	q := newQueue(t, axon.Limits{Serving: 1})
	inside := q.send(t, "0", 0)
	ctx, leave := context.WithCancel(t.Context())
	request := q.byEpistula(q.alice, "1").WithContext(ctx)
	asked := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		asked <- err
	}()
	waiting := func(n int) func() bool { return func() bool { return q.server.Stats().Waiting == n } }
	require.Eventually(t, waiting(1), 10*time.Second, time.Millisecond)
	leave()
	require.ErrorIs(t, <-asked, context.Canceled)
	require.Eventually(t, waiting(0), 10*time.Second, time.Millisecond)
	q.release <- struct{}{}
	require.Equal(t, http.StatusOK, (<-inside).code)
	require.Equal(t, []string{"0"}, q.order)
}
