package prometheus_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
)

type Validator = validator

// What follows is the code of docs/observing.md about Prometheus, so that the compiler sees it.

func build(v *Validator) (*organicprom.Scorer, error) {
	metrics := organicprom.NewScorer(v)
	var err error
	v.OrganicScorer, err = organic.New(v, organic.WithObserver(metrics.Observe))
	return metrics, err
}

// serveMetrics serves the metrics at /metrics until ctx ends.
func serveMetrics(
	ctx context.Context, listener net.Listener, // of net.Listen("tcp", "127.0.0.1:9090")
	metrics *organicprom.Scorer, setter *weights.Setter, scores *weights.Scores,
) error {
	return organicprom.Serve(ctx, listener, metrics,
		promweights.NewSetter(setter, 72*time.Minute), // the subnet's tempo
		promweights.NewScores(scores))
}

func TestTheCodeOfTheDocsIsCompiledAndWorks(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/observing.md")
	require.NoError(t, err)
	own, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	found := 0
	for _, block := range strings.Split(string(page), "```go\n")[1:] {
		code, _, _ := strings.Cut(block, "```")
		if strings.Contains(code, "organicprom.") {
			found++
			require.Contains(t, string(own), code)
		}
	}
	require.Equal(t, 1, found)

	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
	require.NoError(t, err)
	chain := weights.ChainFunc(func(context.Context, weights.Vector) error { return nil })
	setter, err := weights.NewSetter(chain, scores.Source(), weights.Epoch{Before: 20})
	require.NoError(t, err)
	v := &Validator{}
	collector, err := build(v)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended, listener := make(chan error, 1), listen(t)
	go func() { ended <- serveMetrics(ctx, listener, collector, setter, scores) }()
	status, _ := get(t, "http://"+listener.Addr().String()+"/metrics")
	require.Equal(t, http.StatusOK, status)
	cancel()
	require.NoError(t, <-ended)
}
