package subtensor_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/service"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// What follows is the code of docs/chain.md, so that the compiler sees it. The first part would
// send something, so that it is not run.
var _ = runOnTheChain

func runOnTheChain(
	signalled context.Context, // of signal.NotifyContext
	keypair *keys.Keypair, // of keys.Load
	scores *weights.Scores, // SetWeights updates them
	v *ownValidator, // embeds the scorer
) error {
	client, err := subtensor.Dial(signalled, subtensor.Finney())
	if err != nil {
		return err
	}
	defer client.Close()
	validator, err := client.Validator(keypair, 7) // the number of the subnet
	if err != nil {
		return err
	}
	runner, err := validator.OpenRunner("scores.json", scores, subtensor.RunnerConfig{
		Setter:    []weights.SetterOption{weights.WithWarmUp(scores, 0.9, 10, 6*time.Hour)},
		Block:     func(uint64) { v.IncrementStep() }, // a Steps trigger counts blocks
		Metagraph: v.readMetagraph,
		Axon:      netip.MustParseAddrPort("203.0.113.7:8091"), // where users reach it
	})
	if err != nil {
		return err
	}
	err = service.Run(signalled, v, service.Config{
		Beside: []func(context.Context) error{runner.Run},
	})
	return errors.Join(err, runner.Close())
}

// readMetagraph keeps current who may ask, and who is asked.
func (v *ownValidator) readMetagraph(m subtensor.Metagraph) {
	const minStake = 1000e9                      // 1000 TAO: from there on a permit makes a validator
	v.allowed.Replace(m.Validators(minStake)...) // an axon.AllowList
	miners := m.Miners(minStake)                 // the others that have an axon
	v.miners.Store(&miners)                      // an atomic.Pointer, for QueryMiners
}

// ownValidator stands for a validator that embeds a scorer. The page calls it Validator.
type ownValidator struct {
	allowed allowList
	miners  atomic.Pointer[[]subtensor.Neuron]
	steps   atomic.Int64
}

func (v *ownValidator) IncrementStep() { v.steps.Add(1) }

func (*ownValidator) Start(context.Context) error { return nil }

func (*ownValidator) Stop(context.Context) error { return nil }

func followByHand(
	ctx context.Context, client *subtensor.Client, validator *subtensor.Validator,
	scores *weights.Scores, setter *weights.Setter, v *ownValidator,
) error {
	if _, err := validator.ServeAxon(ctx, netip.MustParseAddrPort("203.0.113.7:8091")); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return setter.Run(ctx) })
	group.Go(func() error {
		return client.EachBlock(ctx, func(height uint64) {
			v.IncrementStep()
			setter.Block(height)
		})
	})
	group.Go(func() error {
		return client.EachMetagraph(ctx, 7, 25, func(m subtensor.Metagraph, err error) {
			if err != nil {
				return // what was read before stays in force; the next block is tried
			}
			if scores.SetMetagraph(m.Weights()) == nil { // else it is older than the last one
				setter.Recheck()
				v.readMetagraph(m)
			}
		})
	})
	return group.Wait()
}

func dryRun(
	ctx context.Context, validator *subtensor.Validator, scores *weights.Scores,
) error {
	vector, err := scores.Convert() // with the options of RunnerConfig.Convert
	if err != nil {
		return err // weights.ErrNoScores, while nothing was scored
	}
	plan, err := validator.DryRun(ctx, vector)
	if err != nil {
		return err // what the chain would refuse, by its name
	}
	fmt.Printf("UID %d at block %d, timelocked: %v, the clock is ahead by %v\n",
		plan.UID, plan.Block, plan.Timelocked, plan.ClockOffset)
	return nil
}

func TestOnAChain(t *testing.T) {
	keypair, err := keys.Generate(keys.SR25519)
	require.NoError(t, err)
	node, err := subtensortest.New(subtensortest.Config{})
	require.NoError(t, err)
	t.Cleanup(node.Close)
	require.NoError(t, node.AddSubnet(7, subtensortest.Subnet{
		Neurons:      []subtensortest.Neuron{{Hotkey: keypair.Hotkey(), Stake: 5000e9, Permit: true}},
		CommitReveal: true,
	}))
	client, err := subtensor.Dial(t.Context(), node.Network(), subtensor.WithDialer(node.Dial))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	metagraph, err := client.Metagraph(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, keypair.Hotkey(), metagraph.Neurons[0].Hotkey)
	require.NoError(t, node.Mine(1))
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
	require.Len(t, blocks, 4)
	for _, block := range blocks {
		code, _, _ := strings.Cut(block, "```")
		code = strings.ReplaceAll(code, "v *Validator", "v *ownValidator")
		require.Contains(t, flat(string(source)), flat(code))
	}
}

func TestTheCodeOfTheDocsWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		s.node.SetStake(netuid, 0, 1000e9)
		setter, err := weights.NewSetter(s.validator, s.scores.Source(), weights.Epoch{Before: 20})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var v ownValidator
		done := make(chan error, 1)
		go func() { done <- followByHand(ctx, s.client, s.validator, s.scores, setter, &v) }()
		blocks(5)
		require.ErrorIs(t, dryRun(ctx, s.validator, s.scores), weights.ErrNoScores)
		_, err = s.scores.Update(weights.RoundOf(organic.NewSample("Peru?")), organic.Rewards{2: 1})
		require.NoError(t, err)
		require.NoError(t, dryRun(ctx, s.validator, s.scores))
		blocks(25)
		cancel()
		require.NoError(t, <-done)
		require.Equal(t, []keys.Hotkey{s.validator.Hotkey()}, v.allowed.hotkeys)
		require.Empty(t, *v.miners.Load(), "the only axon is a validator's")
		require.Greater(t, v.steps.Load(), int64(25))
		require.Positive(t, setter.Status().Sets)
	})
}
