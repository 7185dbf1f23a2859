package subtensor_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// mineUntil makes blocks until SetWeights has returned, at most so many.
func mineUntil(t *testing.T, node *subtensortest.Node, s *setting, blocks int) {
	t.Helper()
	for range blocks {
		synctest.Wait()
		select {
		case <-s.done:
			return
		default:
			require.NoError(t, node.Mine(1))
		}
	}
}

// Every error that the chain can answer in a block, and what a caller learns from it.
func TestErrorsInABlockAreClassified(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]error{
		"SettingWeightsTooFast":        weights.ErrTooSoon,
		"CommittingWeightsTooFast":     weights.ErrTooSoon,
		"NetworkTxRateLimitExceeded":   weights.ErrTooSoon,
		"TooManyUnrevealedCommits":     weights.ErrTooSoon,
		"HotKeyNotRegisteredInSubNet":  weights.ErrNotRegistered,
		"HotKeyNotRegisteredInNetwork": weights.ErrNotRegistered,
		"NotEnoughStakeToSetWeights":   weights.ErrNoStake,
		"NeuronNoValidatorPermit":      weights.ErrNoPermit,
		"IncorrectWeightVersionKey":    weights.ErrVersionKey,
		"IncorrectCommitRevealVersion": weights.ErrUnsupported,
		"WeightVecLengthIsLow":         weights.ErrVector,
		"MaxWeightExceeded":            weights.ErrVector,
		"DuplicateUids":                weights.ErrVector,
		"UidVecContainInvalidOne":      weights.ErrVector,
		"UidsLengthExceedUidsInSubNet": weights.ErrVector,
		"WeightVecNotEqualSize":        weights.ErrVector,
		"MechanismDoesNotExist":        weights.ErrSubnet,
		"SubnetNotExists":              weights.ErrSubnet,
		"CanNotSetRootNetworkWeights":  weights.ErrSubnet,
		"ColdkeySwapAnnounced":         weights.ErrRefused,
		"ColdkeySwapDisputed":          weights.ErrRefused,
		"DisabledTemporarily":          weights.ErrRefused,
		"CallFiltered":                 weights.ErrRefused,
		"BadOrigin":                    weights.ErrRefused,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, client := withSubnet(t, subnetOf(t, 5))
				node.FailDispatch(name)
				s := set(t.Context(), alice(t, client), good)
				mineUntil(t, node, s, 3)
				submission, err := s.wait(t)
				require.ErrorIs(t, err, want)
				require.Equal(t, weights.Lost, submission.State)
				require.Equal(t, 1, count(node.Requests(), submitMethod))
				var refusal *weights.ChainError
				require.ErrorAs(t, err, &refusal)
				require.Equal(t, name, refusal.Name)
				switch name {
				case "CallFiltered":
					require.Equal(t, "System", refusal.Pallet)
				case "BadOrigin":
					require.Empty(t, refusal.Pallet)
				default:
					require.Equal(t, "SubtensorModule", refusal.Pallet)
				}
			})
		})
	}
}

