package dashboard_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/relay"
)

func handle(
	d http.Handler,
	method, target string,
	header map[string]string,
) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	d, err := dashboard.New(&scorer{})
	require.NoError(t, err)
	tests := []struct {
		name, method, target string
		want                 int
	}{
		{"page", http.MethodGet, "/", http.StatusOK},
		{"page below a prefix", http.MethodGet, "/status/", http.StatusOK},
		{"head", http.MethodHead, "/", http.StatusOK},
		{"post to the page", http.MethodPost, "/", http.StatusMethodNotAllowed},
		{"post to the events", http.MethodPost, "/events", http.StatusMethodNotAllowed},
		{"unknown", http.MethodGet, "/favicon.ico", http.StatusNotFound},
		{"controls that were not asked for", http.MethodPost, "/pause", http.StatusNotFound},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := handle(d, test.method, test.target, map[string]string{"Sec-Fetch-Site": "same-origin"})
			require.Equal(t, test.want, w.Code)
			require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		})
	}
	require.NotContains(t, handle(d, http.MethodGet, "/", nil).Body.String(), "Pause the scorer")
}

// fetch returns the whole body.
func fetch(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestServeUntilTheEnd(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d, err := dashboard.New(&scorer{}, dashboard.WithMetrics(http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "a_metric 1") },
	)))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, listener) }()
	base := "http://" + listener.Addr().String()
	require.Contains(t, fetch(t, base+"/"), "<title>")
	require.Equal(t, "a_metric 1", fetch(t, base+"/metrics"))
	viewer := make(chan string, 1)
	go func() { viewer <- fetch(t, base+"/events") }()
	require.Eventually(t, func() bool { return d.Viewers() == 1 }, time.Minute, time.Millisecond)
	other, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, d.Serve(ctx, other), organic.ErrRunning)
	_, err = other.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	stop()
	require.Contains(t, <-viewer, "event: end", "not cut off")
	require.NoError(t, <-ended)
}

func TestSaveReport(t *testing.T) {
	t.Parallel()
	d, err := dashboard.New(&scorer{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "report.html")
	for range 2 {
		require.NoError(t, d.SaveReport(path))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, 1, strings.Count(string(text), "<title>"))
	}
	old, err := os.Open(path) // shows whether the old report is changed or replaced
	require.NoError(t, err)
	defer old.Close()
	require.NoError(t, d.SaveReport(path))
	text, err := io.ReadAll(old)
	require.NoError(t, err)
	require.Contains(t, string(text), "<title>")
	before, err := old.Stat()
	require.NoError(t, err)
	after, err := os.Stat(path)
	require.NoError(t, err)
	require.False(t, os.SameFile(before, after), "a new file takes its place")
	require.Error(t, d.SaveReport(filepath.Join(path, "below")))
}

// pipes is a listener in memory, for time that is not real.
type pipes struct {
	conns  chan net.Conn
	closed context.Context
	end    context.CancelFunc
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.end(); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func TestServeClosesIdleConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, err := dashboard.New(&scorer{})
		require.NoError(t, err)
		listener := &pipes{conns: make(chan net.Conn)}
		listener.closed, listener.end = context.WithCancel(context.Background())
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- d.Serve(ctx, listener) }()
		client, server := net.Pipe()
		listener.conns <- server
		_, err = io.WriteString(client, "GET / HTTP/1.1\r\nHost: page\r\n\r\n")
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, client.SetDeadline(began.Add(time.Hour)))
		answer, err := io.ReadAll(client)
		require.NoError(t, err)
		require.Contains(t, string(answer), "<title>")
		require.Equal(t, time.Minute, time.Since(began))
		stop()
		require.NoError(t, <-ended)
	})
}

func TestServeEndsWithItsListener(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	d, err := dashboard.New(&scorer{})
	require.NoError(t, err)
	require.ErrorIs(t, d.Serve(t.Context(), listener), net.ErrClosed)
	require.Equal(t, http.StatusNotFound, handle(d, http.MethodGet, "/metrics", nil).Code)
}

func TestControlsObeyOnlyThePageItself(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		header map[string]string
		want   int
	}{
		{"the page", map[string]string{"Sec-Fetch-Site": "same-origin"}, http.StatusNoContent},
		{
			"the page in an old browser",
			map[string]string{"Origin": "http://example.com"},
			http.StatusNoContent,
		},
		{"another site", map[string]string{"Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"a sibling domain", map[string]string{"Sec-Fetch-Site": "same-site"}, http.StatusForbidden},
		{"another origin", map[string]string{"Origin": "http://evil.example"}, http.StatusForbidden},
		{"a file", map[string]string{"Origin": "null"}, http.StatusForbidden},
		{"no browser", nil, http.StatusForbidden},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := &scorer{stats: organic.Stats{Running: true}}
			d, err := dashboard.New(s, dashboard.WithControls(s))
			require.NoError(t, err)
			require.Equal(t, test.want, handle(d, http.MethodPost, "/pause", test.header).Code)
			require.Equal(t, test.want == http.StatusNoContent, s.Stats().Paused)
			require.Equal(t, test.want, handle(d, http.MethodPost, "/resume", test.header).Code)
			require.False(t, s.Stats().Paused)
			require.Equal(t, http.StatusNotFound, handle(d, http.MethodGet, "/pause", test.header).Code)
		})
	}
}

// live serves a page whose Run ends when stop is called.
func live(t *testing.T) (url string, stop func()) {
	t.Helper()
	d, err := dashboard.New(&scorer{stats: organic.Stats{Running: true}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = d.Run(ctx) })
	server := httptest.NewServer(d)
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(func() { stop(); server.Close() })
	return server.URL, stop
}

func TestEventsSendThePageUntilRunEnds(t *testing.T) {
	t.Parallel()
	url, stop := live(t)
	response, err := http.Get(url + "/events")
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	events := relay.NewEventReader(response.Body, 1<<20)
	next := func() string {
		t.Helper()
		event, err := events.Next()
		require.NoError(t, err)
		require.Equal(t, "page", event.Name)
		return string(event.Data)
	}
	first, second := next(), next()
	for strings.Contains(second, `id="contents"`) { // a viewer that was too slow gets the whole page
		second = next()
	}
	require.Contains(t, first, `<h2 id="verdict">Healthy</h2>`)
	require.True(t, strings.HasPrefix(strings.TrimSpace(first), "<section"), "main's content alone")
	for _, section := range []string{`id="health"`, `id="queue"`} {
		require.Contains(t, first, section)
		require.Contains(t, second, section)
	}
	for _, same := range []string{`id="contents"`, `id="fates"`, `id="outages"`} {
		require.Contains(t, first, same)
		require.NotContains(t, second, same, "a section that has not changed is not sent again")
	}
	stop()
	for {
		event, err := events.Next()
		require.NoError(t, err)
		if event.Name == "end" {
			return
		}
	}
}

func TestViewersAreLimited(t *testing.T) {
	t.Parallel()
	url, _ := live(t)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	var first *http.Response
	for i := range 64 {
		response, err := client.Get(url + "/events")
		require.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		require.Equal(t, http.StatusOK, response.StatusCode, i)
		if first == nil {
			first = response
		}
	}
	response, err := client.Get(url + "/events")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)

	require.NoError(t, first.Body.Close())
	require.Eventually(t, func() bool {
		response, err := client.Get(url + "/events")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, time.Minute, 20*time.Millisecond)
}
