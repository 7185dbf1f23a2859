package subtensor_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// exampleNode is a fake node with a subnet of //Alice, a validator, and two miners. A real
// validator dials subtensor.Finney().
func exampleNode() (*subtensortest.Node, *keys.Keypair, error) {
	key, err := keys.FromURI("//Alice", keys.SR25519) // a public test key; use keys.Load
	if err != nil {
		return nil, nil, err
	}
	cfg := subtensortest.RuntimeConfig{BlockTime: 20 * time.Millisecond}
	runtime, err := subtensortest.NewRuntime(cfg)
	if err != nil {
		return nil, nil, err
	}
	node, err := subtensortest.New(subtensortest.Config{Runtime: runtime, Clock: true})
	if err != nil {
		return nil, nil, err
	}
	return node, key, node.AddSubnet(7, subtensortest.Subnet{Neurons: []subtensortest.Neuron{
		{Hotkey: key.Hotkey(), Stake: 5_000_000_000_000, Permit: true},
		{Hotkey: keys.Hotkey{1}},
		{Hotkey: keys.Hotkey{2}},
	}})
}

func ExampleClient_Metagraph() {
	node, key, err := exampleNode()
	if err != nil {
		log.Panic(err)
	}
	defer node.Close()

	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		log.Panic(err)
	}
	defer client.Close()
	metagraph, err := client.Metagraph(ctx, 7)
	if err != nil {
		log.Panic(err)
	}
	uid, registered := metagraph.UID(key.Hotkey())
	fmt.Println(len(metagraph.Neurons), "neurons; registered:", registered, "at UID", uid)
	fmt.Println("may query us:", metagraph.Validators(1000e9)) // for axon.AllowList.Replace
	fmt.Println("for scores:", metagraph.Weights().Neurons[0].Hotkey)
	// Output:
	// 3 neurons; registered: true at UID 0
	// may query us: [5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY]
	// for scores: 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
}

func ExampleValidator_SetWeights() {
	node, key, err := exampleNode()
	if err != nil {
		log.Panic(err)
	}
	defer node.Close()

	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		log.Panic(err)
	}
	defer client.Close()
	validator, err := client.Validator(key, 7)
	if err != nil {
		log.Panic(err)
	}
	vector := weights.Vector{UIDs: []organic.UID{1, 2}, Weights: []uint16{65535, 20000}}
	report := func(s weights.Submission) { fmt.Println("save:", s.State) } // a weights.Setter does
	submission, err := validator.SetWeights(ctx, vector, report)
	if err != nil {
		log.Panic(err)
	}
	fmt.Println(submission.State, "in a block:", submission.Block > 0)

	vector.UIDs[1] = 99
	_, err = validator.SetWeights(ctx, vector, report)
	fmt.Println(errors.Is(err, weights.ErrVector), err)
	// Output:
	// save: submitted
	// save: included
	// included in a block: true
	// true weights: vector refused: SubtensorModule.UidVecContainInvalidOne
}

func ExampleValidator_ServeAxon() {
	node, key, err := exampleNode()
	if err != nil {
		log.Panic(err)
	}
	defer node.Close()

	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		log.Panic(err)
	}
	defer client.Close()
	validator, err := client.Validator(key, 7)
	if err != nil {
		log.Panic(err)
	}
	for range 2 {
		served, err := validator.ServeAxon(ctx, netip.MustParseAddrPort("203.0.113.7:8091"))
		fmt.Println("sent:", served.Sent, err)
	}
	_, err = validator.ServeAxon(ctx, netip.MustParseAddrPort("192.168.1.2:8091"))
	fmt.Println(errors.Is(err, organic.ErrInvalidOption))
	// Output:
	// sent: true <nil>
	// sent: false <nil>
	// true
}

func ExampleClient_Heads() {
	node, _, err := exampleNode()
	if err != nil {
		log.Panic(err)
	}
	defer node.Close()

	ctx := context.Background()
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		log.Panic(err)
	}
	defer client.Close()
	var first uint64
	for height, err := range client.Heads(ctx) {
		if err != nil {
			log.Panic(err)
		}
		if first == 0 {
			first = height
		}
		if height == first+3 { // scorer.IncrementStep() for each
			fmt.Println("three blocks have passed")
			break
		}
	}
	// Output:
	// three blocks have passed
}
