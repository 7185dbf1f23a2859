package axon_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

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
		"Blacklist panics": {Blacklist: boom, Forward: answerNothing},
		"Verify panics":    {Verify: boom, Forward: answerNothing},
		"Priority panics":  {Priority: func(context.Context, *organic.Synapse) float64 { panic("boom") }, Forward: answerNothing},
		"Forward fails": {Blacklist: hook, Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
			return errors.New("failed")
		}},
		"Forward panics": {Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error { panic("boom") }},
		"Forward aborts": {Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error { panic(http.ErrAbortHandler) }},
		"Forward leaves its goroutine": {Forward: func(context.Context, http.ResponseWriter, *organic.Synapse) error {
			runtime.Goexit()
			return nil
		}},
		"Forward panics in a stream": {Forward: func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
			_ = http.NewResponseController(w).Flush()
			panic("boom")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFortress(t, axon.WithLimits(axon.Limits{Reading: 1, Verifying: 1, Serving: 1, Waiting: 1}))
			route, err := f.server.Epistula("/wild")
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

// TestWhenTooManyBodiesAreReadTheNextIsBusy lets one come while another's body
// is on its way.
func TestWhenTooManyBodiesAreReadTheNextIsBusy(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithLimits(axon.Limits{Reading: 1}))
	c := byBittensor(t)
	r := c.request(t)
	r.ContentLength = -1
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(padding), &lateBody{strings.NewReader(c.body), func() {
		other := stamped(t, large, 1)[0]
		f.requireAnswer(t, f.send(other.request(t)), http.StatusServiceUnavailable, axon.ReasonReading)
		small := stamped(t, byBittensor, 2)[0]
		require.Equal(t, http.StatusOK, f.send(small.request(t)).Code, "a small body needs no place")
	}}))
	require.Equal(t, http.StatusOK, f.send(r).Code)
}
