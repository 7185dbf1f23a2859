package weights_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/weights"
)

// serve starts a weights API that answers always the same, and returns what it
// was asked.
func serve(
	t *testing.T, status int, answer string,
) (url string, asked func() (*http.Request, string)) {
	t.Helper()
	requests, bodies := make(chan *http.Request, 1), make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/api/v1/set-weights", func() (*http.Request, string) {
		return <-requests,
			<-bodies
	}
}

func newHTTP(t *testing.T, url string, opts ...weights.HTTPOption) *weights.HTTP {
	t.Helper()
	chain, err := weights.NewHTTP(url, 42, opts...)
	require.NoError(t, err)
	return chain
}

func TestWeightsArePosted(t *testing.T) {
	t.Parallel()
	vector, err := someWeights(t.Context())
	require.NoError(t, err)
	tests := []struct {
		name string
		opts []weights.HTTPOption
		body string
	}{
		{name: "as usual", body: `{"uids":[0,1],"weights":[21845,65535],"version":42}`},
		{
			name: "other fields", body: `{"dests":[0,1]}`,
			opts: []weights.HTTPOption{weights.WithBody(func(v weights.Vector) any {
				return map[string]any{"dests": v.UIDs}
			})},
		},
		{
			name: "own client", body: `{"uids":[0,1],"weights":[21845,65535],"version":42}`,
			opts: []weights.HTTPOption{weights.WithClient(&http.Client{})},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, asked := serve(t, http.StatusOK, `{"success": true, "msg": "set"}`)
			chain := newHTTP(t, url, append(tt.opts, weights.WithHeader("Authorization", "Bearer token"))...)
			require.NoError(t, send(t.Context(), chain, vector))
			request, body := asked()
			require.Equal(t, http.MethodPost, request.Method)
			require.Equal(t, "/api/v1/set-weights", request.URL.Path)
			require.Equal(t, "application/json", request.Header.Get("Content-Type"))
			require.Equal(t, "Bearer token", request.Header.Get("Authorization"))
			require.JSONEq(t, tt.body, body)
		})
	}
}

func TestAnswersAreUnderstood(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		answer string
		want   string // of the message; "" is a success
	}{
		{name: "success", status: 200, answer: `{"success": true, "msg": ""}`},
		{name: "status alone", status: 204, want: `204: ""`},
		{name: "no JSON", status: 200, answer: "ok", want: `"ok"`},
		{name: "empty", status: 200, want: `""`},
		{name: "unknown shape", status: 200, answer: `{"result": "0xdead"}`, want: "0xdead"},
		{name: "ok", status: 200, answer: `{"ok": true}`},
		{name: "not ok", status: 200, answer: `{"ok": false}`, want: "false"},
		{name: "ok and no success", status: 200, answer: `{"ok": true, "success": false}`, want: "false"},
		{name: "success and not ok", status: 200, answer: `{"ok": 1, "success": true}`, want: "ok"},
		{
			name: "error that is none", status: 201,
			answer: `{"success": true, "data": "0xdead", "error": null}`,
		},
		{
			name: "refused by the chain, status 200", status: 200,
			answer: `{"success": false, "msg": "too soon"}`, want: "too soon",
		},
		{
			name: "success is not true", status: 200, answer: `{"success": null, "msg": "timeout"}`,
			want: "timeout",
		},
		{
			name: "error beside success", status: 200, answer: `{"success": true, "error": {"code": 7}}`,
			want: "code",
		},
		{name: "server error", status: 500, answer: "out of order", want: "out of order"},
		{name: "redirect to nowhere", status: 304, answer: "", want: `304: ""`},
		{
			name: "long message", status: 400, answer: strings.Repeat("x", 1000),
			want: `"` + strings.Repeat("x", 197) + `…"`,
		},
		{
			name: "long message of long characters", status: 400, answer: strings.Repeat("日", 100),
			want: `"` + strings.Repeat("日", 65) + `…"`,
		},
		{
			name: "message that just fits", status: 400, answer: strings.Repeat("x", 200),
			want: `"` + strings.Repeat("x", 200) + `"`,
		},
		{
			name: "other case", status: 200, answer: `{"Success": false, "Message": "too soon"}`,
			want: `"too soon"`,
		},
		{name: "other case, error", status: 200, answer: `{"ERROR": "too soon"}`, want: `"too soon"`},
		{
			name: "no message", status: 200, answer: `{"success": false, "msg": "", "error": null}`,
			want: "success",
		},
		{name: "success as text", status: 200, answer: `{"success": "false"}`, want: "false"},
		{name: "error that is false", status: 200, answer: `{"error": false}`, want: "error"},
		{
			name: "error that is false beside success", status: 200,
			answer: `{"error": false, "success": true}`,
		},
		{name: "errors that say nothing", status: 200, answer: `{"error": [ ], "ok": true}`},
		{name: "error of number 0", status: 200, answer: `{"success": true, "error": 0}`},
		{name: "empty object of errors", status: 200, answer: `{"success": true, "error": {}}`},
		{name: "bare true", status: 200, answer: "true"},
		{name: "bare false", status: 200, answer: " false\n", want: "false"},
		{name: "list", status: 200, answer: `[false, "too soon"]`, want: "too soon"},
		{name: "list that says yes", status: 200, answer: `[true, "set"]`},
		{name: "empty list", status: 200, answer: `[]`, want: "[]"},
		{name: "other text", status: 200, answer: `"set"`, want: "set"},
		{name: "accepted and not set", status: 202, answer: `{"success": true}`, want: "202"},
		{name: "success with another status", status: 203, answer: `{"success": true}`, want: "203"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, _ := serve(t, tt.status, tt.answer)
			err := send(t.Context(), newHTTP(t, url), weights.Vector{})
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			var answered *weights.HTTPError
			require.ErrorAs(t, err, &answered)
			require.Equal(t, tt.status, answered.Status)
			require.ErrorContains(t, err, tt.want)
			require.LessOrEqual(t, len(answered.Message), 200)
			require.True(t, utf8.ValidString(answered.Message))
		})
	}
}

