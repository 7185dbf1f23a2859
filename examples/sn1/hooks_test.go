package main

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/stretchr/testify/require"
)

func TestOnlyQueriesThatAreAskedCount(t *testing.T) {
	t.Parallel()
	arrivals, err := relay.NewArrivals(time.Minute, time.Second)
	require.NoError(t, err)
	v := &Validator{arrivals: arrivals}
	open, err := relay.New()
	require.NoError(t, err)
	closed, err := relay.New()
	require.NoError(t, err)
	require.NoError(t, closed.Close(t.Context()))
	ask := func(r *relay.Relay) error {
		miners := make(map[organic.UID]relay.Miner)
		for uid := range organic.UID(3) {
			miners[uid] = func(_ context.Context, emit func(relay.Chunk) error) error {
				return emit(relay.Chunk{Text: "text"})
			}
		}
		v.observeArrival(miners)
		_, err := r.Ask(t.Context(), relay.Query{Miners: miners})
		return err
	}
	for range 3 {
		require.NoError(t, ask(open))
		require.ErrorIs(t, ask(closed), relay.ErrNotAsked)
	}
	var gaps []time.Duration
	saved, err := json.Marshal(arrivals)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(saved, &gaps))
	require.Len(t, gaps, 2, "between three queries of three miners each")
	require.NoError(t, open.Close(t.Context()))
}
