package axon_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
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
	require.Never(t, func() bool { return len(stopped) > 0 }, 20*time.Millisecond, time.Millisecond,
		"a request is in flight")
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
	mux.HandleFunc("GET /health",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mounted := httptest.NewServer(mux)
	t.Cleanup(mounted.Close)

	s.url = mounted.URL + "/axon"
	require.Equal(t, http.StatusOK, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
	response, err := http.Get(mounted.URL + "/health")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusNoContent, response.StatusCode)
}

// serveTLS is serve over TLS and one protocol, for a client that trusts the
// certificate.
func (s *stand) serveTLS(t *testing.T, protocol string) (client *http.Client, stop func() error) {
	t.Helper()
	certified := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certified.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.url = "https://" + listener.Addr().String()
	config := &tls.Config{
		Certificates: certified.TLS.Certificates, NextProtos: []string{protocol},
		MinVersion: tls.VersionTLS13,
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx, tls.NewListener(listener, config)) }()
	trust := certified.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	client = &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS13},
		ForceAttemptHTTP2: protocol == "h2",
	}}
	return client, func() error {
		cancel()
		return <-ended
	}
}

func TestTLSIsAListener(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.forward(echo)
			client, stop := s.serveTLS(t, protocol)
			response, err := client.Do(s.byDendrite(s.dendrite, "hi", 0))
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode)
			require.Equal(t, protocol == "h2", response.ProtoMajor == 2)
			client.CloseIdleConnections()
			require.NoError(t, stop())
		})
	}
}

// TestTheLongestIdleConnectionIsClosed opens one more than there can be, after the
// first one was used again.
func TestTheLongestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{Connections: 4}))
	s.forward(echo)
	stop := s.serve(t)
	var conns []*wire
	ask := func(w *wire) {
		w.write("GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
		status, _, _ := w.read(t)
		require.Equal(t, http.StatusNotFound, status)
	}
	for range 4 {
		w := dial(t, strings.TrimPrefix(s.url, "http://"))
		ask(w)
		conns = append(conns, w)
	}
	ask(conns[0])
	ask(dial(t, strings.TrimPrefix(s.url, "http://")))
	_, err := conns[1].answers.ReadByte()
	require.ErrorIs(t, err, io.EOF)
	ask(conns[0])
	ask(conns[2])
	ask(conns[3])
	require.NoError(t, stop())
}

// TestAHookMayPauseOverHTTP2 waits longer than a client has for one piece,
// before the first one and between two.
func TestAHookMayPauseOverHTTP2(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	s := newStand(t, axon.WithLimits(axon.Limits{WriteTime: limit}))
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		for range 2 {
			<-time.After(2 * limit)
			if _, err := io.WriteString(w, "piece "); err != nil {
				return err
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
		}
		return nil
	})
	client, stop := s.serveTLS(t, "h2")
	response, err := client.Do(s.byEpistula(s.alice, "{}"))
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, 2, response.ProtoMajor)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "piece piece ", string(text))
	client.CloseIdleConnections()
	require.NoError(t, stop())
}

// TestOptionsOfTheServerAreBounded stalls the body of the one request that net/http would
// answer by itself, and stops the server meanwhile.
func TestOptionsOfTheServerAreBounded(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{BodyTime: 50 * time.Millisecond}))
	stop := s.serve(t)
	w := dial(t, strings.TrimPrefix(s.url, "http://"))
	w.write("OPTIONS * HTTP/1.1\r\nHost: axon\r\nContent-Length: 100\r\n\r\n")
	status, _, own := w.read(t)
	require.True(t, own)
	require.Equal(t, http.StatusNotFound, status)
	require.NoError(t, stop())
	require.Equal(t, axon.ReasonRoute, onlyReason(s.server))
}

// TestLimitsMayBeEndless sets each limit to the largest value there is.
func TestLimitsMayBeEndless(t *testing.T) {
	t.Parallel()
	var limits axon.Limits
	for all, i := reflect.ValueOf(&limits).Elem(), 0; i < all.NumField(); i++ {
		all.Field(i).SetInt(math.MaxInt)
	}
	s := newStand(t, axon.WithLimits(limits))
	s.forward(func(ctx context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		return errors.Join(ctx.Err(), http.NewResponseController(w).Flush())
	})
	stop := s.serve(t)
	large := s.byEpistula(s.alice, strings.Repeat("x", 1<<20))
	large.Header.Set("X-Large", strings.Repeat("x", 1<<20))
	require.Equal(t, http.StatusOK, s.ask(large).code)
	require.Equal(t, http.StatusOK, s.ask(s.byDendrite(s.dendrite, "hi", 0)).code)
	refused := s.byEpistula(s.alice, "{}")
	refused.Header.Del("Epistula-Uuid")
	require.Equal(t, http.StatusUnauthorized, s.ask(refused).code)
	require.NoError(t, stop())
}
