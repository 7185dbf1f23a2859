package subtensor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
	"github.com/organic-scoring/organic/contrib/weights"
)

// submissionTest is one SetWeights against a node that makes a block every 12 seconds.
type submissionTest struct {
	timelocked bool
	node       *subtensortest.Node
	beacon     *subtensortest.Beacon
	reports    []weights.Submission
}

// inSubmissionTest runs a test in a bubble.
func inSubmissionTest(t *testing.T, timelocked bool, test func(t *testing.T, s *submissionTest)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		beacon, err := subtensortest.NewBeacon("kill")
		require.NoError(t, err)
		node := newNode(t, subtensortest.Config{Clock: true, Pulses: beacon})
		subnet := subnetOf(t, 3)
		subnet.CommitReveal = timelocked
		require.NoError(t, node.AddSubnet(netuid, subnet))
		time.Sleep(time.Minute)
		test(t, &submissionTest{timelocked: timelocked, node: node, beacon: beacon})
	})
}

func (s *submissionTest) set(t *testing.T, ctx context.Context, client *subtensor.Client) (weights.Submission, error) { //nolint:revive // t comes first
	t.Helper()
	v := alice(t, client, subtensor.WithBeacon(s.beacon.Public()))
	return v.SetWeights(ctx, vectorOf(1, 10, 2, 20), func(report weights.Submission) {
		s.reports = append(s.reports, report)
	})
}

// accepted returns the heights at which the chain has accepted weights or a commit.
func (s *submissionTest) accepted(t *testing.T) (heights []uint64) {
	t.Helper()
	for height := uint64(1); height <= s.node.Height(); height++ {
		events, err := s.node.Events(height)
		require.NoError(t, err)
		for _, event := range events {
			if event.Phase == "ApplyExtrinsic" && (event.Is("SubtensorModule", "WeightsSet") ||
				event.Is("SubtensorModule", "TimelockedWeightsCommitted")) {
				heights = append(heights, height)
			}
		}
	}
	return heights
}

// agrees checks that a submission says what the chain shows, and that the chain has at most one.
func (s *submissionTest) agrees(t *testing.T, submission weights.Submission) {
	t.Helper()
	accepted := s.accepted(t)
	require.LessOrEqual(t, len(accepted), 1, "weights are accepted once")
	if len(accepted) == 0 {
		require.Contains(t, []weights.State{weights.None, weights.Lost}, submission.State)
		return
	}
	require.Equal(t, accepted[0], submission.Block)
	require.NotEmpty(t, s.reports, "the report comes before the extrinsic")
	require.Equal(t, s.reports[0].Hash, submission.Hash)
	if s.timelocked {
		require.Contains(t, []weights.State{weights.Committed, weights.Revealed}, submission.State, submission.Reason)
	} else {
		require.Equal(t, weights.Included, submission.State)
	}
}

// steps returns how many requests a submission makes.
func steps(t *testing.T, timelocked bool) (count int) {
	t.Helper()
	inSubmissionTest(t, timelocked, func(t *testing.T, s *submissionTest) {
		client := dial(t, s.node)
		synctest.Wait()
		before := len(s.node.Requests())
		submission, err := s.set(t, t.Context(), client)
		require.NoError(t, err)
		s.agrees(t, submission)
		count = len(s.node.Requests()) - before
	})
	require.Greater(t, count, 10)
	return count
}

// forEachStep runs a test for each request of a submission, plain and timelocked.
func forEachStep(t *testing.T, test func(t *testing.T, s *submissionTest, step int)) {
	t.Helper()
	for _, timelocked := range []bool{false, true} {
		for step := range steps(t, timelocked) {
			t.Run(fmt.Sprintf("timelocked %v step %d", timelocked, step), func(t *testing.T) {
				t.Parallel()
				inSubmissionTest(t, timelocked, func(t *testing.T, s *submissionTest) { test(t, s, step) })
			})
		}
	}
}

func TestConnectionThatIsLostAtAnyStepCostsNoReport(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]subtensortest.Action{
		"before": subtensortest.DropBefore, "after": subtensortest.DropAfter, "silent": subtensortest.Swallow,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachStep(t, func(t *testing.T, s *submissionTest, step int) {
				client := dial(t, s.node)
				synctest.Wait()
				s.node.Inject(subtensortest.Fault{Skip: step, Action: action})
				submission, err := s.set(t, t.Context(), client)
				if err != nil {
					require.ErrorIs(t, err, weights.ErrRetry)
				}
				s.agrees(t, submission)
			})
		})
	}
}

func TestProcessThatEndsAtAnyStepLeavesASubmissionToFollow(t *testing.T) {
	t.Parallel()
	forEachStep(t, func(t *testing.T, s *submissionTest, step int) {
		first := dial(t, s.node)
		synctest.Wait()
		s.node.Inject(subtensortest.Fault{Skip: step, Action: subtensortest.DropAfter})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for first.Stats().Endpoint != "" {
				time.Sleep(time.Millisecond)
			}
			cancel() // the process ends with its connection
		}()
		_, _ = s.set(t, ctx, first)
		first.Close()
		cancel()

		second := dial(t, s.node)
		time.Sleep(20 * time.Minute) // the era ends
		var submission weights.Submission
		if len(s.reports) > 0 {
			v := alice(t, second, subtensor.WithBeacon(s.beacon.Public()))
			var err error
			submission, err = v.Follow(t.Context(), s.reports[len(s.reports)-1])
			require.NoError(t, err)
		}
		s.agrees(t, submission)
	})
}

func TestManyLostConnectionsCostNoReport(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			inSubmissionTest(t, seed%2 == 0, func(t *testing.T, s *submissionTest) {
				client := dial(t, s.node)
				for range 4 {
					s.node.Inject(subtensortest.Fault{
						Skip:   random.IntN(25),
						Action: []subtensortest.Action{subtensortest.DropBefore, subtensortest.DropAfter}[random.IntN(2)],
					})
				}
				submission, err := s.set(t, t.Context(), client)
				if err != nil {
					require.ErrorIs(t, err, weights.ErrRetry)
				}
				s.agrees(t, submission)
			})
		})
	}
}
