package promaxon_test

import (
	"strings"
	"testing"

	"github.com/organic-scoring/organic/contrib/dashboard"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/prometheus/promaxon"
)

type reason string

// What a status page shows converts to what is measured.
var _ = promaxon.Stats[string](dashboard.Axon{})

func TestRefusalsAreCountedByReason(t *testing.T) {
	t.Parallel()
	axon := promaxon.New(func() promaxon.Stats[reason] {
		return promaxon.Stats[reason]{Verified: 5, Refused: map[reason]uint64{"stale": 2, "rate": 3}}
	})
	require.NoError(t, testutil.CollectAndCompare(axon, strings.NewReader(`
# HELP organic_axon_requests_refused_total Requests that were refused, by reason.
# TYPE organic_axon_requests_refused_total counter
organic_axon_requests_refused_total{reason="rate"} 3
organic_axon_requests_refused_total{reason="stale"} 2
# HELP organic_axon_requests_verified_total Requests that passed all checks of the axon.
# TYPE organic_axon_requests_verified_total counter
organic_axon_requests_verified_total 5
`), "organic_axon_requests_refused_total", "organic_axon_requests_verified_total"))
}
