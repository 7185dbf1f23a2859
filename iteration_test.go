package organic_test

import (
	"context"
	"math"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// completion is the response of a miner of the validator below.
type completion struct{ Text string }

// chatValidator embeds the scorer as validators do.
type chatValidator struct {
	*organic.OrganicScorer[[]string, completion]
	organic.DefaultHooks[[]string, completion]

	weighed []organic.Rewards
}

var _ organic.Hooks[[]string, completion] = (*chatValidator)(nil)

func (v *chatValidator) QueryMiners(context.Context, organic.Sample[[]string]) (map[organic.UID]completion, error) {
	return map[organic.UID]completion{0: {"right"}, 5: {"wrong"}}, nil
}

func (v *chatValidator) GenerateReference(context.Context, organic.Sample[[]string]) (completion, error) {
	return completion{"right"}, nil
}

func (v *chatValidator) GenerateRewards(
	_ context.Context, _ organic.Sample[[]string], responses map[organic.UID]completion, reference completion,
) (organic.Rewards, error) {
	rewards := organic.Rewards{}
	for uid, response := range responses {
		rewards[uid] = map[bool]float64{true: 1, false: -1}[response == reference]
	}
	return rewards, nil
}

func (v *chatValidator) SetWeights(_ context.Context, _ organic.Sample[[]string], rewards organic.Rewards) error {
	v.weighed = append(v.weighed, rewards)
	return nil
}

func TestEmbeddingValidatorNeedsNoTypeArguments(t *testing.T) {
	t.Parallel()
	v := &chatValidator{}
	var err error
	v.OrganicScorer, err = organic.New(v)
	require.NoError(t, err)
	id, err := v.Enqueue(t.Context(), []string{"a", "question"})
	require.NoError(t, err)
	result, err := v.Iterate(t.Context())
	require.NoError(t, err)
	require.Equal(t, id, result.Sample.ID)
	require.Equal(t, []organic.Rewards{{0: 1, 5: -1}}, v.weighed)
}

func TestHooksAndScorerShareNoMethod(t *testing.T) {
	t.Parallel()
	scorer := reflect.TypeFor[*promptScorer]()
	for method := range reflect.TypeFor[organic.Hooks[string, string]]().Methods() {
		_, clash := scorer.MethodByName(method.Name)
		require.Falsef(t, clash, "%s would be ambiguous in every validator", method.Name)
	}
	for _, name := range []string{"Close", "String", "Error", "Write", "MarshalJSON", "Name", "Format"} {
		_, found := scorer.MethodByName(name)
		require.Falsef(t, found, "%s would change what the validator is", name)
	}
}

// journalHooks note beginning and end of each hook, which takes some time.
func journalHooks(j *hookDiary, takes map[organic.Stage]time.Duration) promptHooks {
	return fiveHooks(func(_ context.Context, stage organic.Stage) error {
		j.add(stage.String())
		time.Sleep(takes[stage])
		return nil
	})
}

func TestQueryAndReferenceRunSideBySideAndTheOthersInOrder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name             string
		query, reference time.Duration
	}{
		{"query is slower", 3 * time.Second, 2 * time.Second},
		{"reference is slower", 2 * time.Second, 3 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j := newHookDiary()
				s := newStand(t, journalHooks(j, map[organic.Stage]time.Duration{
					organic.StageQuery: test.query, organic.StageReference: test.reference,
					organic.StageRewards: time.Second, organic.StageWeights: time.Second,
				}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.NoError(t, err)
				require.ElementsMatch(t, []string{"query", "reference"}, j.noted()[:2])
				require.Equal(t, []string{"rewards", "weights", "log"}, j.noted()[2:])
				require.Equal(t, []time.Duration{0, 0, 3 * time.Second, 4 * time.Second, 5 * time.Second}, j.when())
			})
		})
	}
}

// noting makes hooks that note the sample they see. Three tries of SetWeights
// fail first, which is all of the first iteration.
func noting(seen map[organic.Stage]promptSample) promptHooks {
	var mu sync.Mutex
	note := func(stage organic.Stage, sample promptSample) error {
		mu.Lock()
		defer mu.Unlock()
		seen[stage] = sample
		return nil
	}
	failures := 0
	return promptHooks{
		QueryMinersFunc: func(_ context.Context, sample promptSample) (map[organic.UID]string, error) {
			return nil, note(organic.StageQuery, sample)
		},
		GenerateReferenceFunc: func(_ context.Context, sample promptSample) (string, error) {
			return "", note(organic.StageReference, sample)
		},
		GenerateRewardsFunc: func(_ context.Context, sample promptSample, _ map[organic.UID]string, _ string) (organic.Rewards, error) {
			return nil, note(organic.StageRewards, sample)
		},
		SetWeightsFunc: func(_ context.Context, sample promptSample, _ organic.Rewards) error {
			if failures++; failures <= 3 {
				return errMishap
			}
			return note(organic.StageWeights, sample)
		},
		LogResultsFunc: func(_ context.Context, result *promptResult) error { return note(organic.StageLog, result.Sample) },
	}
}

