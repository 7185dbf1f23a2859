package relay_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// TestPausesBreakNoStream has a miner that pauses for longer than one write
// may take, before its last chunk or before its end.
func TestPausesBreakNoStream(t *testing.T) {
	t.Parallel()
	const timeout = 200 * time.Millisecond
	tests := []struct {
		name string
		wire relay.Wire
		last string
		want string
	}{
		{"raw, before the end", relay.PlainText{}, "", "hello"},
		{"raw, before a chunk", relay.PlainText{}, " again", "hello again"},
		{"SSE, before the end", relay.SSE{}, "", events("hello", "[DONE]")},
		{"SSE, before a chunk", relay.SSE{}, "again", events("hello", "again", "[DONE]")},
	}
	for _, tt := range tests {
		for _, http2 := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: ", over HTTP/2"}[http2], func(t *testing.T) {
				t.Parallel()
				s := newStand(t, relay.WithWriteTimeout(timeout))
				miner := func(ctx context.Context, emit func(relay.Chunk) error) error {
					if err := emit(relay.Chunk{Text: "hello"}); err != nil {
						return err
					}
					if err := pause(ctx, 4*timeout); err != nil {
						return err
					}
					return emit(relay.Chunk{Text: tt.last})
				}
				served := make(chan error, 1)
				server := httptest.NewUnstartedServer(http.HandlerFunc(func(
					w http.ResponseWriter, r *http.Request,
				) {
					served <- s.serve(
						r.Context(), w, relay.Query{Miners: miners{1: miner}, Wire: tt.wire},
					)
				}))
				server.EnableHTTP2 = http2
				server.StartTLS()
				defer server.Close()
				//nolint:noctx // the server is this test's
				response, err := server.Client().Get(server.URL)
				require.NoError(t, err)
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.Equal(t, tt.want, simplified(string(body)))
				require.NoError(t, <-served)
				s.result()
			})
		}
	}
}
