package subtensor_test

import (
	"context"
	"fmt"
	"log"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// dialed returns a client of a fake node, and
// //Alice as a validator on subnet 7. The caller closes node and client.
func dialed() (*subtensortest.Node, *subtensor.Client, *subtensor.Validator) {
	node, key, err := exampleNode()
	if err != nil {
		log.Panic(err)
	}
	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		log.Panic(err)
	}
	validator, err := client.Validator(key, 7)
	if err != nil {
		log.Panic(err)
	}
	return node, client, validator
}

func ExampleClient_Hyperparameters() {
	node, client, _ := dialed()
	defer node.Close()
	defer client.Close()
	ctx := context.Background()
	h, err := client.Hyperparameters(ctx, 7)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(h.Neurons, "neurons, an epoch of", h.Tempo, "blocks, timelocked:", h.CommitReveal)
	_, err = client.Hyperparameters(ctx, 99)
	fmt.Println(err)
	// Output:
	// 3 neurons, an epoch of 360 blocks, timelocked: false
	// hyperparameters of subnet 99: subtensor: no such subnet
}

func ExampleClient_EpochSchedule() {
	node, client, _ := dialed()
	defer node.Close()
	defer client.Close()
	schedule, err := client.EpochSchedule(context.Background(), 7)
	if err != nil {
		log.Panic(err)
	}
	next, err := schedule.NextEpochBlock()
	if err != nil {
		log.Panic(err)
	}
	reveal, err := schedule.RevealBlock(schedule.RevealPeriod)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(next > schedule.CurrentBlock, reveal >= next)
	// Output:
	// true true
}

// A dry run does all of SetWeights but the sending: what would be refused is
// found without a transaction.
func ExampleValidator_DryRun() {
	node, client, validator := dialed()
	defer node.Close()
	defer client.Close()
	ctx := context.Background()
	vector := weights.Vector{UIDs: []organic.UID{1, 2}, Weights: []uint16{65535, 20000}}
	plan, err := validator.DryRun(ctx, vector)
	fmt.Println(plan.UID, plan.Timelocked, err)
	vector.UIDs[1] = 1
	_, err = validator.DryRun(ctx, vector)
	fmt.Println(err)
	// Output:
	// 0 false <nil>
	// weights: vector refused: SubtensorModule.DuplicateUids
}

// A submission can be followed later, by another process too.
func ExampleValidator_Follow() {
	node, client, validator := dialed()
	defer node.Close()
	defer client.Close()
	ctx := context.Background()
	vector := weights.Vector{UIDs: []organic.UID{1}, Weights: []uint16{65535}}
	var saved weights.Submission // a weights.Setter keeps it in the file of its saver
	if _, err := validator.SetWeights(ctx, vector, func(s weights.Submission) {
		if s.State == weights.Submitted {
			saved = s
		}
	}); err != nil {
		log.Panic(err)
	}
	submission, err := validator.Follow(ctx, saved)
	fmt.Println(saved.State, submission.State, err)
	rows, err := client.Weights(ctx, 7, 0)
	fmt.Println(rows[0], err)
	// Output:
	// submitted included <nil>
	// [{1 65535}] <nil>
}

// What depends on who is registered is kept current until ctx ends.
func ExampleClient_EachMetagraph() {
	node, client, _ := dialed()
	defer node.Close()
	defer client.Close()
	ctx, cancel := context.WithCancel(context.Background())
	readings := 0
	err := client.EachMetagraph(ctx, 7, 1, func(m subtensor.Metagraph, err error) {
		if err != nil {
			return // what was read before stays in force
		}
		if readings++; readings == 3 {
			fmt.Println(len(m.Neurons), "neurons")
			cancel()
		}
	})
	fmt.Println(readings, err)
	// Output:
	// 3 neurons
	// 3 <nil>
}
