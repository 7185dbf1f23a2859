package subtensor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// A process ends at any moment after the report. Another one finds out what has become of it.
func TestAnotherProcessFollowsASubmission(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5))
		storage("CommitRevealWeightsEnabled", false, netuid)(t, node)
		blocks(5)
		ctx, cancel := context.WithCancel(t.Context())
		s := set(ctx, v, good)
		synctest.Wait()
		cancel()
		_, err := s.wait(t)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, weights.Submitted, s.submission.State)

		other := alice(t, dial(t, node))
		require.Equal(t, weights.Submitted, follow(t, other, s.reports[0]).State)
		blocks(30)
		found := follow(t, other, s.reports[0])
		require.Equal(t, weights.Included, found.State)
		require.Equal(t, uint64(6), found.Block)
		blocks(300) // the states of the block are gone
		require.Equal(t, found, follow(t, other, found))
		late := follow(t, other, s.reports[0])
		require.Equal(t, weights.Included, late.State)
		require.Contains(t, late.Evidence, "LastUpdate is block 6")
	})
}

func TestAFailureInABlockIsFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		v := alice(t, client)
		node.FailDispatch("MaxWeightExceeded")
		s := set(t.Context(), v, good)
		mineUntil(t, node, s, 3)
		_, err := s.wait(t)
		require.ErrorIs(t, err, weights.ErrVector)
		followed := follow(t, v, s.reports[0])
		require.Equal(t, weights.Lost, followed.State)
		require.Contains(t, followed.Reason, "MaxWeightExceeded")
		node.Prune()
		require.NoError(t, node.Mine(1))
		followed = follow(t, v, s.reports[0])
		require.Equal(t, weights.Lost, followed.State, "also when the events are gone")
	})
}

func TestAReorganizationSendsASubmissionBack(t *testing.T) {
	t.Parallel()
	for _, forget := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			node, client := withSubnet(t, subnetOf(t, 5))
			v := alice(t, client)
			s := set(t.Context(), v, good)
			synctest.Wait()
			require.NoError(t, node.Mine(1))
			included, err := s.wait(t)
			require.NoError(t, err)
			node.Hold(true)
			require.NoError(t, node.Reorg(1, 2, forget))
			back := follow(t, v, included)
			require.Equal(t, weights.Submitted, back.State)
			require.Empty(t, back.BlockHash)
			node.Hold(false)
			require.NoError(t, node.Mine(70))
			again := follow(t, v, back)
			if forget {
				require.Equal(t, weights.Lost, again.State)
				return
			}
			require.Equal(t, weights.Included, again.State)
			require.Equal(t, uint64(203), again.Block)
		})
	}
}

// A reorganization while SetWeights looks: the branch that wins is looked through again.
func TestAReorganizationDuringTheSearch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		node.Hold(true)
		s := set(t.Context(), alice(t, client), good)
		synctest.Wait()
		for range 5 {
			require.NoError(t, node.Mine(1))
			synctest.Wait()
		}
		node.Hold(false)
		require.NoError(t, node.Reorg(3, 3, false))
		submission, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, weights.Included, submission.State)
		require.Equal(t, uint64(203), submission.Block, "the first block of the new branch")
	})
}

func TestFinalityIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{FinalityLag: 4})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 5)))
		require.NoError(t, node.Mine(50))
		v := alice(t, dial(t, node), subtensor.WithFinality())
		s := set(t.Context(), v, good)
		synctest.Wait()
		for range 4 {
			require.NoError(t, node.Mine(1))
			synctest.Wait()
			require.Len(t, s.reports, 1)
		}
		require.NoError(t, node.Mine(1))
		submission, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, uint64(51), submission.Block)
		require.Equal(t, uint64(55), node.Height())
	})
}

func TestDuplicateNotificationsAreNoHeights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		node.Duplicate(true)
		require.NoError(t, node.Mine(10))
		heights := countHeights(t, dial(t, node))
		synctest.Wait()
		for range 5 {
			require.NoError(t, node.Mine(1))
			synctest.Wait()
		}
		require.NoError(t, node.Reorg(2, 1, true)) // lower than before
		require.NoError(t, node.Mine(3))
		synctest.Wait()
		require.Equal(t, []uint64{10, 11, 12, 13, 14, 15, 16, 17}, heights())
	})
}

func TestHeightsOfAnOutageAreCaughtUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		heights := countHeights(t, dial(t, node))
		synctest.Wait()
		node.Refuse(503)
		node.Drop()
		synctest.Wait()
		require.NoError(t, node.Mine(6))
		node.Refuse(0)
		time.Sleep(2 * time.Minute)
		require.NoError(t, node.Mine(1))
		synctest.Wait()
		require.Equal(t, []uint64{0, 1, 2, 3, 4, 5, 6, 7}, heights())
	})
}

// countHeights collects the heights of a client until the test ends.
func countHeights(t *testing.T, client *subtensor.Client) (heights func() []uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var seen []uint64
	go func() { done <- client.EachBlock(ctx, func(height uint64) { seen = append(seen, height) }) }()
	return func() []uint64 {
		cancel()
		require.NoError(t, <-done)
		return seen
	}
}

func TestHeadsEndWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		client := dial(t, node)
		done := make(chan error, 1)
		go func() { done <- client.EachBlock(t.Context(), func(uint64) {}) }()
		synctest.Wait()
		client.Close()
		require.ErrorIs(t, <-done, subtensor.ErrClosed)
		_, err := client.Metagraph(t.Context(), netuid)
		require.ErrorIs(t, err, subtensor.ErrClosed)
	})
}
