package subtensor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

func TestDryRunTellsWhatWouldBeSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5))
		storage("WeightsVersionKey", 77, netuid)(t, node)
		blocks(25)
		time.Sleep(5 * time.Second)
		plan, err := v.DryRun(t.Context(), good)
		require.NoError(t, err)
		require.Equal(t, uint64(25), plan.Block)
		require.Equal(t, uint16(0), plan.UID)
		require.Equal(t, uint64(77), plan.VersionKey)
		require.True(t, plan.Timelocked)
		require.Equal(t, uint64(40), plan.RevealBlock)
		require.NotZero(t, plan.RevealRound)
		require.Equal(t, 5*time.Second, plan.ClockOffset)

		storage("CommitRevealWeightsEnabled", false, netuid)(t, node)
		plan, err = v.DryRun(t.Context(), good)
		require.NoError(t, err)
		require.False(t, plan.Timelocked)
		require.Zero(t, plan.RevealBlock)
		require.NotContains(t, node.Requests(), submitMethod)
		require.Zero(t, node.Pending())
	})
}

func TestDryRunMakesAllChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, client := withSubnet(t, subnetOf(t, 5))
				tt.change(t, node)
				_, err := alice(t, client, tt.options...).DryRun(t.Context(), good)
				requireRefusal(t, tt, err)
				require.NotContains(t, node.Requests(), submitMethod)
			})
		})
	}
}

// The runtime's own check of a transaction sees what the preflight does not: here, a stake that was
// moved between the two.
func TestDryRunAsksTheRuntime(t *testing.T) {
	t.Parallel()
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{
		Without: []string{"SubnetInfoRuntimeApi_get_selective_metagraph"},
	})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{Runtime: runtime})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 5)))
		require.NoError(t, node.Mine(20))
		v := alice(t, dial(t, node))
		_, err := v.DryRun(t.Context(), good)
		require.NoError(t, err)
		// Plain weights do without the stake where it cannot be read.
		storage("StakeThreshold", 5000)(t, node)
		_, err = v.DryRun(t.Context(), good)
		require.ErrorIs(t, err, weights.ErrNoStake)
		var refusal *weights.ChainError
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, "StakeAmountTooLow", refusal.Name)
		require.NotContains(t, node.Requests(), submitMethod)
	})
}
