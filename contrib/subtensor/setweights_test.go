package subtensor_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// netuid is the subnet of the tests.
const netuid = 7

// keypair derives a key from the public phrase for tests.
func keypair(t *testing.T, uri string) *keys.Keypair {
	t.Helper()
	key, err := keys.FromURI(uri, keys.SR25519)
	require.NoError(t, err)
	return key
}

// subnetOf is a subnet whose UID 0 is the validator //Alice, followed by so many miners.
func subnetOf(t *testing.T, miners int) subtensortest.Subnet {
	t.Helper()
	subnet := subtensortest.Subnet{
		Neurons: []subtensortest.Neuron{{
			Hotkey: keypair(t, "//Alice").Hotkey(), Stake: 1000,
			Permit: true,
		}},
		RateLimit: 100, Tempo: 20, MinAllowed: 1,
	}
	for i := range miners {
		hotkey := keys.Hotkey{1, byte(i), byte(i >> 8)}
		subnet.Neurons = append(subnet.Neurons, subtensortest.Neuron{Hotkey: hotkey, Stake: 1})
	}
	return subnet
}

// vectorOf is a vector of UIDs and weights in turn.
func vectorOf(uidsAndWeights ...int) weights.Vector {
	var v weights.Vector
	for i := 0; i+1 < len(uidsAndWeights); i += 2 {
		v.UIDs = append(v.UIDs, organic.UID(uidsAndWeights[i]))
		v.Weights = append(v.Weights, uint16(uidsAndWeights[i+1]))
	}
	return v
}

// alice returns the validator //Alice on the subnet.
func alice(t *testing.T, client *subtensor.Client,
	options ...subtensor.ValidatorOption,
) *subtensor.Validator {
	t.Helper()
	v, err := client.Validator(keypair(t, "//Alice"), netuid, options...)
	require.NoError(t, err)
	return v
}

// setting is a SetWeights that runs in a goroutine of its own.
type setting struct {
	reports    []weights.Submission
	submission weights.Submission
	err        error
	done       chan struct{}
}

func set(ctx context.Context, v *subtensor.Validator, vector weights.Vector) *setting {
	s := &setting{done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.submission, s.err = v.SetWeights(ctx, vector, func(report weights.Submission) {
			s.reports = append(s.reports, report)
		})
	}()
	return s
}

// wait waits for the result. Blocks must have been made.
func (s *setting) wait(t *testing.T) (weights.Submission, error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-s.done:
	default:
		require.Fail(t, "SetWeights has not returned")
	}
	return s.submission, s.err
}

// withSubnet starts a node that has the subnet, at block 200, and connects to it. It is called in a
// bubble of simulated time.
func withSubnet(t *testing.T, subnet subtensortest.Subnet) (*subtensortest.Node,
	*subtensor.Client,
) {
	t.Helper()
	node := newNode(t, subtensortest.Config{PoolChecksOff: true})
	require.NoError(t, node.AddSubnet(netuid, subnet))
	require.NoError(t, node.Mine(200))
	return node, dial(t, node)
}

func TestSourceFillsUpToWhatTheSubnetRequires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		subnet := subnetOf(t, 5)
		subnet.MinAllowed = 3
		_, client := withSubnet(t, subnet)
		v := alice(t, client)
		metagraph, err := client.Metagraph(t.Context(), netuid)
		require.NoError(t, err)
		scores, err := weights.NewScores(weights.Window(8, 0), weights.Between(0, 1))
		require.NoError(t, err)
		require.NoError(t, scores.SetMetagraph(metagraph.Weights()))
		source := v.Source(scores, weights.WithTopK(2))
		_, err = source(t.Context())
		require.ErrorIs(t, err, weights.ErrNoScores)

		round := weights.Round{ID: "round", Metagraph: metagraph.Weights()}
		_, err = scores.Update(round, organic.Rewards{1: 1, 2: 0.5, 3: 0.25})
		require.NoError(t, err)
		vector, err := source(t.Context())
		require.NoError(t, err)
		require.Equal(t, vectorOf(1, 65535, 2, 32768).Weights, vector.Weights[:2])
		require.Equal(t, []uint16{0}, vector.Weights[2:])
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = source(cancelled)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestPlainWeightsAreSetAndShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		v := alice(t, client)
		s := set(t.Context(), v, vectorOf(1, 65535, 4, 100))
		synctest.Wait()
		require.Equal(t, 1, node.Pending())
		require.Len(t, s.reports, 1)
		require.Equal(t, weights.Submitted, s.reports[0].State)
		require.Equal(t, uint64(200), s.reports[0].Signed)
		require.Equal(t, uint64(263), s.reports[0].Expires)

		require.NoError(t, node.Mine(1))
		submission, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, weights.Included, submission.State)
		require.Equal(t, uint64(201), submission.Block)
		require.Equal(t, node.Hash().String(), submission.BlockHash)
		require.Equal(t, s.reports[0].Hash, submission.Hash)
		require.Equal(t, vectorOf(1, 65535, 4, 100).Digest(), submission.Digest)
		require.Equal(t, submission, s.reports[1])

		rows, err := client.Weights(t.Context(), netuid, 0)
		require.NoError(t, err)
		require.Equal(t, map[organic.UID][]subtensor.Weight{0: {{1, 65535}, {4, 100}}}, rows)
		position, err := v.Position(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(201), position.LastUpdate)

		again, err := v.Follow(t.Context(), submission)
		require.NoError(t, err)
		require.Equal(t, submission, again)
	})
}
