package prometheus_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/organic-scoring/organic"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
)

func TestServeAnswersUntilCtxEnds(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	v := &Validator{}
	var err error
	v.OrganicScorer, err = organic.New(v)
	require.NoError(t, err)
	go func() { ended <- organicprom.Serve(ctx, listener, organicprom.NewScorer(v)) }()

	url := "http://" + listener.Addr().String()
	status, page := get(t, url+"/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "\norganic_running 0\n")
	status, _ = get(t, url+"/")
	require.Equal(t, http.StatusNotFound, status)
	cancel()
	require.NoError(t, <-ended)
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestServeRefusesCollectorsThatContradictEachOther(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	v := &Validator{}
	err := organicprom.Serve(t.Context(), listener, organicprom.NewScorer(v), organicprom.NewScorer(v))
	require.ErrorContains(t, err, "duplicate")
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestServeRefusesNil(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, organicprom.Serve(t.Context(), nil), organic.ErrInvalidOption)
	listener := listen(t)
	require.ErrorIs(t, organicprom.Serve(t.Context(), listener, nil), organic.ErrInvalidOption)
	_, err := listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// A scrape that is under way when ctx ends gets its answer before Serve returns.
func TestServeWaitsForScrapes(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	scraping, ended := make(chan struct{}), make(chan error, 1)
	slow := prom.NewGaugeFunc(prom.GaugeOpts{Name: "slow", Help: "Slow."}, func() float64 {
		close(scraping)
		<-ctx.Done()
		return 1
	})
	go func() { ended <- organicprom.Serve(ctx, listener, slow) }()
	go func() {
		<-scraping
		cancel()
	}()
	status, page := get(t, "http://"+listener.Addr().String()+"/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, page, "\nslow 1\n")
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, <-ended)
}

func TestServeReturnsWhatTheListenerReturns(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	require.NoError(t, listener.Close())
	require.ErrorIs(t, organicprom.Serve(t.Context(), listener), net.ErrClosed)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return listener
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}