// What the pool of a node answers, with and without codes, and whether something may be on its way
// then.
func TestErrorsOfThePoolAreClassified(t *testing.T) {
	t.Parallel()
	invalid := func(data string) string {
		return fmt.Sprintf(`{"code":1010,"message":"Invalid Transaction","data":%q}`, data)
	}
	for _, tt := range []struct {
		name  string
		error string
		want  error
		tries int
	}{
		{"StakeAmountTooLow", invalid("Custom error: 1"), weights.ErrNoStake, 1},
		{"SubnetNotExists", invalid("Custom error: 3"), weights.ErrSubnet, 1},
		{"RateLimitExceeded", invalid("Custom error: 6"), weights.ErrTooSoon, 1},
		{"HotKeyNotRegisteredInNetwork", invalid("Custom error: 10"), weights.ErrNotRegistered, 1},
		{"InvalidRevealRound", invalid("Custom error: 15"), weights.ErrClock, 2},
		{"UidNotFound", invalid("Custom error: 19"), weights.ErrNotRegistered, 1},
		{"ColdkeyInSwapSchedule", invalid("Custom error: 0"), weights.ErrRefused, 1},
		{"ColdkeySwapDisputed", invalid("Custom error: 21"), weights.ErrRefused, 1},
		{"BadRequest", invalid("Custom error: 255"), weights.ErrRefused, 1},
		{"Custom(77)", invalid("Custom error: 77"), weights.ErrRefused, 1},
		{"BadProof", invalid("Transaction has a bad signature"), weights.ErrRetry, 2},
		{"Stale", invalid("Transaction is outdated"), weights.ErrRetry, 3},
		{"AncientBirthBlock", invalid("Transaction has an ancient birth block"), weights.ErrRetry, 3},
		{"ExhaustsResources", invalid("Transaction would exhaust the block limits"), weights.ErrRetry, 1},
		{"Call", invalid("Transaction call is not expected"), weights.ErrRefused, 1},
		{"BadProof", `{"invalid":{"badProof":null}}`, weights.ErrRetry, 2},
		{"Stale", `{"invalid":{"stale":null}}`, weights.ErrRetry, 3},
		{"RateLimitExceeded", `{"invalid":{"custom":6}}`, weights.ErrTooSoon, 1},
		{"Payment", `{"invalid":{"payment":null}}`, weights.ErrRefused, 1},
		{
			"PriorityTooLow", `{"code":1014,"message":"Priority is too low: (1 vs 1)"}`, weights.ErrRetry,
			3,
		},
		{
			"UnknownValidity", `{"code":1011,"message":"Unknown Transaction Validity"}`, weights.ErrRetry,
			1,
		},
		{"ImmediatelyDropped", `{"code":1016,"message":"Immediately Dropped"}`, weights.ErrRetry, 1},
		{"", `{"code":-32601,"message":"Method not found"}`, weights.ErrRefused, 1},
	} {
		t.Run(tt.name+" "+tt.error[:12], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, client := withSubnet(t, subnetOf(t, 5))
				node.Inject(subtensortest.Fault{
					Method: submitMethod, Action: subtensortest.Fail, Error: tt.error, Times: 99,
				})
				s := set(t.Context(), alice(t, client), good)
				submission, err := s.wait(t)
				require.ErrorIs(t, err, tt.want)
				require.Equal(t, weights.Submission{}, submission, "nothing is on its way")
				require.Equal(t, tt.tries, count(node.Requests(), submitMethod))
				require.Len(t, s.reports, tt.tries, "a submission is reported before it is sent")
				var refusal *weights.ChainError
				require.ErrorAs(t, err, &refusal)
				require.Equal(t, tt.name, refusal.Name)
			})
		})
	}
}

// The pool has banned the extrinsic for a while, or has it already: another one must not be signed.
func TestWhatThePoolHasSeenIsLookedFor(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"code":1012,"message":"Transaction is temporarily banned"}`,
		`{"code":1013,"message":"Transaction is already imported"}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			node, client := withSubnet(t, subnetOf(t, 5))
			node.Inject(subtensortest.Fault{Method: submitMethod, Action: subtensortest.Fail, Error: answer})
			s := set(t.Context(), alice(t, client), good)
			synctest.Wait()
			require.NoError(t, node.Mine(63))
			synctest.Wait()
			select {
			case <-s.done:
				require.Fail(t, "the era has not ended")
			default:
			}
			require.NoError(t, node.Mine(1))
			submission, err := s.wait(t)
			require.ErrorIs(t, err, weights.ErrRetry)
			require.Equal(t, weights.Lost, submission.State)
			require.Equal(t, 1, count(node.Requests(), submitMethod))
		})
	}
}

