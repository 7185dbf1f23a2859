package relay_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

// serveHTTP serves queries as an axon does: an error becomes a status, or
// breaks the connection when bytes are out. What Serve returned goes to errs.
func serveHTTP(t *testing.T, s *stand, query relay.Query) (url string, errs <-chan error) {
	t.Helper()
	returned := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := &beginning{ResponseWriter: w}
		err := s.serve(r.Context(), begun, query)
		returned <- err
		switch {
		case err != nil && begun.out:
			panic(http.ErrAbortHandler)
		case err != nil:
			status, message := organic.RefusalOf(err)
			http.Error(w, message, status)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, returned
}

// beginning notes whether bytes are out.
type beginning struct {
	http.ResponseWriter
	out bool
}

func (b *beginning) Write(data []byte) (int, error) {
	b.out = true
	return b.ResponseWriter.Write(data)
}

func (b *beginning) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// get asks, and returns the status and the body, which is closed at the end.
func get(t *testing.T, ctx context.Context, url string) (int, io.Reader) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response.StatusCode, response.Body
}

func TestOverHTTP(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		wire   relay.Wire
		miner  *script
		status int
		body   string
		broken bool
	}{
		{
			name: "SSE", wire: relay.SSE{}, miner: says("a", "b"), status: 200,
			body: events("a", "b", "[DONE]"),
		},
		{
			name: "SSE of a failure", wire: relay.SSE{}, miner: says("a").failing(errMishap),
			status: 200, body: events("a", failure(relay.BrokenOff)),
		},
		{name: "raw", wire: relay.PlainText{}, miner: says("a", "b"), status: 200, body: "ab"},
		{
			name: "raw of nothing", wire: relay.PlainText{}, miner: says().failing(errMishap),
			status: 502, body: "no miner gave an answer\n",
		},
		{
			name: "raw of a failure", wire: relay.PlainText{}, miner: says("a").failing(errMishap),
			status: 200, body: "a", broken: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			url, _ := serveHTTP(
				t, s,
				relay.Query{Miners: miners{1: tt.miner.ask}, View: relay.One(1), Wire: tt.wire},
			)
			status, stream := get(t, t.Context(), url)
			body, err := io.ReadAll(stream)
			require.Equal(t, tt.broken, err != nil, "no client takes a part for the whole: %v", err)
			require.Equal(t, tt.status, status)
			require.Equal(t, tt.body, simplified(string(body)))
			s.result()
		})
	}
}

// TestAStreamBecomesText has the documented miner read a server, and users of both forms.
func TestAStreamBecomesText(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(
		organictest.StreamMiner{Reasoning: []string{"Peru"}, Text: []string{"Li", "ma"}},
	)
	defer server.Close()
	miner := func(ctx context.Context, emit func(relay.Chunk) error) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
		if err != nil {
			return fmt.Errorf("%w: %w", relay.ErrValidator, err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return relay.OpenAI(response.Body, emit)
	}
	for want, wire := range map[string]relay.Wire{
		"Lima": relay.PlainText{}, events("Li", "ma", "[DONE]"): relay.SSE{},
	} {
		s := newStand(t)
		url, _ := serveHTTP(t, s, relay.Query{Miners: miners{1: miner}, Wire: wire})
		_, stream := get(t, t.Context(), url)
		body, err := io.ReadAll(stream)
		require.NoError(t, err)
		require.Equal(t, want, simplified(string(body)))
		answer := s.result().Answers[1]
		require.Equal(t, "Lima", answer.Text())
		require.Equal(t, "Peru", answer.Reasoning())
		require.Equal(t, "stop", answer.Finish())
	}
}

func TestChunksArriveOneByOne(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	next := make(chan string)
	url, _ := serveHTTP(t, s, relay.Query{
		Wire: relay.PlainText{},
		Miners: miners{1: func(_ context.Context, emit func(relay.Chunk) error) error {
			for chunk := range next {
				if err := emit(relay.Chunk{Text: chunk}); err != nil {
					return err
				}
			}
			return nil
		}},
	})
	go func() { next <- "0" }() // the header comes with the first chunk
	_, stream := get(t, t.Context(), url)
	for i := range 3 {
		if i > 0 {
			next <- string(rune('0' + i))
		}
		piece := make([]byte, 1)
		_, err := io.ReadFull(stream, piece)
		require.NoError(t, err)
		require.Equal(t, string(rune('0'+i)), string(piece))
	}
	close(next)
	s.result()
}

func TestRequesterHangsUpOverHTTP(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	left := make(chan struct{})
	url, errs := serveHTTP(t, s, relay.Query{Miners: miners{1: func(
		ctx context.Context, emit func(relay.Chunk) error,
	) error {
		if err := emit(relay.Chunk{Text: "before"}); err != nil {
			return err
		}
		<-left
		return emit(relay.Chunk{Text: " and after"})
	}}})
	ctx, hangUp := context.WithCancel(t.Context())
	_, stream := get(t, ctx, url)
	_, err := stream.Read(make([]byte, 1))
	require.NoError(t, err)
	hangUp()
	require.ErrorIs(t, <-errs, relay.ErrLeft)
	close(left)
	require.Equal(t, "before and after", s.result().Answers[1].Text())
}

func TestRequesterWhoReadsNothingOverHTTP(t *testing.T) {
	t.Parallel()
	s := newStand(
		t, relay.WithWriteTimeout(50*time.Millisecond), relay.WithMaxAnswer(64<<20, 1000),
		relay.WithMaxLag(64<<20),
	)
	chunk := relay.Chunk{Text: strings.Repeat("x", 1<<20)}
	url, errs := serveHTTP(t, s, relay.Query{Miners: miners{1: func(
		_ context.Context, emit func(relay.Chunk) error,
	) error {
		for range 32 { // more than sockets hold
			if err := emit(chunk); err != nil {
				return err
			}
		}
		return nil
	}}, Wire: relay.PlainText{}})
	_, stream := get(t, t.Context(), url)
	require.ErrorIs(t, <-errs, relay.ErrTooSlow)
	require.Equal(t, 32<<20, s.result().Answers[1].Size(), "collected at its own pace")
	_, err := io.Copy(io.Discard, stream)
	require.Error(t, err, "the connection is broken")
}
