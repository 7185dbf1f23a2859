package organic_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// slowHooks take 2 s for the query, 3 s for the reference, 1 s for rewards,
// and set weights at the second try.
func slowHooks(logged *[]*promptResult) promptHooks {
	tries := 0
	return promptHooks{
		QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
			time.Sleep(2 * time.Second)
			return map[organic.UID]string{0: "a", 3: "b"}, nil
		},
		GenerateReferenceFunc: func(context.Context, promptSample) (string, error) {
			time.Sleep(3 * time.Second)
			return "reference", nil
		},
		GenerateRewardsFunc: func(
			_ context.Context, _ promptSample, responses map[organic.UID]string, _ string,
		) (organic.Rewards, error) {
			time.Sleep(time.Second)
			return organic.Rewards{0: 0.5, 3: float64(len(responses))}, nil
		},
		SetWeightsFunc: func(context.Context, promptSample, organic.Rewards) error {
			if tries++; tries == 1 {
				return errFailed
			}
			time.Sleep(time.Second)
			return nil
		},
		LogResultsFunc: func(_ context.Context, result *promptResult) error {
			time.Sleep(time.Hour) // not part of any duration
			*logged = append(*logged, result)
			return nil
		},
	}
}

func TestResultHoldsAllThatAnIterationProduced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var logged []*promptResult
		queue := newFaultyQueue(t)
		queue.beforeSample = func(context.Context) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		s := newTestScorer(t, slowHooks(&logged), organic.WithQueue(queue))
		s.enqueue("first", "second", "third")
		started := time.Now()
		result, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.Equal(t, []*promptResult{result}, logged)

		require.Equal(t, "first", result.Sample.Payload)
		require.Equal(t, map[organic.UID]string{0: "a", 3: "b"}, result.Responses)
		require.Equal(t, "reference", result.Reference)
		require.Equal(t, organic.Rewards{0: 0.5, 3: 2}, result.Rewards)
		require.True(t, started.Equal(result.Started))
		require.Equal(t, 2, result.QueueSize)
		require.Equal(t, organic.Durations{
			Sample:    100 * time.Millisecond,
			Query:     2 * time.Second,
			Reference: 3 * time.Second,
			Responses: 3 * time.Second,
			Rewards:   time.Second,
			Weights:   2 * time.Second, // a back-off of 1 s included
			Total:     6100 * time.Millisecond,
		}, result.Durations)
		require.Equal(t, map[string]any{
			"organic_time_sample":    0.1,
			"organic_time_responses": 3.0,
			"organic_time_rewards":   1.0,
			"organic_time_weights":   2.0,
			"organic_time_total":     6.1,
			"organic_queue_size":     2,
			"organic_queue_len":      2,
			"is_organic_sample":      true,
			"organic_time_query":     2.0,
			"organic_time_reference": 3.0,
		}, result.Logs())
	})
}

func TestLogsMarkSyntheticSamples(t *testing.T) {
	t.Parallel()
	s := newTestScorer(t, promptHooks{}, organic.WithSynth(always("made up")))
	result, err := s.Iterate(t.Context())
	require.NoError(t, err)
	require.Equal(t, false, result.Logs()["is_organic_sample"])
	require.Equal(t, organic.Synthetic, result.Sample.Origin)
}

func TestResultIsTheLogHooksToKeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		s := newTestScorer(t, promptHooks{
			LogResultsFunc: func(_ context.Context, result *promptResult) error {
				go func() { // the race detector finds any other goroutine that writes it
					defer close(done)
					*result = promptResult{}
				}()
				time.Sleep(time.Minute)
				return nil
			},
		}, organic.WithStage(organic.StageLog, organic.StagePolicy{Timeout: time.Second}))
		id := s.enqueue("prompt")
		s.drain()
		<-done
		require.Equal(t, id, s.one(organic.EventOverdue).ID)
		events := s.all(organic.EventStageDone)
		require.Equal(t, organic.StageLog, events[len(events)-1].Stage)
		require.Equal(t, id, events[len(events)-1].ID)
	})
}

func TestFailingLogHookChangesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		log  func() error
	}{
		{"error", func() error { return errFailed }},
		{"discard", func() error { return organic.Discard(errFailed) }},
		{"retry after", func() error { return organic.RetryAfter(time.Hour, errFailed) }},
		{"panic", func() error { panic(errFailed) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				weighed := 0
				s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
					switch stage {
					case organic.StageWeights:
						weighed++
					case organic.StageLog:
						return test.log()
					default:
					}
					return nil
				}), organic.WithTrigger(organic.Seconds{Frequency: 10 * time.Second}))
				s.enqueue("first", "second", "third")
				stats := s.runFor(time.Minute)
				require.Equal(t, 3, weighed)
				require.Equal(t, uint64(3), stats.Scored)
				require.Equal(t, uint64(3), stats.LogFailed)
				require.Zero(t, stats.Failed)
				require.Equal(t, []time.Duration{0, 9600 * time.Millisecond, 19400 * time.Millisecond},
					s.at(organic.EventStarted))
				require.Equal(t, organic.StageLog, s.all(organic.EventLogFailed)[0].Stage)
				require.Equal(t, 3, s.logs.FilterMessage("log hook failed").Len())
			})
		})
	}
}

func TestAnnotationsReachLaterHooksAndTheResult(t *testing.T) {
	t.Parallel()
	var seen map[string]any
	var late context.Context
	hooks := fiveHooks(func(ctx context.Context, stage organic.Stage) error {
		switch stage {
		case organic.StageQuery, organic.StageReference:
			organic.Annotate(ctx, stage.String(), 7)
			organic.Annotate(ctx, "organic_queue_size", "not the original's key")
		case organic.StageWeights:
			seen = organic.Annotations(ctx)
			late = ctx //nolint:fatcontext // to be used after its hook has returned
		case organic.StageLog:
			organic.Annotate(late, "late", true)
			seen["changed"] = true // a copy
		default:
		}
		return nil
	})
	s := newTestScorer(t, hooks)
	s.enqueue("prompt")
	result, err := s.Iterate(t.Context())
	require.NoError(t, err)
	want := map[string]any{"query": 7, "reference": 7, "organic_queue_size": "not the original's key"}
	require.Equal(t, want, result.Annotations)
	require.Equal(t, map[string]any{
		"query": 7, "reference": 7,
		"organic_queue_size": "not the original's key", "changed": true,
	}, seen)
	logs := result.Logs()
	require.Equal(t, []any{7, 7, 0},
		[]any{logs["query"], logs["reference"], logs["organic_queue_size"]})
	require.NotContains(t, fmt.Sprintf("%+v", result), "not the original's key")

	organic.Annotate(t.Context(), "outside", 1) // has no effect
	require.Nil(t, organic.Annotations(t.Context()))
}

func TestAnnotateWithoutAnIterationDoesNothing(t *testing.T) {
	t.Parallel()
	var none context.Context
	organic.Annotate(none, "key", 1)
	require.Nil(t, organic.Annotations(none))

	axon, called := &organictest.Axon{}, false
	s := run(t, promptHooks{OnOrganicEntryFunc: func(
		ctx context.Context, _ http.ResponseWriter, _ *organic.Synapse,
	) error {
		organic.Annotate(ctx, "key", 1)
		require.Nil(t, organic.Annotations(ctx), "there is no result to be annotated")
		called = true
		return nil
	}}, organic.WithAxon(axon))
	axon.Ask(t.Context(), &organic.Synapse{})
	require.True(t, called)
	require.NoError(t, s.Stop(t.Context()))
}