// TestRedirectsAreNotFollowed: a 301 would be repeated as a GET without weights,
// and the page that it leads to is no promise.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, opts := range [][]weights.HTTPOption{nil, {weights.WithClient(&http.Client{})}} {
			var asked atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				if r.URL.Path == "/set" {
					http.Redirect(w, r, "/elsewhere", status)
				}
			}))
			t.Cleanup(server.Close)
			var answered *weights.HTTPError
			require.ErrorAs(t, send(t.Context(), newHTTP(t, server.URL+"/set", opts...), weights.Vector{}),
				&answered)
			require.Equal(t, status, answered.Status)
			require.EqualValues(t, 1, asked.Load())
		}
	}
	require.Nil(t, http.DefaultClient.CheckRedirect, "the caller's client stays as it is")
}

func TestConnectionsThatFailAreErrors(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	url, _ := serve(t, http.StatusOK, "")
	require.ErrorIs(t, send(ended, newHTTP(t, url), weights.Vector{}), context.Canceled)

	url, _ = serve(t, http.StatusOK, strings.Repeat(" ", 65<<10))
	require.ErrorContains(t, send(t.Context(), newHTTP(t, url), weights.Vector{}), "too long")

	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"success": true`)
	}))
	t.Cleanup(broken.Close)
	require.ErrorIs(t, send(t.Context(), newHTTP(t, broken.URL), weights.Vector{}),
		io.ErrUnexpectedEOF)

	unsendable := weights.WithBody(func(weights.Vector) any { return make(chan int) })
	require.ErrorContains(t, send(t.Context(), newHTTP(t, url, unsendable), weights.Vector{}),
		"unsupported type")
}

func TestBadHTTPOptionsAreReportedTogether(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "localhost:80/weights", "ftp://host/", "http:///path",
		"http://a b/",
	} {
		_, err := weights.NewHTTP(url, 0)
		require.ErrorIs(t, err, weights.ErrInvalidOption, url)
	}
	for _, header := range [][2]string{
		{"", ""},
		{"X Key", "a"},
		{"X-Key:", "a"},
		{"X-Key", "a\n"},
		{"X-Key", "a\x00"},
	} {
		_, err := weights.NewHTTP("http://localhost", 0, weights.WithHeader(header[0], header[1]))
		require.ErrorIs(t, err, weights.ErrInvalidOption, "%q", header)
	}
	_, err := weights.NewHTTP("", 0, weights.WithClient(nil), weights.WithHeader("", ""),
		weights.WithBody(nil), nil)
	for _, want := range []string{
		"absolute URL", "WithClient(nil)", "WithHeader", "WithBody(nil)",
		"option 4 must not be nil",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestAProxyThatGaveUpIsNoRefusal(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "upstream timed out", http.StatusGatewayTimeout)
	}))
	t.Cleanup(server.Close)
	pos := weights.Position{Block: 100, LastUpdate: 50, BlockTime: time.Second}
	chain := newHTTP(t, server.URL, weights.WithPosition(
		func(context.Context) (weights.Position, error) { return pos, nil }))
	setter := newSetter(t, chain, vectorSource, weights.Blocks{Every: 1})
	sent, err := setter.Set(t.Context())
	var answered *weights.HTTPError
	require.ErrorAs(t, err, &answered)
	require.Equal(t, weights.Submitted, sent.State)
	_, err = setter.Set(t.Context())
	require.ErrorIs(t, err, weights.ErrTooSoon, "the first may be on its way")
	pos.Block, pos.LastUpdate = 103, 103
	_, _ = setter.Set(t.Context())
	require.Equal(t, 1, setter.Status().Sets)
}
