package durable_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

func filled(t *testing.T, n int) *organic.MemoryQueue[string] {
	t.Helper()
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
	require.NoError(t, err)
	for range n {
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	}
	return queue
}

// fussy refuses one sample.
type fussy struct {
	organic.Queue[string]
	after int
	err   error
}

func (q *fussy) Add(ctx context.Context, sample organic.Sample[string]) error {
	if q.after--; q.after < 0 {
		return q.err
	}
	return q.Queue.Add(ctx, sample)
}

func TestMoveMovesAll(t *testing.T) {
	t.Parallel()
	from, to := filled(t, 100), filled(t, 5)
	moved, err := durable.Move[string](t.Context(), from, to)
	require.NoError(t, err)
	require.Equal(t, []int{100, 0, 105}, []int{moved, from.Size(), to.Size()})
}

func TestMoveGivesBackWhatIsRefused(t *testing.T) {
	t.Parallel()
	from, to := filled(t, 100), filled(t, 0)
	moved, err := durable.Move[string](
		t.Context(),
		from,
		&fussy{Queue: to, after: 30, err: organic.ErrFull},
	)
	require.ErrorIs(t, err, organic.ErrFull)
	require.Equal(t, []int{30, 70, 30}, []int{moved, from.Size(), to.Size()})
}

// TestMoveAgain: a sample that an interrupted Move has left in both queues is
// moved by the second.
func TestMoveAgain(t *testing.T) {
	t.Parallel()
	from, to := filled(t, 10), filled(t, 0)
	moved, err := durable.Move[string](
		t.Context(),
		from,
		&fussy{Queue: to, after: 9, err: organic.ErrDuplicate},
	)
	require.NoError(t, err)
	require.Equal(t, []int{10, 0, 9}, []int{moved, from.Size(), to.Size()})
}

func TestMoveEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("cause")
	cancel(cause)
	moved, err := durable.Move[string](ctx, filled(t, 10), filled(t, 0))
	require.ErrorIs(t, err, cause)
	require.Zero(t, moved)
}
