package prometheus_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
)

type Validator = validator

// metrics is the code of docs/observing.md about Prometheus, so that the compiler sees it.
func metrics(
	registry prometheus.Registerer, v *Validator, setter *weights.Setter, scores *weights.Scores,
) error {
	scorer := organicprom.NewScorer(v)
	var err error
	v.OrganicScorer, err = organic.New(v, organic.WithObserver(scorer.Observe))
	if err != nil {
		return err
	}
	registry.MustRegister(scorer,
		promweights.NewSetter(setter, 72*time.Minute), // the subnet's tempo
		promweights.NewScores(scores))
	return nil
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
	source := func(context.Context) (weights.Vector, error) { return scores.Convert() }
	setter, err := weights.NewSetter(chain, source, weights.Epoch{Before: 20})
	require.NoError(t, err)
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, metrics(registry, &Validator{}, setter, scores))
	_, err = registry.Gather()
	require.NoError(t, err)
}
