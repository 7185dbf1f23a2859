package axon_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestAnswersBehindAHandlerWithoutFlush mounts a server behind a handler that
// hides what a connection can do.
func TestAnswersBehindAHandlerWithoutFlush(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		w.Header().Set("Content-Type", "text/plain")
		_, err := io.WriteString(w, "hello")
		return err
	})
	outer := httptest.NewServer(http.TimeoutHandler(s.server, time.Minute, ""))
	t.Cleanup(outer.Close)
	s.url = outer.URL
	reply := s.ask(s.byEpistula(s.alice, "{}"))
	require.Equal(t, http.StatusOK, reply.code)
	require.Equal(t, "hello", reply.body)
}

// TestAFailedHooksHeaderIsGone keeps an error from being cached, and what the
// handler outside has set.
func TestAFailedHooksHeaderIsGone(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	fail := true
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusEarlyHints) // sends the header so far, for its part
		if fail {
			return errors.New("no")
		}
		return nil
	})
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "here")
		s.server.ServeHTTP(w, r)
	}))
	t.Cleanup(outer.Close)
	s.url = outer.URL
	failed := s.ask(s.byEpistula(s.alice, "{}"))
	require.Equal(t, http.StatusInternalServerError, failed.code)
	require.Empty(t, failed.header.Get("Cache-Control"))
	require.Equal(t, "application/json", failed.header.Get("Content-Type"))
	require.Equal(t, "here", failed.header.Get("X-Outer"))
	fail = false
	served := s.ask(s.byEpistula(s.alice, "{}"))
	require.Equal(t, "max-age=600", served.header.Get("Cache-Control"))
	require.Equal(t, "text/plain", served.header.Get("Content-Type"))
	require.Equal(t, "here", served.header.Get("X-Outer"))
}

func TestAWrongMethodIsToldTheRightOnes(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	_, err := s.server.Route("/both", axon.WithEpistula(),
		axon.WithMethods(http.MethodGet, http.MethodPost))
	require.NoError(t, err)
	for path, want := range map[string]string{"/Organic": "POST", "/both": "GET, POST"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+path, http.NoBody)
		require.NoError(t, err)
		reply := s.ask(request)
		require.Equal(t, http.StatusMethodNotAllowed, reply.code)
		require.Equal(t, want, reply.header.Get("Allow"))
	}
}

// TestRequestsWorkWithoutAWire hands the client's request straight to the
// server, as tests of hooks do.
func TestRequestsWorkWithoutAWire(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(echo)
	for _, request := range []*http.Request{
		s.byDendrite(s.dendrite, "hi", 0),
		s.byEpistula(s.alice, "{}"),
	} {
		w := httptest.NewRecorder()
		s.server.ServeHTTP(w, request)
		require.Equal(t, http.StatusOK, w.Code)
	}
}

func TestTheControllerReachesTheConnection(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
		return http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Minute))
	})
	require.Equal(t, http.StatusOK, s.ask(s.byEpistula(s.alice, "{}")).code)
}

// TestGuardHooksAreBounded fills the hooks before the gate.
func TestGuardHooksAreBounded(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{Waiting: 1}))
	inside, release := make(chan struct{}), make(chan struct{})
	require.NoError(t, attach(s.epistula, organic.Handlers{
		Blacklist: func(context.Context, *organic.Synapse) error {
			inside <- struct{}{}
			<-release
			return nil
		},
		Forward: echo,
	}))
	first := s.byEpistula(s.alice, "{}")
	answered := make(chan reply, 1)
	go func() { answered <- s.ask(first) }()
	<-inside
	require.Equal(t, http.StatusServiceUnavailable, s.ask(s.byEpistula(s.alice, "{}")).code)
	close(release)
	require.Equal(t, http.StatusOK, (<-answered).code)
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonBusy: 1}, s.server.Stats().Refused)
}

// TestAScorerThatStopsMeanwhileIsClosed answers like one that never ran.
func TestAScorerThatStopsMeanwhileIsClosed(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	open := true
	require.NoError(t, attach(s.epistula, organic.Handlers{
		Open: func() bool { return open },
		Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
			open = false
			return organic.Refuse(http.StatusServiceUnavailable, "not serving now")
		},
	}))
	reply := s.ask(s.byEpistula(s.alice, "{}"))
	require.JSONEq(t, `{"message": "Busy"}`, reply.body)
	require.Equal(t, axon.ReasonClosed, onlyReason(s.server))
}

// TestAWriterEndsWithItsHook has a hook that leaves a goroutine behind, which writes into the
// answer when another one may be under way on the connection.
func TestAWriterEndsWithItsHook(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]func(w http.ResponseWriter) error{
		"held":     func(http.ResponseWriter) error { return nil },
		"streamed": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"failed":   func(http.ResponseWriter) error { return errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			writers := make(chan http.ResponseWriter, 1)
			s.forward(func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
				writers <- w
				return hook(w)
			})
			s.ask(s.byEpistula(s.alice, "{}"))
			w := <-writers
			w.WriteHeader(http.StatusEarlyHints)
			_, err := io.WriteString(w, strings.Repeat("x", 2<<20))
			require.Error(t, err)
			require.Error(t, http.NewResponseController(w).Flush())
			require.Error(t, http.NewResponseController(w).SetWriteDeadline(time.Now()))
		})
	}
}

// blockedWriter is a client that does not read until goOn is closed.
type blockedWriter struct {
	*httptest.ResponseRecorder

	begun, goOn chan struct{}
}

func (w *blockedWriter) Write(data []byte) (int, error) {
	select {
	case w.begun <- struct{}{}:
	default:
	}
	<-w.goOn
	return w.ResponseRecorder.Write(data)
}

// TestAnAnswerWaitsForWhatIsBeingWritten: when ServeHTTP returns, net/http uses the writer for
// another request.
func TestAnAnswerWaitsForWhatIsBeingWritten(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"served": nil, "failed": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := axon.New(keypairFromURI(t, "//Bob").Hotkey())
			require.NoError(t, err)
			users, err := axon.NewBearerKeys(map[string]string{bearerKey: "carol"})
			require.NoError(t, err)
			route, err := server.Route("/chat", axon.WithBearer(users.Check))
			require.NoError(t, err)
			w := &blockedWriter{httptest.NewRecorder(), make(chan struct{}, 1), make(chan struct{})}
			require.NoError(t, attach(route, organic.Handlers{
				Forward: func(_ context.Context, w2 http.ResponseWriter, _ *organic.Synapse) error {
					w2.Header().Set("Content-Type", "text/event-stream")
					go func() { _, _ = io.WriteString(w2, "late") }()
					<-w.begun
					return failure
				},
			}))
			r := httptest.NewRequest(http.MethodPost, "/chat", strings.NewReader("{}"))
			r.Header.Set("Authorization", "Bearer "+bearerKey)
			served := make(chan struct{})
			go func() {
				defer close(served)
				defer func() { _ = recover() }() // a stream that has failed is broken off
				server.ServeHTTP(w, r)
			}()
			select {
			case <-served:
				require.Fail(t, "returned while the answer was being written")
			case <-time.After(100 * time.Millisecond):
			}
			close(w.goOn)
			<-served
		})
	}
}
