package promrelay_test

import (
	"context"
	"fmt"
	"log"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/organic-scoring/organic/contrib/prometheus/promrelay"
)

func ExampleNew() {
	r, err := relay.New()
	if err != nil {
		log.Fatal(err)
	}
	collector := promrelay.New(r)
	miner := organictest.StreamMiner{Text: []string{"Lima"}}.Ask
	query := relay.Query{Miners: map[organic.UID]relay.Miner{7: miner}}
	if _, err := r.Ask(context.Background(), query); err != nil {
		log.Fatal(err)
	}
	text, err := testutil.CollectAndFormat(collector, expfmt.TypeTextPlain,
		"organic_relay_queries_total")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP organic_relay_queries_total Queries whose miners were asked.
	// # TYPE organic_relay_queries_total counter
	// organic_relay_queries_total 1
}
