package subtensor_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// settersDay is a day of a weights.Setter over a fake node, which makes a block every 12 seconds.
type settersDay struct {
	node   *subtensortest.Node
	setter *weights.Setter
}

// inSettersDay starts all of it in a bubble of simulated time, until the test ends.
func inSettersDay(t *testing.T, subnet subtensortest.Subnet,
	schedule weights.Schedule,
) *settersDay {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)))
	beacon, err := subtensortest.NewBeacon("a day")
	require.NoError(t, err)
	node := newNode(t, subtensortest.Config{Clock: true, Pulses: beacon, States: 10000})
	require.NoError(t, node.AddSubnet(netuid, subnet))
	blocks(3)
	client := dial(t, node)
	v := alice(t, client, subtensor.WithBeacon(beacon.Public()))
	source := func(context.Context) (weights.Vector, error) {
		vector := good
		vector.Path = weights.Normal
		return vector, nil
	}
	setter, err := weights.NewSetter(v, source, schedule)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = setter.Run(ctx) })
	running.Go(func() { _ = client.EachBlock(ctx, setter.Block) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return &settersDay{node: node, setter: setter}
}

// events returns the heights of the blocks that have an event of the name.
func (d *settersDay) events(t *testing.T, name string) (heights []uint64) {
	t.Helper()
	for height := uint64(1); height <= d.node.Height(); height++ {
		events, err := d.node.Events(height)
		require.NoError(t, err)
		for _, event := range events {
			if event.Is("SubtensorModule", name) {
				heights = append(heights, height)
			}
		}
	}
	return heights
}

func TestSetterSetsTimelockedWeightsOnceInEachEpoch(t *testing.T) {
	t.Parallel()
	subnet := subnetOf(t, 5)
	subnet.CommitReveal, subnet.Tempo, subnet.RateLimit = true, 100, 20
	synctest.Test(t, func(t *testing.T) {
		d := inSettersDay(t, subnet, weights.Epoch{Before: 20})
		d.node.Inject(subtensortest.Fault{Skip: 400, Action: subtensortest.DropAfter, Times: 3})
		blocks(2500)
		status := d.setter.Status()
		require.NoError(t, status.Err)
		committed := d.events(t, "TimelockedWeightsCommitted")
		require.GreaterOrEqual(t, len(committed), 24)
		for i, height := range committed {
			require.GreaterOrEqual(t, height%100, uint64(80), "near the end of the epoch")
			if i > 0 {
				require.Greater(t, height/100, committed[i-1]/100, "once in an epoch")
			}
		}
		require.Len(t, d.events(t, "TimelockedWeightsRevealed"), status.Sets)
		require.Len(t, committed, status.Sets+len(status.Pending))
		require.Zero(t, status.Lost)
	})
}

func TestSetterCountsRevealsThatFailed(t *testing.T) {
	t.Parallel()
	subnet := subnetOf(t, 5)
	subnet.CommitReveal, subnet.Tempo, subnet.RateLimit = true, 100, 20
	synctest.Test(t, func(t *testing.T) {
		d := inSettersDay(t, subnet, weights.Epoch{Before: 20})
		d.node.LoseReveals(3)
		blocks(1000)
		status := d.setter.Status()
		require.Equal(t, 3, status.Lost)
		require.Len(t, d.events(t, "TimelockedWeightsRevealed"), status.Sets)
		require.Greater(t, status.Sets, 4)
	})
}

func TestSetterSetsPlainWeightsByTheRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := inSettersDay(t, subnetOf(t, 5), weights.Blocks{Every: 50})
		blocks(2000)
		status := d.setter.Status()
		set := d.events(t, "WeightsSet")
		require.Len(t, set, status.Sets)
		require.GreaterOrEqual(t, len(set), 19)
		for i := range set[1:] {
			require.GreaterOrEqual(t, set[i+1]-set[i], uint64(100), "the limit of the chain")
		}
	})
}

func TestSetterStopsWhenItsHotkeyIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := inSettersDay(t, subnetOf(t, 5), weights.Blocks{Every: 50})
		blocks(10)
		require.Equal(t, 1, d.setter.Status().Sets)
		hotkey := [32]byte(keypair(t, "//Alice").Hotkey())
		require.NoError(t, d.node.Remove("SubtensorModule.Uids", netuid, hotkey))
		blocks(200)
		require.ErrorIs(t, d.setter.Status().Err, weights.ErrNotRegistered)
		require.NoError(t, d.node.Set("SubtensorModule.Uids", 0, netuid, keys.Hotkey(hotkey)))
		d.setter.Recheck()
		blocks(10)
		require.Equal(t, 2, d.setter.Status().Sets)
		require.NoError(t, d.setter.Status().Err)
	})
}
