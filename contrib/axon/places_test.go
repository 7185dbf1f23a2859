package axon_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
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
			require.NoError(t, route.Attach(handlers))
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

// panicking is a body whose reader panics, as those of a middleware may.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic(http.ErrAbortHandler) }
func (panicking) Close() error             { return nil }

func TestAPlaceForReadingIsFreed(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithLimits(axon.Limits{Reading: 1}))
	broken := byBittensor(t).request(t)
	broken.Body = panicking{}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { f.send(broken) })
	require.Zero(t, f.server.Stats().Remembered)
	require.Equal(t, http.StatusOK, f.send(byBittensor(t).request(t)).Code)
}

// TestWhenTooManyBodiesAreReadTheNextIsBusy lets one come while another's body
// is on its way.
func TestWhenTooManyBodiesAreReadTheNextIsBusy(t *testing.T) {
	t.Parallel()
	f := newFortress(t, axon.WithLimits(axon.Limits{Reading: 1}))
	c := byBittensor(t)
	r := c.request(t)
	r.Body = &lateBody{r.Body, func() {
		w := f.send(stamped(t, byBittensor, 1)[0].request(t))
		f.requireAnswer(t, w, http.StatusServiceUnavailable, axon.ReasonReading)
	}}
	require.Equal(t, http.StatusOK, f.send(r).Code)
}
