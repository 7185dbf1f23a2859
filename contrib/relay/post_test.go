package relay_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

func TestPostSendsTheBodyAsJSON(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	miner := organictest.StreamMiner{Text: []string{"Lima"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), string(body)},
			" ")
		miner.ServeHTTP(w, r)
	}))
	defer server.Close()
	var text strings.Builder
	err := relay.Post(nil, server.URL+"/ask", []byte(`{"a":1}`))(t.Context(),
		func(c relay.Chunk) error {
			text.WriteString(c.Text)
			return nil
		})
	require.NoError(t, err)
	require.Equal(t, "Lima", text.String())
	require.Equal(t, `POST /ask application/json {"a":1}`, <-got)
}

// refusingTransport fails each request.
type refusingTransport struct{}

func (refusingTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("refused")
}

func TestPostTellsWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	notFound := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(notFound.Close)
	long := httptest.NewServer(organictest.StreamMiner{Text: []string{strings.Repeat("a", 100)}})
	t.Cleanup(long.Close)
	refusing := &http.Client{Transport: refusingTransport{}}
	tests := []struct {
		name     string
		miner    relay.Miner
		err      string
		scorable bool
	}{
		{"status", relay.Post(nil, notFound.URL, nil), "status 404", true},
		{"client", relay.Post(refusing, notFound.URL, nil), "refused", true},
		{"long line", relay.Post(nil, long.URL, nil, relay.WithMaxLine(50)), "longer than allowed", true},
		{"url", relay.Post(nil, "://", nil), "missing protocol scheme", false},
		{"option", relay.Post(nil, long.URL, nil, relay.WithMaxLine(0)), "WithMaxLine(0)", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := relay.New()
			require.NoError(t, err)
			answers, err := r.Ask(t.Context(), relay.Query{Miners: map[organic.UID]relay.Miner{1: tt.miner}})
			require.NoError(t, err)
			require.ErrorContains(t, answers[1].Err, tt.err)
			require.Equal(t, tt.scorable, answers[1].Scorable())
			require.NoError(t, r.Close(context.WithoutCancel(t.Context())))
		})
	}
}
