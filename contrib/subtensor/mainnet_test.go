package subtensor_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// mainnet returns a runtime with real metadata of mainnet. The files are not part of the
// repository: the test is skipped where they are absent. CHAIN_METADATA names the folder.
func mainnet(t *testing.T, name string, spec uint32) *subtensortest.Runtime {
	t.Helper()
	folder := os.Getenv("CHAIN_METADATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data", "chain", "metadata")
	}
	data, err := os.ReadFile(filepath.Join(folder, name))
	if os.IsNotExist(err) {
		t.Skipf("no %s: CHAIN_METADATA must name a folder that has it", name)
	}
	require.NoError(t, err)
	runtime, err := subtensortest.RuntimeFrom(
		data,
		subtensor.RuntimeVersion{Spec: spec, Transaction: 1},
	)
	require.NoError(t, err)
	return runtime
}

func TestWeightsAreSetByTheMetadataOfMainnet(t *testing.T) {
	t.Parallel()
	runtime := mainnet(t, "finney-424-v16.scale", 424)
	for name, timelocked := range map[string]bool{"plain": false, "timelocked": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				beacon, err := subtensortest.NewBeacon("mainnet")
				require.NoError(t, err)
				node := newNode(t, subtensortest.Config{Runtime: runtime, Clock: true, Pulses: beacon})
				subnet := subnetOf(t, 3)
				subnet.CommitReveal = timelocked
				require.NoError(t, node.AddSubnet(netuid, subnet))
				client := dial(t, node)
				v := alice(t, client, subtensor.WithBeacon(beacon.Public()))

				metagraph, err := client.Metagraph(t.Context(), netuid)
				require.NoError(t, err)
				require.Len(t, metagraph.Neurons, 4)
				require.True(t, metagraph.Neurons[0].Permit)
				submission, err := v.SetWeights(
					t.Context(),
					vectorOf(1, 65535, 2, 7),
					func(weights.Submission) {},
				)
				require.NoError(t, err)
				require.Equal(t, timelocked, submission.State == weights.Committed)
				time.Sleep(10 * time.Minute) // to the reveal
				submission, err = v.Follow(t.Context(), submission)
				require.NoError(t, err)
				require.True(t, submission.State.Set(), submission.Reason)
				rows, err := client.Weights(t.Context(), netuid, 0)
				require.NoError(t, err)
				require.Equal(t, map[organic.UID][]subtensor.Weight{0: {{1, 65535}, {2, 7}}}, rows)
			})
		})
	}
}

func TestUpgradeBetweenRuntimesOfMainnet(t *testing.T) {
	t.Parallel()
	older, newer := mainnet(t, "finney-365-v16.scale", 365), mainnet(t, "finney-424-v16.scale", 424)
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{Runtime: older, Clock: true})
		subnet := subnetOf(t, 3)
		subnet.RateLimit = 0
		require.NoError(t, node.AddSubnet(netuid, subnet))
		client := dial(t, node)
		v := alice(t, client)
		set := func() {
			submission, err := v.SetWeights(t.Context(), vectorOf(1, 65535), func(weights.Submission) {})
			require.NoError(t, err)
			require.Equal(t, weights.Included, submission.State)
		}
		set()
		node.Upgrade(newer)
		set() // signed for the older runtime, or, after the upgrade, for the newer one
		set()
		require.EqualValues(t, 424, client.Stats().Version.Spec)
	})
}
