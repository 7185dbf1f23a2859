package subtensor_test

import (
	"fmt"
	"testing"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// benchmarkNode has a subnet of so many neurons.
func benchmarkNode(b *testing.B, neurons int) *subtensortest.Node {
	b.Helper()
	node, err := subtensortest.New(subtensortest.Config{})
	require.NoError(b, err)
	b.Cleanup(node.Close)
	var subnet subtensortest.Subnet
	for i := range neurons {
		hotkey := keys.Hotkey{1, byte(i), byte(i >> 8)}
		subnet.Neurons = append(subnet.Neurons, subtensortest.Neuron{Hotkey: hotkey})
	}
	require.NoError(b, node.AddSubnet(netuid, subnet))
	return node
}

// What a user waits for at the start, but for the network: connecting, metadata, metagraph. Most of
// it is the work of the node, which is in the same process.
func BenchmarkStart(b *testing.B) {
	for _, neurons := range []int{256, 4096} {
		b.Run(fmt.Sprint(neurons), func(b *testing.B) {
			node := benchmarkNode(b, neurons)
			for b.Loop() {
				client, err := subtensor.Dial(b.Context(), node.Network(), subtensor.WithDialer(node.Dial))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := client.Metagraph(b.Context(), netuid); err != nil {
					b.Fatal(err)
				}
				client.Close()
			}
		})
	}
}

// A refresh of the metagraph on a connection that is there.
func BenchmarkRefresh(b *testing.B) {
	for _, neurons := range []int{256, 4096} {
		b.Run(fmt.Sprint(neurons), func(b *testing.B) {
			node := benchmarkNode(b, neurons)
			client, err := subtensor.Dial(b.Context(), node.Network(), subtensor.WithDialer(node.Dial))
			require.NoError(b, err)
			defer client.Close()
			for b.Loop() {
				if _, err := client.Metagraph(b.Context(), netuid); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