func TestASecondTryAfterAPassingRefusalSucceeds(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]string{
		"bad signature": `{"code":1010,"message":"Invalid Transaction","data":"Transaction has a bad signature"}`,
		"stale":         `{"code":1010,"message":"Invalid Transaction","data":"Transaction is outdated"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node, client := withSubnet(t, subnetOf(t, 5))
				node.Inject(subtensortest.Fault{Method: submitMethod, Action: subtensortest.Fail, Error: fault})
				s := set(t.Context(), alice(t, client), good)
				synctest.Wait()
				require.NoError(t, node.Mine(1))
				submission, err := s.wait(t)
				require.NoError(t, err)
				require.Equal(t, weights.Included, submission.State)
				require.Equal(t, 2, count(node.Requests(), submitMethod))
			})
		})
	}
}

// Two extrinsics of one key are never on their way: a foreign one in the pool is waited for.
func TestAnExtrinsicThatWaitsInThePoolComesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		node.Hold(true)
		first := set(t.Context(), alice(t, client), good)
		synctest.Wait()
		require.Equal(t, 1, node.Pending())
		other := dial(t, node) // as another process with the same key
		_, err := set(t.Context(), alice(t, other), good).wait(t)
		require.ErrorIs(t, err, weights.ErrRetry)
		require.Equal(t, 1, node.Pending())
		second := set(t.Context(), alice(t, client), good) // in this process it waits its turn
		synctest.Wait()
		node.Hold(false)
		require.NoError(t, node.Mine(1))
		submission, err := first.wait(t)
		require.NoError(t, err)
		require.Equal(t, weights.Included, submission.State)
		_, err = second.wait(t)
		require.ErrorIs(t, err, weights.ErrTooSoon)
	})
}

// A runtime upgrade between signing and inclusion makes the signature bad: the node forgets the
// extrinsic, and that is seen when its era has ended.
func TestAnExtrinsicThatIsNeverIncludedIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		v := alice(t, client)
		s := set(t.Context(), v, good)
		synctest.Wait()
		node.DropPool()
		mineUntil(t, node, s, 70)
		submission, err := s.wait(t)
		require.ErrorIs(t, err, weights.ErrRetry)
		require.Equal(t, weights.Lost, submission.State)
		require.Equal(t, submission.Expires+1, node.Height())
		followed, err := v.Follow(t.Context(), s.reports[0])
		require.NoError(t, err)
		require.Equal(t, weights.Lost, followed.State)
		require.Equal(t, submission.Reason, followed.Reason)
	})
}

// The runtime moves all numbers of calls, events and errors. Signing and reading follow.
func TestARuntimeUpgradeIsFollowed(t *testing.T) {
	t.Parallel()
	next, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{
		Spec: 500, Shift: 9,
		Offers: []uint8{16},
	})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		v := alice(t, client)
		node.Upgrade(next)
		s := set(t.Context(), v, good) // in the very block of the upgrade
		synctest.Wait()
		require.NoError(t, node.Mine(1))
		submission, err := s.wait(t)
		require.NoError(t, err)
		require.Equal(t, uint64(201), submission.Block)

		require.NoError(t, node.Mine(100))
		s = set(t.Context(), v, good)
		synctest.Wait()
		require.NoError(t, node.Mine(1))
		submission, err = s.wait(t)
		require.NoError(t, err)
		require.Equal(t, weights.Included, submission.State)
		node.FailDispatch("MaxWeightExceeded")
		require.NoError(t, node.Mine(100))
		s = set(t.Context(), v, good)
		mineUntil(t, node, s, 2)
		_, err = s.wait(t)
		require.ErrorIs(t, err, weights.ErrVector)
	})
}

func TestAnUnknownSignedExtensionIsRefused(t *testing.T) {
	t.Parallel()
	cfg := subtensortest.RuntimeConfig{Extension: "CheckSomethingNew"}
	runtime, err := subtensortest.NewRuntime(cfg)
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{Runtime: runtime})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 5)))
		_, err := set(t.Context(), alice(t, dial(t, node)), good).wait(t)
		require.ErrorIs(t, err, weights.ErrUnsupported)
		require.ErrorContains(t, err, "CheckSomethingNew")
	})
}

func TestCtxEndsSetWeightsAndTellsThatItMayBeOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node, client := withSubnet(t, subnetOf(t, 5))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		v := alice(t, client)
		s := set(ctx, v, good)
		time.Sleep(time.Minute + time.Second)
		submission, err := s.wait(t)
		require.ErrorIs(t, err, ctx.Err())
		require.Equal(t, weights.Submitted, submission.State)
		require.NoError(t, node.Mine(1))
		submission, err = v.Follow(t.Context(), submission)
		require.NoError(t, err)
		require.Equal(t, weights.Included, submission.State)
	})
}

// Runtimes before mechanisms have the plain calls alone, which set the first mechanism.
func TestARuntimeWithoutMechanismCalls(t *testing.T) {
	t.Parallel()
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{
		Without: []string{
			"SubtensorModule.set_mechanism_weights",
			"SubtensorModule.commit_timelocked_mechanism_weights",
		},
	})
	require.NoError(t, err)
	for _, commitReveal := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			beacon, err := subtensortest.NewBeacon("a test")
			require.NoError(t, err)
			node := newNode(t, subtensortest.Config{Runtime: runtime, Pulses: beacon})
			subnet := subnetOf(t, 5)
			subnet.Mechanisms, subnet.CommitReveal = 2, commitReveal
			require.NoError(t, node.AddSubnet(netuid, subnet))
			client := dial(t, node)
			_, err = set(t.Context(), alice(t, client, subtensor.WithMechanism(1)), good).wait(t)
			require.ErrorIs(t, err, weights.ErrUnsupported)
			require.ErrorContains(t, err, "_mechanism_weights")
			s := set(t.Context(), alice(t, client, subtensor.WithBeacon(beacon.Public())), good)
			mineUntil(t, node, s, 2)
			submission, err := s.wait(t)
			require.NoError(t, err)
			require.Equal(t, commitReveal, submission.State == weights.Committed)
		})
	}
}

func TestANodeThatCannotAnswerIsAPassingFailure(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		"chain_getHeader", "state_queryStorageAt", "state_call", "system_accountNextIndex",
	} {
		synctest.Test(t, func(t *testing.T) {
			node, client := withSubnet(t, subnetOf(t, 5))
			v := alice(t, client)
			node.Inject(subtensortest.Fault{
				Method: method, Action: subtensortest.Fail, Error: `{"code":-32603,"message":"Internal"}`,
			})
			submission, err := set(t.Context(), v, good).wait(t)
			require.ErrorIs(t, err, weights.ErrRetry)
			require.Equal(t, weights.None, submission.State)
			require.NotContains(t, node.Requests(), submitMethod)
		})
	}
}
