package subtensor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

const blockTime = 12 * time.Second

// timelocked starts a node that makes blocks by the clock and has a subnet with timelocked weights:
// an epoch has 20 blocks, and the first one begins at block 20. It is called in a bubble of
// simulated time and moves that to the year 2026.
func timelocked(t *testing.T, subnet subtensortest.Subnet) (*subtensortest.Node,
	*subtensor.Validator,
) {
	t.Helper()
	time.Sleep(time.Until(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)))
	beacon, err := subtensortest.NewBeacon("a test")
	require.NoError(t, err)
	node := newNode(t, subtensortest.Config{Clock: true, Pulses: beacon, PoolChecksOff: true})
	subnet.CommitReveal = true
	require.NoError(t, node.AddSubnet(netuid, subnet))
	return node, alice(t, dial(t, node), subtensor.WithBeacon(beacon.Public()))
}

// blocks lets so many blocks pass.
func blocks(n int) {
	time.Sleep(time.Duration(n) * blockTime)
	synctest.Wait()
}

func follow(t *testing.T, v *subtensor.Validator, s weights.Submission) weights.Submission {
	t.Helper()
	followed, err := v.Follow(t.Context(), s)
	require.NoError(t, err)
	return followed
}

func TestTimelockedWeightsAreCommittedAndRevealed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5))
		blocks(25)
		s := set(t.Context(), v, good)
		blocks(1)
		committed, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, weights.Committed, committed.State)
		require.True(t, committed.Timelocked())
		require.Equal(t, uint64(26), committed.Block)
		require.Equal(t, uint64(40), committed.RevealBlock)
		require.Equal(t, s.reports[0].Commit, committed.Commit, "known before it was sent")
		position, err := v.Position(t.Context())
		require.NoError(t, err)
		require.Equal(t, uint64(26), position.LastUpdate)
		require.Equal(t, uint64(40), position.NextEpoch)

		for node.Height() < 42 {
			require.Equal(t, committed, follow(t, v, committed))
			blocks(1)
		}
		blocks(3)
		revealed := follow(t, v, committed)
		require.Equal(t, weights.Revealed, revealed.State)
		require.GreaterOrEqual(t, revealed.RevealedIn, uint64(40))
		require.LessOrEqual(t, revealed.RevealedIn, node.Height())
		require.Contains(t, revealed.Evidence, "TimelockedWeightsRevealed")
		require.Equal(t, revealed, follow(t, v, revealed))
	})
}

// A commit that cannot be used leaves no trace on the chain but its absence.
func TestACommitWhoseRevealFailsIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5))
		blocks(25)
		s := set(t.Context(), v, good)
		blocks(1)
		committed, err := s.wait(t)
		require.NoError(t, err)
		node.LoseReveals(1)
		blocks(25)
		lost := follow(t, v, committed)
		require.Equal(t, weights.Lost, lost.State)
		require.Contains(t, lost.Reason, "not set its weights")
		require.Equal(t, lost, follow(t, v, lost))
	})
}

// Two commits of one epoch are revealed in one block; one of them fails.
func TestOfTwoCommitsTheFailedOneIsTold(t *testing.T) {
	t.Parallel()
	subnet := subnetOf(t, 5)
	subnet.RateLimit = 2
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnet)
		blocks(25)
		first := set(t.Context(), v, vectorOf(1, 65535))
		blocks(3)
		second := set(t.Context(), v, vectorOf(2, 65535))
		blocks(1)
		one, err := first.wait(t)
		require.NoError(t, err)
		two, err := second.wait(t)
		require.NoError(t, err)
		node.LoseReveals(1)
		blocks(25)
		require.Equal(t, weights.Lost, follow(t, v, one).State)
		require.Equal(t, weights.Revealed, follow(t, v, two).State)
	})
}

// The states of the blocks between are gone: what is left is the weights.
func TestARevealIsSeenInTheWeightsWhenStatesArePruned(t *testing.T) {
	t.Parallel()
	for _, lose := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			node, v := timelocked(t, subnetOf(t, 5))
			blocks(25)
			s := set(t.Context(), v, good)
			blocks(1)
			committed, err := s.wait(t)
			require.NoError(t, err)
			node.LoseReveals(lose)
			blocks(40)
			node.Prune()
			followed := follow(t, v, committed)
			if lose > 0 {
				require.Equal(t, weights.Lost, followed.State)
				return
			}
			require.Equal(t, weights.Revealed, followed.State)
			require.Contains(t, followed.Evidence, "the weights in block")
		})
	}
}

