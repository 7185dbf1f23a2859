package subtensortest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

func ExampleNode() {
	node, err := subtensortest.New(subtensortest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	if err := node.AddSubnet(7, subtensortest.Subnet{Neurons: []subtensortest.Neuron{{Permit: true}}}); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	if err := node.Mine(3); err != nil {
		log.Fatal(err)
	}
	node.Drop() // the client connects again
	metagraph, err := client.Metagraph(ctx, 7)
	fmt.Println("block", metagraph.Block, "neurons", len(metagraph.Neurons), err)
	// Output: block 3 neurons 1 <nil>
}
