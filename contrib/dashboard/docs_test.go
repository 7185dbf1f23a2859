package dashboard_test

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/organic-scoring/organic/contrib/weights"
)

// What follows is the code of docs/observing.md about the page, so that the compiler sees it.

type Validator = prompts

func watch(
	ctx context.Context, mux *http.ServeMux,
	v *Validator, scores *weights.Scores, setter *weights.Setter,
) (*dashboard.Dashboard, error) {
	page, err := dashboard.New(v,
		dashboard.WithTitle("Subnet 1"),
		dashboard.WithScores(scores, weights.WithMinAllowed(8)), // the options of the setter's source
		dashboard.WithSetter(setter),
		dashboard.WithQueue(dashboard.Queue{Capacity: 10_000}),
	)
	if err != nil {
		return nil, err
	}
	v.OrganicScorer, err = organic.New(v, organic.WithObserver(page.Observe))
	if err != nil {
		return nil, err
	}
	mux.Handle("/status/", http.StripPrefix("/status", page))
	go func() { _ = page.Run(ctx) }() // samples once a second, until ctx ends
	return page, nil
}

// axonServer stands for axon.Server, which is in another module.
type axonServer struct{ stats axonNumbers }

func (s *axonServer) Stats() axonNumbers { return s.stats }

// axonNumbers has the fields of axon.Stats that the page shows.
type axonNumbers struct {
	Verified, Served uint64
	Refused          map[reason]uint64
	Serving, Waiting int
}

type reason string

func axonStats(server *axonServer) dashboard.Option {
	return dashboard.WithAxon(func() dashboard.Axon {
		s := server.Stats()
		refused := make(map[string]uint64, len(s.Refused))
		for reason, count := range s.Refused {
			refused[string(reason)] = count
		}
		return dashboard.Axon{
			Verified: s.Verified, Served: s.Served, Refused: refused,
			Serving: s.Serving, Waiting: s.Waiting,
		}
	})
}

func TestTheCodeOfTheDocsIsCompiled(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/observing.md")
	require.NoError(t, err)
	source, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	found := 0
	for _, block := range strings.Split(string(page), "```go\n")[1:] {
		code, _, _ := strings.Cut(block, "```")
		if strings.Contains(code, "dashboard.") {
			found++
			code = strings.ReplaceAll(code, "*axon.Server", "*axonServer")
			require.Contains(t, string(source), code)
		}
	}
	require.Equal(t, 2, found)
}

func TestTheCodeOfTheDocsWorks(t *testing.T) {
	t.Parallel()
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
	require.NoError(t, err)
	chain := weights.ChainFunc(func(context.Context, weights.Vector) error { return nil })
	set, err := weights.NewSetter(chain, scores.Source(), weights.Epoch{Before: 20})
	require.NoError(t, err)
	page, err := watch(t.Context(), http.NewServeMux(), &Validator{}, scores, set)
	require.NoError(t, err)
	require.Contains(t, report(t, page), "Subnet 1")

	numbers := axonNumbers{Verified: 3, Refused: map[reason]uint64{"stale": 2}}
	page, err = dashboard.New(&Validator{}, axonStats(&axonServer{numbers}))
	require.NoError(t, err)
	require.Contains(t, cells(report(t, page)), "stale|2|")
}

func ExampleDashboard_WriteReport() {
	page, err := dashboard.New(&Validator{}, dashboard.WithTitle("Subnet 1"))
	if err != nil {
		panic(err)
	}
	file, err := os.CreateTemp("", "report-*.html")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if err := page.WriteReport(file); err != nil {
		panic(err)
	}
	if err := file.Close(); err != nil {
		panic(err)
	}
	// Output:
}
