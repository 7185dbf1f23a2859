package subtensor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// chaos makes a fault at random until ctx ends.
func (s *submissionTest) chaos(ctx context.Context, t *testing.T, random *rand.Rand) {
	t.Helper()
	spec := uint32(425)
	for ctx.Err() == nil {
		switch random.IntN(8) {
		case 0:
			s.node.Drop()
		case 1:
			require.NoError(t, s.node.Reorg(1+random.IntN(4), 1+random.IntN(5), false))
		case 2:
			s.node.Stall()
			time.Sleep(time.Duration(random.IntN(90)) * time.Second)
			s.node.Resume()
		case 3:
			s.node.Refuse(http.StatusTooManyRequests)
			s.node.Drop()
			time.Sleep(time.Duration(random.IntN(90)) * time.Second)
			s.node.Refuse(0)
		case 4:
			spec++
			runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{
				Spec: spec, Shift: uint8(spec % 32),
			})
			require.NoError(t, err)
			s.node.Upgrade(runtime)
		case 5:
			s.node.Inject(subtensortest.Fault{
				Action: subtensortest.Fail, Error: `{"code":-32999,"message":"Rate limit exceeded"}`,
			})
		case 6:
			s.node.Inject(subtensortest.Fault{Skip: random.IntN(10), Action: subtensortest.DropAfter})
		case 7:
			s.node.Duplicate(random.IntN(2) == 0)
		}
		select {
		case <-time.After(time.Duration(random.IntN(60)) * time.Second):
		case <-ctx.Done():
		}
	}
}

// settle follows a submission until it is final, with its last report if it was not returned.
func (s *submissionTest) settle(
	t *testing.T,
	client *subtensor.Client,
	submission weights.Submission,
) weights.Submission {
	t.Helper()
	if submission.State == weights.None && len(s.reports) > 0 {
		submission = s.reports[len(s.reports)-1]
	}
	v := alice(t, client, subtensor.WithBeacon(s.beacon.Public()))
	var err error
	for range 3 { // a reorganization can send it back
		submission, err = v.Follow(t.Context(), submission)
		require.NoError(t, err)
	}
	return submission
}

func TestSubmissionSurvivesFaultsOfAllKinds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSubmissionTest(t, seed%2 == 0)
				client := dial(t, s.node)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var tasks sync.WaitGroup
				tasks.Go(func() { s.chaos(ctx, t, rand.New(rand.NewPCG(seed, 7))) })
				submission, err := s.set(t.Context(), t, client)
				if err != nil {
					require.ErrorIs(t, err, weights.ErrRetry)
				}
				time.Sleep(5 * time.Minute)
				cancel()
				tasks.Wait()
				s.node.Duplicate(false)
				time.Sleep(20 * time.Minute) // the era ends, and a commit is revealed
				s.agrees(t, s.settle(t, client, submission))
			})
		})
	}
}
