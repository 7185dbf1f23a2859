package subtensortest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// The connection breaks after the node has run a request; the client sends the
// read again.
func ExampleFault() {
	node, err := subtensortest.New(subtensortest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	subnet := subtensortest.Subnet{Neurons: []subtensortest.Neuron{{Permit: true}}}
	if err := node.AddSubnet(7, subnet); err != nil {
		log.Print(err)
		return
	}
	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		log.Print(err)
		return
	}
	defer client.Close()
	node.Inject(subtensortest.Fault{Action: subtensortest.DropAfter})
	metagraph, err := client.Metagraph(ctx, 7)
	fmt.Println(len(metagraph.Neurons), err, client.Stats().Connections)
	// Output:
	// 1 <nil> 2
}
