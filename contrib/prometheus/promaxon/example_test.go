package promaxon_test

import (
	"fmt"
	"log"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/organic-scoring/organic/contrib/prometheus/promaxon"
)

// Reason stands for axon.Reason, and what is returned for server.Stats().
func ExampleNew() {
	type Reason string
	collector := promaxon.New(func() promaxon.Stats[Reason] {
		return promaxon.Stats[Reason]{Verified: 12, Refused: map[Reason]uint64{"stale": 3}, Serving: 1}
	})
	text, err := testutil.CollectAndFormat(collector, expfmt.TypeTextPlain,
		"organic_axon_requests_refused_total", "organic_axon_requests")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP organic_axon_requests Requests of this moment, by what they do.
	// # TYPE organic_axon_requests gauge
	// organic_axon_requests{state="reading"} 0
	// organic_axon_requests{state="serving"} 1
	// organic_axon_requests{state="waiting"} 0
	// # HELP organic_axon_requests_refused_total Requests that were refused, by reason.
	// # TYPE organic_axon_requests_refused_total counter
	// organic_axon_requests_refused_total{reason="stale"} 3
}
