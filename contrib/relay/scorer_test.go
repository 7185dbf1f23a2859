package relay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

type (
	answers   = map[organic.UID]relay.Answer
	liveHooks = organictest.HookFuncs[string, relay.Answer]
)

// validator is a scorer behind a fake axon whose answers come from a relay.
type validator struct {
	axon   *organictest.Axon
	scorer *organic.OrganicScorer[string, relay.Answer]
	relay  *relay.Relay
	asked  func(prompt string) miners

	mu     sync.Mutex
	scored []answers
}

// newValidator lets samples find their answers by ID.
func newValidator(t *testing.T, asked func(prompt string) miners) *validator {
	t.Helper()
	v := &validator{axon: &organictest.Axon{}, asked: asked}
	var err error
	v.relay, err = relay.New()
	require.NoError(t, err)
	v.scorer, err = organic.New(liveHooks{
		OnOrganicEntryFunc: v.entry,
		QueryMinersFunc:    v.query,
		GenerateRewardsFunc: func(
			_ context.Context, _ organic.Sample[string], got answers, _ relay.Answer,
		) (organic.Rewards, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.scored = append(v.scored, got)
			return organic.Rewards{}, nil
		},
	}, organic.WithAxon(v.axon), organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
	require.NoError(t, err)
	require.NoError(t, v.scorer.Start(t.Context()))
	return v
}

func (v *validator) entry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	sample := organic.NewSample(string(synapse.Body))
	err := v.relay.Serve(ctx, w, relay.Query{ID: sample.ID, Miners: v.asked(sample.Payload)})
	if errors.Is(err, relay.ErrNotAsked) {
		return err
	}
	_, enqueueErr := v.scorer.EnqueueSample(context.WithoutCancel(ctx), sample)
	return errors.Join(err, enqueueErr)
}

func (v *validator) query(ctx context.Context, sample organic.Sample[string]) (answers, error) {
	got, err := v.relay.Answers(ctx, sample.ID)
	if errors.Is(err, relay.ErrUnknown) {
		return v.relay.Ask(ctx, relay.Query{Miners: v.asked(sample.Payload)})
	}
	return got, err
}

func (v *validator) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, v.relay.Close(t.Context()))
	require.NoError(t, v.scorer.Drain(t.Context()))
	require.NoError(t, v.scorer.Stop(t.Context()))
}

func TestSamplesFindTheirAnswersByID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := make(map[string]int)
		var mu sync.Mutex
		v := newValidator(t, func(prompt string) miners {
			mu.Lock()
			defer mu.Unlock()
			calls[prompt]++
			return miners{1: says(prompt).ask, 2: says("late ", prompt).every(20 * time.Second).ask}
		})
		var users sync.WaitGroup
		for i := range 20 {
			users.Go(func() {
				status, body := v.axon.Ask(t.Context(), &organic.Synapse{Body: fmt.Append(nil, i)})
				require.Equal(t, http.StatusOK, status)
				require.Equal(t, events(fmt.Sprint(i), "[DONE]"), simplified(string(body)))
			})
		}
		users.Wait()
		time.Sleep(10 * time.Minute)
		v.stop(t)
		require.Len(t, v.scored, 20, "as many as were asked")
		for _, got := range v.scored {
			require.Equal(t, relay.Complete, got[2].Ending, "waited for while the relay ran")
			require.Equal(t, "late "+got[1].Text(), got[2].Text())
		}
		require.Len(t, calls, 20)
		for prompt, n := range calls {
			require.Equal(t, 1, n, "%s: no miner is asked twice", prompt)
		}
	})
}

func TestRequesterWhoLeavesIsScored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newValidator(
			t, func(string) miners { return miners{1: says("a", "b").every(time.Second).ask} },
		)
		ctx, leave := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer leave()
		status, body := v.axon.Ask(ctx, &organic.Synapse{})
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, events("a"), simplified(string(body)))
		time.Sleep(time.Minute)
		v.stop(t)
		require.Len(t, v.scored, 1)
		require.Equal(t, "ab", v.scored[0][1].Text())
	})
}

func TestRefusedQueriesAreNotScored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newValidator(t, func(string) miners { return miners{1: says("a").ask} })
		require.NoError(t, v.relay.Close(t.Context()))
		status, _ := v.axon.Ask(t.Context(), &organic.Synapse{})
		require.Equal(t, http.StatusServiceUnavailable, status)
		time.Sleep(time.Minute)
		v.stop(t)
		require.Empty(t, v.scored)
	})
}

func TestUnknownSamplesAreAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newValidator(t, func(prompt string) miners { return miners{1: says(prompt).ask} })
		_, err := v.scorer.Enqueue(t.Context(), "prompt")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		v.stop(t)
		require.Len(t, v.scored, 1)
		require.Equal(t, "prompt", v.scored[0][1].Text())
	})
}
