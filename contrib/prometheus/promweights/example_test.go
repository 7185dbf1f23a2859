package promweights_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/organic-scoring/organic/contrib/prometheus/promweights"
)

// twoMiners returns scores in which UID 1 has half of the reward of UID 0.
func twoMiners() *weights.Scores {
	scores, err := weights.NewScores(weights.Window(10, 0), weights.Between(0, 1),
		weights.WithGuards())
	if err != nil {
		log.Fatal(err)
	}
	if err := scores.SetMetagraph(weights.Hotkeys("5Alice", "5Bob")); err != nil {
		log.Fatal(err)
	}
	round := weights.RoundOf(organic.NewSample("Peru?"))
	if _, err := scores.Update(round, organic.Rewards{0: 1, 1: 0.5}); err != nil {
		log.Fatal(err)
	}
	return scores
}

func ExampleNewScores() {
	collector := promweights.NewScores(twoMiners())
	text, err := testutil.CollectAndFormat(collector, expfmt.TypeTextPlain, "organic_miner_score")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP organic_miner_score Score of a miner.
	// # TYPE organic_miner_score gauge
	// organic_miner_score{uid="0"} 1
	// organic_miner_score{uid="1"} 0.5
}

func ExampleNewSetter() {
	chain := weights.ChainFunc(func(context.Context, weights.Vector) error { return nil })
	setter, err := weights.NewSetter(chain, twoMiners().Source(), weights.Interval{Every: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := setter.Set(context.Background()); err != nil {
		log.Fatal(err)
	}
	collector := promweights.NewSetter(setter, 72*time.Minute)
	text, err := testutil.CollectAndFormat(collector, expfmt.TypeTextPlain,
		"organic_weights_entries", "organic_weights_tempo_seconds")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP organic_weights_entries Weights in the last set.
	// # TYPE organic_weights_entries gauge
	// organic_weights_entries 2
	// # HELP organic_weights_tempo_seconds How long an epoch of the subnet lasts.
	// # TYPE organic_weights_tempo_seconds gauge
	// organic_weights_tempo_seconds 4320
}
