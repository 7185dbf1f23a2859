package axon_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestWhateverAHookDoesItsPlaceIsFreed has one place for reading, verifying and
// serving each: a leak of any would stop the request after it.
func TestWhateverAHookDoesItsPlaceIsFreed(t *testing.T) {
	t.Parallel()
	hook := func(context.Context, *organic.Synapse) error { return nil }
	boom := func(context.Context, *organic.Synapse) error { panic("boom") }
	for name, handlers := range map[string]organic.Handlers{
		"Open panics":      {Open: func() bool { panic("boom") }, Forward: answerNothing},
		"Blacklist panics": {Blacklist: boom, Forward: answerNothing},
		"Verify panics":    {Verify: boom, Forward: answerNothing},
		"Priority panics": {
			Priority: func(context.Context, *organic.Synapse) float64 { panic("boom") },
			Forward:  answerNothing,
		},
		"Forward fails": {
			Blacklist: hook,
			Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
				return errors.New("failed")
			},
		},
		"Forward panics": {Forward: func(
			context.Context, http.ResponseWriter, *organic.Synapse,
		) error {
			panic("boom")
		}},
		"Forward aborts": {Forward: func(
			context.Context, http.ResponseWriter, *organic.Synapse,
		) error {
			panic(http.ErrAbortHandler)
		}},
		"Forward leaves its goroutine": {Forward: func(
			context.Context, http.ResponseWriter, *organic.Synapse,
		) error {
			runtime.Goexit()
			return nil
		}},
		"Forward panics in a stream": {Forward: func(
			_ context.Context, w http.ResponseWriter, _ *organic.Synapse,
		) error {
			_ = http.NewResponseController(w).Flush()
			panic("boom")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, axon.WithLimits(axon.Limits{
				Reading: 1, Verifying: 1, Serving: 1,
				Waiting: 1,
			}))
			route, err := f.server.Route("/wild", axon.WithEpistula())
			require.NoError(t, err)
			require.NoError(t, attach(route, handlers))
			for i, c := range stamped(t, byBittensor, 0, 1, 2) {
				wild := byEpistula(t)
				wild.target, wild.uuid = "/wild", string(rune('a'+i))
				r, ended := wild.request(t), make(chan struct{})
				go func() {
					defer close(ended)
					defer func() { _ = recover() }()
					f.send(r)
				}()
				<-ended
				require.Equal(t, http.StatusOK, f.send(c.request(t)).Code)
			}
			require.Zero(t, f.server.Stats().Serving)
			require.Zero(t, f.server.Stats().Waiting)
			require.EqualValues(t, 3, f.server.Stats().Served)
			require.Equal(t, map[axon.Reason]uint64{axon.ReasonFailed: 3}, f.server.Stats().Refused)
		})
	}
}

// padding makes a body of JSON too large to be read without a place.
var padding = strings.Repeat(" ", 64<<10)

// large is a signed call with so large a body.
func large(tb testing.TB) *call {
	tb.Helper()
	c := byBittensor(tb)
	c.body += padding
	return c
}

// brokenBody is a body whose reader panics at its end, as those of a middleware
// may.
type brokenBody struct{ io.Reader }

func (b *brokenBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

func (b *brokenBody) Close() error { return nil }

func TestAPlaceForReadingIsFreed(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithLimits(axon.Limits{Reading: 1}))
	broken := byBittensor(t).request(t)
	broken.Body = &brokenBody{strings.NewReader(padding)}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { f.send(broken) })
	require.Zero(t, f.server.Stats().Remembered)
	require.Equal(t, http.StatusOK, f.send(large(t).request(t)).Code)
}

// TestTheSlowestBodyMakesWay lets one body come while another one stalls.
func TestTheSlowestBodyMakesWay(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithLimits(axon.Limits{Reading: 1}))
	address := f.listen(t)
	stalled := dial(t, address)
	stalled.write(large(t).raw(t, "Content-Length: 100000\r\n", padding))
	require.Eventually(t, func() bool { return f.server.Stats().Reading == 1 }, longest,
		time.Millisecond)

	small := stamped(t, byBittensor, 1)[0]
	require.Equal(t, http.StatusOK, f.send(small.request(t)).Code, "a small body needs no claim")
	require.Equal(t, 1, f.server.Stats().Reading)

	other := stamped(t, large, 2)[0]
	require.Equal(t, http.StatusOK, f.send(other.request(t)).Code)
	response, err := http.ReadResponse(stalled.answers, nil)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	require.Equal(t, map[axon.Reason]uint64{axon.ReasonReading: 1}, f.server.Stats().Refused)
	require.Zero(t, f.server.Stats().Reading)
}

// TestABodyThatHasArrivedIsNotInterrupted holds one up in the checks after it, while
// another takes its claim.
func TestABodyThatHasArrivedIsNotInterrupted(t *testing.T) {
	t.Parallel()
	checking, release := make(chan struct{}), make(chan struct{})
	s := newStand(t, axon.WithLimits(axon.Limits{Reading: 1}))
	route, err := s.server.Route("/slow", axon.WithTarget(func(r *http.Request) string {
		if r.URL.RawQuery == "first" {
			close(checking)
			<-release
		}
		return r.RequestURI
	}))
	require.NoError(t, err)
	require.NoError(t, attach(route, organic.Handlers{
		Forward: func(
			ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse,
		) error {
			return ctx.Err()
		},
	}))
	ask := func(query string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/slow?"+query,
			strings.NewReader(padding))
		require.NoError(t, err)
		require.NoError(t, axon.Sign(request, s.alice, s.bob.Hotkey()))
		return s.ask(request).code
	}
	first := make(chan int, 1)
	go func() { first <- ask("first") }()
	<-checking
	require.Equal(t, http.StatusOK, ask("second"))
	close(release)
	require.Equal(t, http.StatusOK, <-first)
	require.Zero(t, s.server.Stats().Reading)
}

// TestOverHTTP2ASmallBodyNeedsAClaim has one that stalls on the same connection.
func TestOverHTTP2ASmallBodyNeedsAClaim(t *testing.T) {
	t.Parallel()
	s := newStand(t, axon.WithLimits(axon.Limits{Reading: 1}))
	s.forward(echo)
	client, stop := s.serveTLS(t, "h2")
	stalled := s.byEpistula(s.alice, "{}")
	reader, writer := io.Pipe()
	stalled.Body = reader
	statuses := make(chan int, 1)
	go func() {
		response, err := client.Do(stalled)
		if err != nil {
			statuses <- 0
			return
		}
		_ = response.Body.Close()
		statuses <- response.StatusCode
	}()
	require.Eventually(t, func() bool { return s.server.Stats().Reading == 1 }, longest,
		time.Millisecond)
	response, err := client.Do(s.byEpistula(s.alice, "{}"))
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, http.StatusServiceUnavailable, <-statuses)
	require.NoError(t, writer.Close())
	client.CloseIdleConnections()
	require.NoError(t, stop())
}
