package subtensor_test

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// What follows is the code of docs/chain.md, so that the compiler sees it. The first part would send
// something, so that it is not run.
var _ = startOfThePage

func startOfThePage(
	ctx context.Context, keypair *keys.Keypair, netuid uint16, source weights.Source,
	scorer interface{ IncrementStep() },
) error {
	client, err := subtensor.Dial(ctx, subtensor.Finney())
	if err != nil {
		return err
	}
	defer client.Close()

	validator, err := client.Validator(keypair, netuid) // from keys.Load
	if err != nil {
		return err
	}
	if _, err := validator.ServeAxon(ctx, netip.MustParseAddrPort("203.0.113.7:8091")); err != nil {
		return err
	}
	setter, err := weights.NewSetter(validator, source, weights.Epoch{Before: 20})
	if err != nil {
		return err
	}
	go func() { _ = setter.Run(ctx) }()
	return client.EachBlock(ctx, func(height uint64) { // until ctx ends
		scorer.IncrementStep() // a Steps trigger counts blocks
		setter.Block(height)
	})
}

func metagraphOfThePage(
	ctx context.Context, client *subtensor.Client, netuid uint16, scores *weights.Scores,
	allowed *allowList, miners *atomic.Value,
) error {
	err := client.EachMetagraph(ctx, netuid, 25, func(m subtensor.Metagraph, err error) {
		if err != nil {
			return // what was read before stays in force; the next block is tried
		}
		allowed.Replace(m.Validators(1000e9)...) // an axon.AllowList: permit and 1000 TAO
		_ = scores.SetMetagraph(m.Weights())
		miners.Store(m.Targets()) // those with an axon, for QueryMiners
	})
	return err
}

func nodeOfThePage(ctx context.Context, neurons []subtensortest.Neuron) (*subtensor.Client, error) {
	node, err := subtensortest.New(subtensortest.Config{})
	if err != nil {
		return nil, err
	}
	defer node.Close()
	err = node.AddSubnet(1, subtensortest.Subnet{Neurons: neurons, CommitReveal: true})
	if err != nil {
		return nil, err
	}
	client, err := subtensor.Dial(ctx, node.Network(), subtensor.WithDialer(node.Dial))
	if err != nil {
		return nil, err
	}
	return client, node.Mine(1)
}

// Each block of Go in docs/chain.md stands above, but for its indentation.
func TestTheCodeOfTheDocsIsCompiled(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/chain.md")
	require.NoError(t, err)
	source, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	flat := func(code string) string {
		var lines []string
		for line := range strings.Lines(code) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.TrimSpace(strings.Join(lines, "\n"))
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		require.Contains(t, flat(string(source)), flat(code))
	}
}

func TestTheCodeOfTheDocsWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, err := nodeOfThePage(t.Context(), subnetOf(t, 2).Neurons)
		require.NoError(t, err)
		client.Close()

		node := newNode(t, subtensortest.Config{})
		subnet := subnetOf(t, 2)
		subnet.Neurons[0].Stake = 1000e9
		require.NoError(t, node.AddSubnet(netuid, subnet))
		scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
		require.NoError(t, err)
		client = dial(t, node)
		ctx, cancel := context.WithCancel(t.Context())
		var allowed allowList
		var miners atomic.Value
		done := make(chan error, 1)
		go func() { done <- metagraphOfThePage(ctx, client, netuid, scores, &allowed, &miners) }()
		synctest.Wait()
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, []keys.Hotkey{subnet.Neurons[0].Hotkey}, allowed.hotkeys)
		require.IsType(t, []subtensor.Neuron{}, miners.Load())
	})
}
