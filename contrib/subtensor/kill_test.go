package subtensor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// submissionTest is one SetWeights against a node that makes a block every 12 seconds.
type submissionTest struct {
	timelocked bool
	node       *subtensortest.Node
	beacon     *subtensortest.Beacon
	reports    []weights.Submission
}

// newSubmissionTest starts the node. It must be called in a bubble.
func newSubmissionTest(t *testing.T, timelocked bool) *submissionTest {
	t.Helper()
	beacon, err := subtensortest.NewBeacon("kill")
	require.NoError(t, err)
	node := newNode(t, subtensortest.Config{Clock: true, Pulses: beacon})
	subnet := subnetOf(t, 3)
	subnet.CommitReveal = timelocked
	require.NoError(t, node.AddSubnet(netuid, subnet))
	time.Sleep(time.Minute)
	return &submissionTest{timelocked: timelocked, node: node, beacon: beacon}
}

func (s *submissionTest) set(
	ctx context.Context,
	t *testing.T,
	client *subtensor.Client,
) (weights.Submission, error) {
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
	require.True(t, slices.ContainsFunc(s.reports, func(report weights.Submission) bool {
		return report.State == weights.Submitted && report.Hash == submission.Hash
	}), "the report comes before the extrinsic")
	if s.timelocked {
		require.Contains(
			t,
			[]weights.State{weights.Committed, weights.Revealed},
			submission.State,
			submission.Reason,
		)
	} else {
		require.Equal(t, weights.Included, submission.State)
	}
}

// step is a request of a submission.
type step struct {
	timelocked bool
	request    int
}

func (s step) String() string {
	return fmt.Sprintf("timelocked %v request %d", s.timelocked, s.request)
}

// steps returns all requests of a submission, plain and timelocked.
func steps(t *testing.T) (all []step) {
	t.Helper()
	for _, timelocked := range []bool{false, true} {
		count := 0
		synctest.Test(t, func(t *testing.T) {
			s := newSubmissionTest(t, timelocked)
			client := dial(t, s.node)
			synctest.Wait()
			before := len(s.node.Requests())
			submission, err := s.set(t.Context(), t, client)
			require.NoError(t, err)
			s.agrees(t, submission)
			count = len(s.node.Requests()) - before
		})
		require.Greater(t, count, 10)
		for request := range count {
			all = append(all, step{timelocked, request})
		}
	}
	return all
}

func TestConnectionThatIsLostAtAnyStepCostsNoReport(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]subtensortest.Action{
		"before": subtensortest.DropBefore,
		"after":  subtensortest.DropAfter,
		"silent": subtensortest.Swallow,
	} {
		for _, step := range steps(t) {
			t.Run(name+" "+step.String(), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newSubmissionTest(t, step.timelocked)
					client := dial(t, s.node)
					synctest.Wait()
					s.node.Inject(subtensortest.Fault{Skip: step.request, Action: action})
					submission, err := s.set(t.Context(), t, client)
					if err != nil {
						require.ErrorIs(t, err, weights.ErrRetry)
					}
					s.agrees(t, submission)
				})
			})
		}
	}
}

func TestProcessThatEndsAtAnyStepLeavesASubmissionToFollow(t *testing.T) {
	t.Parallel()
	for _, step := range steps(t) {
		t.Run(step.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSubmissionTest(t, step.timelocked)
				s.endProcess(t, step.request)
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
		})
	}
}

// endProcess sets weights and ends with the connection, which is lost at a request.
func (s *submissionTest) endProcess(t *testing.T, request int) {
	t.Helper()
	client := dial(t, s.node)
	synctest.Wait()
	s.node.Inject(subtensortest.Fault{Skip: request, Action: subtensortest.DropAfter})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil && client.Stats().Endpoint != "" {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, _ = s.set(ctx, t, client)
	client.Close()
}

func TestManyLostConnectionsCostNoReport(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			synctest.Test(t, func(t *testing.T) {
				s := newSubmissionTest(t, seed%2 == 0)
				client := dial(t, s.node)
				for range 4 {
					fault := subtensortest.Fault{Skip: random.IntN(25), Action: subtensortest.DropBefore}
					if random.IntN(2) == 0 {
						fault.Action = subtensortest.DropAfter
					}
					s.node.Inject(fault)
				}
				submission, err := s.set(t.Context(), t, client)
				if err != nil {
					require.ErrorIs(t, err, weights.ErrRetry)
				}
				s.agrees(t, submission)
			})
		})
	}
}