func TestHooksSeeWhereASampleComesFromAndItsAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[organic.Stage]promptSample{}
		requireSeen := func(want promptSample) {
			t.Helper()
			for _, stage := range hookStages {
				require.Equalf(t, want, seen[stage], "%v", stage)
			}
		}
		s := newStand(t, noting(seen), organic.WithSynth(organic.Named("lmsys", 1, always("made up"))))
		want := promptSample{ID: "id", Payload: "prompt", Requester: "5F…", Received: time.Now(), Attempt: 1}
		_, err := s.EnqueueSample(t.Context(), want)
		require.NoError(t, err)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errMishap)
		require.Equal(t, want, seen[organic.StageQuery])

		time.Sleep(10 * time.Second)
		_, err = s.Iterate(t.Context())
		require.NoError(t, err)
		want.Attempt = 2
		requireSeen(want)

		result, err := s.Iterate(t.Context())
		require.NoError(t, err)
		require.NotEmpty(t, result.Sample.ID)
		requireSeen(promptSample{
			ID: result.Sample.ID, Payload: "made up", Origin: organic.Synthetic, Source: "lmsys", Received: time.Now(), Attempt: 1,
		})
	})
}

func TestRewardsMustBeFinite(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		rewards organic.Rewards
		want    string // empty: fine
	}{
		{"NaN", organic.Rewards{0: 1, 7: math.NaN()}, "NaN for UID 7"},
		{"infinite", organic.Rewards{0: math.Inf(1)}, "+Inf for UID 0"},
		{"negatively infinite", organic.Rewards{65535: math.Inf(-1)}, "-Inf for UID 65535"},
		{"the lowest UID is named", organic.Rewards{9: math.NaN(), 3: math.Inf(1), 200: math.NaN()}, "+Inf for UID 3"},
		{"negative", organic.Rewards{1: -1, 2: -math.MaxFloat64}, ""},
		{"all zero", organic.Rewards{0: 0, 1: 0}, ""},
		{"empty", organic.Rewards{}, ""},
		{"none", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var weighed []organic.Rewards
			s := newStand(t, promptHooks{
				GenerateRewardsFunc: func(context.Context, promptSample, map[organic.UID]string, string) (organic.Rewards, error) {
					return test.rewards, nil
				},
				SetWeightsFunc: func(_ context.Context, _ promptSample, rewards organic.Rewards) error {
					weighed = append(weighed, rewards)
					return nil
				},
			})
			s.enqueue("prompt")
			_, err := s.Iterate(t.Context())
			if test.want == "" {
				require.NoError(t, err)
				require.Equal(t, []organic.Rewards{test.rewards}, weighed)
				return
			}
			require.ErrorIs(t, err, organic.ErrBadReward)
			require.ErrorContains(t, err, test.want)
			require.Equal(t, []organic.Stage{organic.StageRewards}, stagesOf(err))
			require.Empty(t, weighed)
			require.Equal(t, uint64(1), s.Stats().Retried)
		})
	}
}

func TestWeightsAreThePointOfNoReturn(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		scored uint64
	}{
		{"weights that are set at a hard stop count", nil, 1},
		{"weights that fail at a hard stop go back uncounted", errMishap, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var logged atomic.Int64
				queue := newMemory(t)
				s := newStand(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
					switch stage {
					case organic.StageWeights:
						<-ctx.Done()
						time.Sleep(time.Second)
						return test.err
					case organic.StageLog:
						logged.Add(1)
					default:
					}
					return nil
				}), organic.WithQueue(queue))
				s.enqueue("prompt")
				kill := s.start()
				time.Sleep(time.Minute)
				kill()
				<-s.Done()
				stats := s.stop()
				require.Equal(t, test.scored, stats.Scored)
				require.Equal(t, int64(test.scored), logged.Load())
				require.Equal(t, 1-test.scored, stats.Returned)
				require.Zero(t, stats.Failed, "an interruption is no failure")
				for _, sample := range queue.TakeAll() {
					require.Equal(t, 1, sample.Attempt)
				}
			})
		})
	}
}
