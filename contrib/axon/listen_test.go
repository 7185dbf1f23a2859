package axon_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// serve runs a stand's server on a listener of its own, and returns how to stop
// it and wait for the end.
func (s *stand) serve(t *testing.T) (stop func() error) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.url = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx, listener) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func TestServeStopsWhenRequestsAreDone(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	inside, release := make(chan struct{}), make(chan struct{})
	s.forward(func(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
		close(inside)
		<-release
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return echo(ctx, w, synapse)
	})
	stop := s.serve(t)
	answered := make(chan reply, 1)
	request := s.byDendrite(s.dendrite, "hi", 0)
	go func() { answered <- s.ask(request) }()
	<-inside
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	require.Never(t, func() bool { return len(stopped) > 0 }, 20*time.Millisecond, time.Millisecond, "a request is in flight")
	close(release)
	require.Equal(t, http.StatusOK, (<-answered).code)
	require.NoError(t, <-stopped)
	_, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second)
	require.Error(t, err, "the listener is closed")
}

func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{StopTime: 20 * time.Millisecond}))
	inside, cut := make(chan struct{}), make(chan error, 1)
	s.forward(func(ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse) error {
		close(inside)
		<-ctx.Done()
		cut <- ctx.Err()
		return ctx.Err()
	})
	stop := s.serve(t)
	request := s.byDendrite(s.dendrite, "hi", 0)
	failed := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		failed <- err
	}()
	<-inside
	require.ErrorIs(t, stop(), context.DeadlineExceeded)
	require.Error(t, <-failed)
	require.ErrorIs(t, <-cut, context.Canceled)
}

// TestAConnectionWithoutARequestDoesNotHoldTheStop would take five seconds
// else.
func TestAConnectionWithoutARequestDoesNotHoldTheStop(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{StopTime: time.Second}))
	s.forward(echo)
	stop := s.serve(t)
	silent, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer silent.Close()
	require.Equal(t, http.StatusOK, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
	require.NoError(t, stop(), "nothing had to be cut off")
}

func TestListenAndServeTellsOfABadAddress(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	require.Error(t, s.server.ListenAndServe(t.Context(), "nowhere:nothing"))
}

func TestServeTellsOfAListenerThatFails(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.ErrorIs(t, s.server.Serve(t.Context(), listener), net.ErrClosed)
}

// TestAServerIsAHandler mounts one under a prefix of a mux, beside others.
func TestAServerIsAHandler(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(echo)
	mux := http.NewServeMux()
	mux.Handle("/axon/", http.StripPrefix("/axon", s.server))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mounted := httptest.NewServer(mux)
	t.Cleanup(mounted.Close)

	s.url = mounted.URL + "/axon"
	require.Equal(t, http.StatusOK, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
	response, err := http.Get(mounted.URL + "/health")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNoContent, response.StatusCode)
}

func TestTLSIsAListener(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(echo)
	secure := httptest.NewTLSServer(s.server)
	t.Cleanup(secure.Close)
	s.url = secure.URL
	response, err := secure.Client().Do(s.byDendrite(s.dendrite, "hi", 0))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
}
