package subtensor_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor"
)

// Weights are set, and everything about it kept current, until ctx ends.
func ExampleRunner() {
	node, client, validator := dialed()
	defer node.Close()
	defer client.Close()
	folder, err := os.MkdirTemp("", "runner")
	if err != nil {
		log.Panic(err)
	}
	defer os.RemoveAll(folder)
	scores, err := weights.NewScores(weights.Hold(0.01), weights.Between(0, 1), weights.WithGuards())
	if err != nil {
		log.Panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	runner, err := validator.OpenRunner(filepath.Join(folder, "scores.json"), scores,
		subtensor.RunnerConfig{
			Schedule: weights.Blocks{Every: 10},
			Metagraph: func(subtensor.Metagraph) { // who may ask, and who is asked
				sample := organic.NewSample("What is the capital of Peru?") // as the SetWeights hook does
				if _, err := scores.Update(weights.RoundOf(sample), organic.Rewards{1: 1, 2: 0.5}); err != nil {
					log.Panic(err)
				}
			},
			Setter: []weights.SetterOption{weights.WithObserver(func(e weights.SetterEvent) {
				if e.Kind == weights.SetterIncluded {
					cancel()
				}
			})},
		})
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(runner.Run(ctx), runner.Close())
	rows, err := client.Weights(context.Background(), 7, 0)
	fmt.Println(rows[0], err)
	// Output:
	// <nil> <nil>
	// [{1 65535} {2 32768}] <nil>
}
