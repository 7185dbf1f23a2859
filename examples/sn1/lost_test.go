package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/stretchr/testify/require"
)

// refusing is a queue that does not take the next samples.
type refusing struct {
	organic.Queue[Prompt]
	errs []error // in turn; the last is for ever
}

func (q *refusing) Add(ctx context.Context, sample organic.Sample[Prompt]) error {
	err := q.errs[0]
	if len(q.errs) > 1 {
		q.errs = q.errs[1:]
	}
	if err != nil {
		return err
	}
	return q.Queue.Add(ctx, sample)
}

func TestLostQueriesAreCounted(t *testing.T) {
	t.Parallel()
	away := errors.New("the queue is away")
	for _, tt := range []struct {
		name string
		errs []error
		lost int
	}{
		{"away for a while", []error{away, away, nil}, 0},
		{"refused", []error{durable.ErrTooLarge}, 1},
		{"away for ever", []error{away}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, v := tapped(t, newWiretap(t))
			s.validator, s.miners = v, s.miners[:1]
			v.OrganicScorer = nil // as in a front-end
			v.store.queue = &refusing{v.store.queue, tt.errs}
			askAsUser(t, v, "a question", 0)
			require.NoError(t, v.live.Close(t.Context()))
			require.Equal(t, uint64(tt.lost), s.lost.Load())
			require.Equal(t, 1-tt.lost, v.store.queue.Size())
			if tt.lost == 0 {
				require.NoError(t, s.missing())
				return
			}
			require.ErrorContains(t, s.missing(), "has not taken 1 answered")
			var table strings.Builder
			require.NoError(t, s.report(&table))
			require.Contains(t, table.String(), "lost 1,")
		})
	}
}
