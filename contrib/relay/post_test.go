package relay_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

func TestPostAsksAServer(t *testing.T) {
	t.Parallel()
	miner := organictest.StreamMiner{Text: []string{"It ", "is ", "Lima."}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || string(body) != `{"stream":true}` ||
			r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "not as expected", http.StatusBadRequest)
			return
		}
		miner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	r, err := relay.New()
	require.NoError(t, err)
	body := []byte(`{"stream":true}`)
	answers, err := r.Ask(t.Context(), relay.Query{Miners: map[organic.UID]relay.Miner{
		0: relay.Post(http.DefaultClient, server.URL, body),
		1: relay.Post(http.DefaultClient, server.URL, nil),
		2: relay.Post(http.DefaultClient, "http://127.0.0.1:1", body),
		3: relay.Post(http.DefaultClient, ":", body),
		4: relay.Post(http.DefaultClient, server.URL, body, relay.WithMaxLine(3)),
	}})
	require.NoError(t, err)
	require.Equal(t, "It is Lima.", answers[0].Text())
	require.Equal(t, relay.Complete, answers[0].Ending)
	require.EqualError(t, answers[1].Err, "relay: status 400")
	for uid, by := range map[organic.UID]relay.Party{
		0: relay.ByMiner, 1: relay.ByMiner, 2: relay.ByMiner, 3: relay.ByValidator,
	} {
		require.Equal(t, by, answers[uid].EndedBy, "UID %d", uid)
	}
	require.ErrorIs(t, answers[4].Err, relay.ErrTooLong)
}
