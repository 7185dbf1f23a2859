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
	subnet := subtensortest.Subnet{Neurons: []subtensortest.Neuron{{Permit: true}}}
	err = node.AddSubnet(7, subnet)
	if err != nil {
		fmt.Println(err)
	}
	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	err = node.Mine(3)
	node.Drop() // the client connects again
	metagraph, failure := client.Metagraph(ctx, 7)
	fmt.Println("block", metagraph.Block, "neurons", len(metagraph.Neurons), err, failure)
	// Output: block 3 neurons 1 <nil> <nil>
}
