package relay_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

func TestAnswersOfARunningRelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		query := relay.Query{
			ID: "id", View: relay.One(1),
			Miners: miners{1: says("a").ask, 2: says("b").every(time.Minute).ask},
		}
		require.NoError(t, s.serve(t.Context(), &requester{}, query))
		impatient, cancel := context.WithTimeoutCause(t.Context(), time.Second, errMishap)
		defer cancel()
		_, err := s.relay.Answers(impatient, "id")
		require.ErrorIs(t, err, errMishap)

		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				answers, err := s.relay.Answers(t.Context(), "id")
				require.NoError(t, err)
				require.Equal(t, "b", answers[2].Text())
				clear(answers) // the map is the caller's
			})
		}
		waiting.Wait()
		answers, err := s.relay.Answers(impatient, "id")
		require.NoError(t, err, "nothing to wait for")
		require.Len(t, answers, 2)
		require.Len(t, s.result().Answers, 2)
	})
}

func TestAnswersAreKeptForAWhile(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, r *relay.Relay, id string) {
		t.Helper()
		_, err := r.Ask(
			t.Context(),
			relay.Query{ID: id, Miners: miners{1: says(strings.Repeat("x", 1000)).ask}},
		)
		require.NoError(t, err)
	}
	known := func(r *relay.Relay) string {
		var ids []string
		for i := range 5 {
			id := fmt.Sprint(i)
			if _, err := r.Answers(context.Background(), id); err == nil {
				ids = append(ids, id)
			} else if err != relay.ErrUnknown { //nolint:errorlint // it is returned as it is
				ids = append(ids, err.Error())
			}
		}
		return strings.Join(ids, " ")
	}
	tests := []struct {
		name string
		opts []relay.Option
		do   func(t *testing.T, r *relay.Relay)
		want string
	}{
		{"by default", nil, func(*testing.T, *relay.Relay) {}, "0 1 2 3 4"},
		{
			"the newest",
			[]relay.Option{relay.WithKeep(4200, time.Hour)},
			func(*testing.T, *relay.Relay) {}, "2 3 4",
		},
		{
			"none",
			[]relay.Option{relay.WithKeep(0, time.Hour)},
			func(*testing.T, *relay.Relay) {},
			"",
		},
		{"too old", nil, func(*testing.T, *relay.Relay) { time.Sleep(10 * time.Minute) }, ""},
		{
			"not too old", nil, func(*testing.T, *relay.Relay) { time.Sleep(10*time.Minute - 1) },
			"0 1 2 3 4",
		},
		{"renewed", nil, func(t *testing.T, r *relay.Relay) {
			t.Helper()
			time.Sleep(5 * time.Minute)
			ask(t, r, "2")
			time.Sleep(5 * time.Minute)
		}, "2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, err := relay.New(tt.opts...)
				require.NoError(t, err)
				for i := range 5 {
					ask(t, r, fmt.Sprint(i))
				}
				ask(t, r, "") // cannot be found
				tt.do(t, r)
				require.Equal(t, tt.want, known(r))
				stats := r.Stats()
				require.Len(t, strings.Fields(tt.want), stats.Kept)
				require.Equal(t, stats.Kept*(1000+128+128), stats.KeptBytes)
				require.NoError(t, r.Close(t.Context()))
				require.Equal(t, tt.want, known(r), "also when it is closed")
			})
		})
	}
}