func TestCommitsOfASecondMechanism(t *testing.T) {
	t.Parallel()
	subnet := subnetOf(t, 5)
	subnet.Mechanisms = 3
	synctest.Test(t, func(t *testing.T) {
		node, _ := timelocked(t, subnet)
		beacon, err := subtensortest.NewBeacon("a test")
		require.NoError(t, err)
		client := dial(t, node)
		v := alice(t, client, subtensor.WithBeacon(beacon.Public()), subtensor.WithMechanism(2))
		blocks(25)
		s := set(t.Context(), v, good)
		blocks(1)
		committed, err := s.wait(t)
		require.NoError(t, err)
		blocks(25)
		require.Equal(t, weights.Revealed, follow(t, v, committed).State)
		rows, err := client.Weights(t.Context(), netuid, 2)
		require.NoError(t, err)
		require.Equal(t, map[organic.UID][]subtensor.Weight{0: {{1, 65535}, {4, 100}}}, rows)
		rows, err = client.Weights(t.Context(), netuid, 0)
		require.NoError(t, err)
		require.Empty(t, rows)
	})
}

// The chain drops a commit in silence where it would refuse plain weights, so that all its checks
// are made before.
func TestPreflightOfTimelockedWeightsMakesAllChecks(t *testing.T) {
	t.Parallel()
	for _, tt := range refusals() {
		if tt.name == "SettingWeightsTooFast" {
			tt.name, tt.change = "CommittingWeightsTooFast", storage("LastUpdate", []uint64{20}, netuid)
			tt.blocks = 94
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, _ := timelocked(t, subnetOf(t, 5))
				blocks(25)
				tt.change(t, node)
				_, err := set(t.Context(), alice(t, dial(t, node), tt.options...), good).wait(t)
				requireRefusal(t, tt, err)
				require.NotContains(t, node.Requests(), submitMethod)
			})
		})
	}
}

func TestTooManyCommitsWaitForTheNextEpoch(t *testing.T) {
	t.Parallel()
	subnet := subnetOf(t, 5)
	subnet.RateLimit = 0
	synctest.Test(t, func(t *testing.T) {
		_, v := timelocked(t, subnet)
		blocks(21)
		for range 10 {
			s := set(t.Context(), v, good)
			blocks(1)
			_, err := s.wait(t)
			require.NoError(t, err)
		}
		_, err := set(t.Context(), v, good).wait(t)
		requireRefusal(t, refusal{
			name: "TooManyUnrevealedCommits", kind: weights.ErrTooSoon,
			blocks: 8,
		}, err)
		blocks(8) // the next block begins the epoch
		s := set(t.Context(), v, good)
		blocks(1)
		committed, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, uint64(40), committed.Block)
		require.Equal(t, uint64(60), committed.RevealBlock)
	})
}

func TestAnotherCommitVersionIsNotSupported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5))
		require.NoError(t, node.Set("SubtensorModule.CommitRevealWeightsVersion", 5))
		_, err := set(t.Context(), v, good).wait(t)
		require.ErrorIs(t, err, weights.ErrUnsupported)
		require.ErrorContains(t, err, "the chain asks for version 5, 4 is supported")
		require.NotContains(t, node.Requests(), submitMethod)
	})
}

// A runtime before spec version 424 has another schedule of epochs, in which the reveal round
// cannot be computed, and one without the stake threshold would drop the commit in silence.
func TestARuntimeWithoutWhatACommitNeedsIsNotSupported(t *testing.T) {
	t.Parallel()
	for _, item := range []string{"SubtensorModule.LastEpochBlock", "SubtensorModule.StakeThreshold"} {
		runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Without: []string{item}})
		require.NoError(t, err)
		synctest.Test(t, func(t *testing.T) {
			node := newNode(t, subtensortest.Config{Runtime: runtime})
			subnet := subnetOf(t, 5)
			subnet.CommitReveal = true
			require.NoError(t, node.AddSubnet(netuid, subnet))
			client := dial(t, node)
			_, err := set(t.Context(), alice(t, client), good).wait(t)
			require.ErrorIs(t, err, weights.ErrUnsupported)
			require.ErrorContains(t, err, item)
			if item == "SubtensorModule.LastEpochBlock" {
				_, err = client.EpochSchedule(t.Context(), netuid)
				require.ErrorContains(t, err, item)
			}
		})
	}
}

