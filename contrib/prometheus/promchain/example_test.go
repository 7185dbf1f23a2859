package promchain_test

import (
	"fmt"
	"log"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/organic-scoring/organic/contrib/prometheus/promchain"
)

// What is returned stands for the Stats of a subtensor.Client.
func ExampleNew() {
	collector := promchain.New(func() promchain.Stats {
		return promchain.Stats{Connected: true, Connections: 2, Failures: 1, Spec: 424}
	})
	text, err := testutil.CollectAndFormat(collector, expfmt.TypeTextPlain,
		"organic_chain_connected", "organic_chain_connection_failures_total")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP organic_chain_connected 1 while a node of the chain is in use, else 0.
	// # TYPE organic_chain_connected gauge
	// organic_chain_connected 1
	// # HELP organic_chain_connection_failures_total Attempts to connect that failed.
	// # TYPE organic_chain_connection_failures_total counter
	// organic_chain_connection_failures_total 1
}