// A clock that is slow makes rounds that are published already; the chain would refuse them.
func TestAWrongClockIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5))
		blocks(25)
		var last uint64
		require.NoError(t, node.Get(&last, "Drand.LastStoredRound"))
		ahead := 20 * time.Minute
		require.NoError(t, node.Set("Drand.LastStoredRound", last+400))
		require.NoError(t, node.Set("Timestamp.Now", uint64(time.Now().Add(ahead).UnixMilli())))
		_, err := set(t.Context(), v, good).wait(t)
		require.ErrorIs(t, err, weights.ErrClock)
		require.ErrorContains(t, err, "this machine's clock is -20m0s ahead")
		require.NotContains(t, node.Requests(), submitMethod)
	})
}

// The subnet changes between plain and timelocked weights while an extrinsic is on its way: the
// other kind is sent, once.
func TestTheOtherPathIsTakenWhenTheSubnetHasChanged(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{
		"CommitRevealEnabled":  false,
		"CommitRevealDisabled": true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, v := timelocked(t, subnetOf(t, 5))
				blocks(25)
				storage("CommitRevealWeightsEnabled", before, netuid)(t, node)
				s := set(t.Context(), v, good)
				synctest.Wait()
				storage("CommitRevealWeightsEnabled", !before, netuid)(t, node)
				blocks(2)
				submission, err := s.wait(t)
				require.NoError(t, err)
				require.Equal(t, !before, submission.Timelocked())
				require.Equal(t, 2, count(node.Requests(), submitMethod))
				require.Len(t, s.reports, 4)
				require.Equal(t, weights.Lost, s.reports[1].State)
			})
		})
	}
	t.Run("not a second time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			node, v := timelocked(t, subnetOf(t, 5))
			node.FailDispatch("CommitRevealDisabled", "CommitRevealDisabled", "CommitRevealDisabled")
			s := set(t.Context(), v, good)
			blocks(5)
			_, err := s.wait(t)
			require.ErrorIs(t, err, weights.ErrRefused)
			require.Equal(t, 2, count(node.Requests(), submitMethod))
		})
	})
}

// The round came too late in its block: it is computed again from a fresh state, once.
func TestARevealRoundThatCameTooLateIsComputedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5))
		node.FailDispatch("InvalidRevealRound")
		s := set(t.Context(), v, good)
		blocks(3)
		submission, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, weights.Committed, submission.State)
		node.FailDispatch("InvalidRevealRound", "InvalidRevealRound")
		blocks(100)
		s = set(t.Context(), v, good)
		blocks(3)
		_, err = s.wait(t)
		require.ErrorIs(t, err, weights.ErrClock)
	})
}

func TestWeightsThatDoNotFitACommitAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 1300))
		var vector weights.Vector
		for uid := range 1178 {
			vector.UIDs = append(vector.UIDs, organic.UID(uid))
			vector.Weights = append(vector.Weights, 1)
		}
		_, err := set(t.Context(), v, vector).wait(t)
		require.ErrorIs(t, err, weights.ErrVector)
		require.NotContains(t, node.Requests(), submitMethod)
	})
}

// A clock that is fast by more than an epoch makes rounds that are not published when the chain
// reveals: the commit would be lost in silence.
func TestAClockThatIsFastByAnEpochIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, v := timelocked(t, subnetOf(t, 5)) // an epoch takes 4 minutes
		blocks(25)
		fast := 5 * time.Minute
		require.NoError(t, node.Set("Timestamp.Now", uint64(time.Now().Add(-fast).UnixMilli())))
		_, err := set(t.Context(), v, good).wait(t)
		require.ErrorIs(t, err, weights.ErrClock)
		require.ErrorContains(t, err, "this machine's clock is 5m0s ahead")
		require.NotContains(t, node.Requests(), submitMethod)
	})
}
