package organic_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

func (v *chatValidator) QueryMiners(
	context.Context, organic.Sample[[]string],
) (map[organic.UID]completion, error) {
	return map[organic.UID]completion{0: {"right"}, 5: {"wrong"}}, nil
}

func (v *chatValidator) GenerateReference(
	context.Context, organic.Sample[[]string],
) (completion, error) {
	return completion{"right"}, nil
}

func (v *chatValidator) GenerateRewards(
	_ context.Context, _ organic.Sample[[]string], responses map[organic.UID]completion,
	reference completion,
) (organic.Rewards, error) {
	rewards := organic.Rewards{}
	for uid, response := range responses {
		rewards[uid] = map[bool]float64{true: 1, false: -1}[response == reference]
	}
	return rewards, nil
}

func (v *chatValidator) SetWeights(
	_ context.Context, _ organic.Sample[[]string], rewards organic.Rewards,
) error {
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
	for _, name := range []string{
		"Close", "String", "Error", "Write", "MarshalJSON", "Name",
		"Format",
	} {
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
				s := newTestScorer(t, journalHooks(j, map[organic.Stage]time.Duration{
					organic.StageQuery: test.query, organic.StageReference: test.reference,
					organic.StageRewards: time.Second, organic.StageWeights: time.Second,
				}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.NoError(t, err)
				require.ElementsMatch(t, []string{"query", "reference"}, j.noted()[:2])
				require.Equal(t, []string{"rewards", "weights", "log"}, j.noted()[2:])
				require.Equal(t, []time.Duration{0, 0, 3 * time.Second, 4 * time.Second, 5 * time.Second},
					j.when())
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
		GenerateRewardsFunc: func(
			_ context.Context, sample promptSample, _ map[organic.UID]string, _ string,
		) (organic.Rewards, error) {
			return nil, note(organic.StageRewards, sample)
		},
		SetWeightsFunc: func(_ context.Context, sample promptSample, _ organic.Rewards) error {
			if failures++; failures <= 3 {
				return errFailed
			}
			return note(organic.StageWeights, sample)
		},
		LogResultsFunc: func(
			_ context.Context, result *promptResult,
		) error {
			return note(organic.StageLog, result.Sample)
		},
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
		s := newTestScorer(t, noting(seen),
			organic.WithSynth(organic.Named("lmsys", 1, always("made up"))))
		want := promptSample{
			ID: "id", Payload: "prompt", Requester: "5F…", Received: time.Now(),
			Attempt: 1,
		}
		_, err := s.EnqueueSample(t.Context(), want)
		require.NoError(t, err)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
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
			ID: result.Sample.ID, Payload: "made up", Origin: organic.Synthetic, Source: "lmsys",
			Received: time.Now(), Attempt: 1,
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
		{
			"the lowest UID is named",
			organic.Rewards{9: math.NaN(), 3: math.Inf(1), 200: math.NaN()},
			"+Inf for UID 3",
		},
		{"negative", organic.Rewards{1: -1, 2: -math.MaxFloat64}, ""},
		{"all zero", organic.Rewards{0: 0, 1: 0}, ""},
		{"empty", organic.Rewards{}, ""},
		{"none", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var weighed []organic.Rewards
			s := newTestScorer(t, promptHooks{
				GenerateRewardsFunc: func(
					context.Context, promptSample, map[organic.UID]string, string,
				) (organic.Rewards, error) {
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
		{"weights that fail at a hard stop go back uncounted", errFailed, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var logged atomic.Int64
				queue := newMemory(t)
				s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
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

var errSibling = errors.New("sibling failed by itself")

// endings are the ways in which a hook can fail.
var endings = []struct {
	name  string
	end   func() error
	check func(t *testing.T, err error)
}{
	{"error", func() error { return errFailed }, func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, errFailed)
	}},
	{"panic", func() error { panic("at the disco") }, requirePanic},
	{"goexit", func() error {
		runtime.Goexit()
		return nil
	}, func(t *testing.T, err error) {
		t.Helper()
		require.ErrorIs(t, err, organic.ErrGoexit)
	}},
	{"error whose Error panics", func() error { return hostileError{inError: true} }, requireHostile},
	{"error whose Is panics", func() error { return hostileError{inIs: true} }, requireHostile},
	{"error whose As panics", func() error { return hostileError{inAs: true} }, requireHostile},
	{
		"error whose Unwrap panics",
		func() error { return fmt.Errorf("wrapped: %w", hostileError{inUnwrap: true}) }, requireHostile,
	},
	{
		"nil pointer as an error", func() error { return (*pointerError)(nil) },
		func(t *testing.T, err error) {
			t.Helper()
			require.ErrorContains(t, errors.Join(panicsIn(err)...), "nil pointer dereference")
		},
	},
	{
		"error that contains itself", func() error { return endlessError{} },
		func(t *testing.T, err error) {
			t.Helper()
			require.True(t, slices.ContainsFunc(panicsIn(err), func(err error) bool {
				return strings.Contains(fmt.Sprint(panicValue(err)), "contains itself")
			}))
		},
	},
}

// hostileError panics when it is inspected.
type hostileError struct{ inError, inIs, inAs, inUnwrap bool }

func (e hostileError) panicIf(hostile bool) {
	if hostile {
		panic("hostile")
	}
}

func (e hostileError) Error() string { e.panicIf(e.inError); return "hostile" }
func (e hostileError) Is(error) bool { e.panicIf(e.inIs); return false }
func (e hostileError) As(any) bool   { e.panicIf(e.inAs); return false }
func (e hostileError) Unwrap() error { e.panicIf(e.inUnwrap); return nil }

func requireHostile(t *testing.T, err error) {
	t.Helper()
	require.True(t, slices.ContainsFunc(panicsIn(err),
		func(err error) bool { return panicValue(err) == "hostile" }))
}

func panicValue(err error) any {
	panicked, ok := errors.AsType[*organic.PanicError](err)
	if !ok {
		return nil
	}
	return panicked.Value()
}

// panicsIn returns the panics of an error, of which several can be joined.
func panicsIn(err error) (panics []error) {
	switch e := err.(type) { //nolint:errorlint // the tree is walked
	case *organic.PanicError:
		return []error{e}
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			panics = append(panics, panicsIn(err)...)
		}
	case interface{ Unwrap() error }:
		return panicsIn(e.Unwrap())
	}
	return panics
}

// pointerError reads its receiver when it is inspected.
type pointerError struct{ text string }

func (e *pointerError) Error() string { return "pointer" }
func (e *pointerError) As(any) bool   { return e.text == "" }

// endlessError has itself in its tree.
type endlessError struct{}

func (endlessError) Error() string     { return "endless" }
func (e endlessError) Unwrap() []error { return []error{e} }

// requirePanic checks that a panic was caught where it happened.
func requirePanic(t *testing.T, err error) {
	t.Helper()
	panics := panicsIn(err)
	i := slices.IndexFunc(panics, func(err error) bool { return panicValue(err) == "at the disco" })
	require.GreaterOrEqual(t, i, 0)
	panicked, _ := errors.AsType[*organic.PanicError](panics[i])
	require.Contains(t, string(panicked.Stack()), "iteration_test.go",
		"the stack is that of the panic")
	require.NotContains(t, err.Error(), "disco")
}

func TestFirstErrorCancelsTheSiblingAndBothAreAwaited(t *testing.T) {
	t.Parallel()
	siblings := []struct {
		name  string
		end   func(ctx context.Context) error
		check func(t *testing.T, err error) // nil: not reported
	}{
		{"returns nil", func(context.Context) error { return nil }, nil},
		{"returns its ctx's error", func(ctx context.Context) error { return ctx.Err() }, nil},
		{"returns the cause", context.Cause, nil},
		{
			"fails by itself", func(context.Context) error { return errSibling },
			func(t *testing.T, err error) {
				t.Helper()
				require.ErrorIs(t, err, errSibling)
			},
		},
		{"panics", func(context.Context) error { panic("at the disco") }, requirePanic},
		{"leaves", func(context.Context) error {
			runtime.Goexit()
			return nil
		}, func(t *testing.T, err error) {
			t.Helper()
			require.ErrorIs(t, err, organic.ErrGoexit)
		}},
	}
	for _, first := range []organic.Stage{organic.StageQuery, organic.StageReference} {
		for _, ending := range endings {
			for _, sibling := range siblings {
				t.Run(first.String()+" "+ending.name+", sibling "+sibling.name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
							if stage == first {
								time.Sleep(time.Second)
								return ending.end()
							}
							<-ctx.Done()
							time.Sleep(2 * time.Second)
							return sibling.end(ctx)
						}))
						s.enqueue("prompt")
						s.runFor(4 * time.Second)
						failed := s.one(organic.EventFailed)
						require.Equal(t, 3*time.Second, failed.Duration)
						ending.check(t, failed.Err)
						stages := stagesOf(failed.Err)
						require.NotErrorIs(t, failed.Err, context.Canceled)
						if sibling.check == nil {
							require.Equal(t, []organic.Stage{first}, stages)
							return
						}
						sibling.check(t, failed.Err)
						slices.Sort(stages)
						require.Equal(t, []organic.Stage{organic.StageQuery, organic.StageReference}, stages)
					})
				})
			}
		}
	}
}

func TestBothErrorsAreReportedWhenNeitherHeedsTheOther(t *testing.T) {
	t.Parallel()
	for _, slow := range []organic.Stage{organic.StageQuery, organic.StageReference} {
		t.Run(slow.String()+" is slower", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
					if stage == slow {
						time.Sleep(time.Minute)
						return errSibling
					}
					return errFailed
				}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.ErrorIs(t, err, errFailed)
				require.ErrorIs(t, err, errSibling)
				require.Equal(t, []organic.Stage{organic.StageQuery, organic.StageReference}, stagesOf(err))
				require.Len(t, s.all(organic.EventFailed), 1)
			})
		})
	}
}

func TestCancelledSiblingIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
			if stage == organic.StageQuery {
				time.Sleep(time.Second)
				return errFailed
			}
			j.add(stage.String())
			<-ctx.Done()
			return ctx.Err()
		}), organic.WithStage(organic.StageReference, organic.StagePolicy{Tries: 5}))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.Equal(t, []organic.Stage{organic.StageQuery}, stagesOf(err))
		require.Equal(t, []string{"reference"}, j.noted())
	})
}

func TestHardStopDuringQueryIsAnInterruption(t *testing.T) {
	t.Parallel()
	for _, ending := range []struct {
		name string
		err  error
	}{{"that returns nil", nil}, {"that fails", errFailed}, {"that is cancelled", context.Canceled}} {
		t.Run(ending.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				queue := newMemory(t)
				s := newTestScorer(t, fiveHooks(func(ctx context.Context, stage organic.Stage) error {
					if stage == organic.StageQuery {
						<-ctx.Done()
						return ending.err
					}
					return nil
				}), organic.WithQueue(queue))
				s.enqueue("prompt")
				kill := s.start()
				time.Sleep(time.Second)
				kill()
				stats := s.stop()
				require.Equal(t, uint64(1), stats.Returned)
				require.Zero(t, stats.Failed)
				require.Equal(t, time.Second, s.one(organic.EventInterrupted).Duration)
				require.Equal(t, 1, queue.TakeAll()[0].Attempt)
				logged := 0
				if ending.err == errFailed { //nolint:errorlint // the very same
					logged = 1
				}
				require.Equal(t, logged, s.logs.FilterFieldKey("error").Len(),
					"a hard stop is no error, what a hook says of its own is")
			})
		})
	}
}

// interruptionEndings are what a hook can end in when its ctx is cancelled by
// a hard stop.
var interruptionEndings = []struct {
	name  string
	end   func(ctx context.Context) error
	check func(t *testing.T, err error) // nil: nothing is reported
	stack int                           // log lines that have one
}{
	{name: "nothing"},
	{name: "the error of its ctx", end: func(ctx context.Context) error { return ctx.Err() }},
	{name: "the cause of its ctx", end: context.Cause},
	{
		name: "the error of its ctx, wrapped",
		end:  func(ctx context.Context) error { return fmt.Errorf("asking miners: %w", ctx.Err()) },
	},
	{
		name: "the error of its ctx, twice",
		end:  func(ctx context.Context) error { return errors.Join(ctx.Err(), context.Canceled) },
	},
	{
		name: "an error of its own", end: func(context.Context) error { return errFailed },
		check: requireMishap,
	},
	{
		name:  "an error of its own and that of its ctx",
		end:   func(ctx context.Context) error { return errors.Join(ctx.Err(), errFailed) },
		check: requireMishap,
	},
	{
		name:  "an error to try later",
		end:   func(context.Context) error { return organic.RetryAfter(time.Hour, errFailed) },
		check: requireMishap,
	},
	{
		name: "a panic", end: func(context.Context) error { panic("at the disco") }, stack: 1,
		check: func(t *testing.T, err error) {
			t.Helper()
			panicked, ok := errors.AsType[*organic.PanicError](err)
			require.True(t, ok, "%v", err)
			require.Contains(t, string(panicked.Stack()), "iteration_test.go",
				"the stack is that of the panic")
			require.NotContains(t, err.Error(), "disco")
		},
	},
}

func requireMishap(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, errFailed)
}

// endingAtTheStop makes hooks of which one waits for the hard stop.
func endingAtTheStop(stage organic.Stage, end func(ctx context.Context) error) promptHooks {
	return fiveHooks(func(ctx context.Context, at organic.Stage) error {
		if at != stage {
			return nil
		}
		<-ctx.Done()
		if end == nil {
			return nil
		}
		return end(ctx)
	})
}

func TestInterruptionReportsWhatAHookEndedIn(t *testing.T) {
	t.Parallel()
	for _, stage := range []organic.Stage{
		organic.StageQuery, organic.StageReference,
		organic.StageRewards, organic.StageWeights,
	} {
		for _, origin := range []organic.Origin{organic.Organic, organic.Synthetic} {
			for i, ending := range interruptionEndings {
				if ending.end == nil && stage == organic.StageWeights {
					continue // the sample is scored
				}
				t.Run(fmt.Sprint(stage, " ", origin, " ", ending.name), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { interrupt(t, stage, origin, i) })
				})
			}
		}
	}
}

func interrupt(t *testing.T, stage organic.Stage, origin organic.Origin, i int) {
	t.Helper()
	ending := interruptionEndings[i]
	var opts []organic.Option
	if origin == organic.Synthetic {
		opts = append(opts, organic.WithSynth(always("made up")))
	}
	s := newTestScorer(t, endingAtTheStop(stage, ending.end), opts...)
	if origin == organic.Organic {
		s.enqueue("prompt")
	}
	kill := s.start()
	time.Sleep(time.Second)
	kill()
	s.stop()
	e := s.one(organic.EventInterrupted)
	require.Equal(t, origin, e.Origin)
	require.Equal(t, time.Second, e.Duration)
	got := 0
	if ending.check == nil {
		require.NoError(t, e.Err)
	} else {
		got = 1
		ending.check(t, e.Err)
		require.Equal(t, []organic.Stage{stage}, stagesOf(e.Err))
	}
	require.Equal(t, got, s.logs.FilterFieldKey("error").Len(), "logged once")
	require.Equal(t, got, s.logs.FilterMessage("iteration interrupted").FilterFieldKey("error").Len())
	require.Equal(t, ending.stack, s.logs.FilterFieldKey("stack").Len())
	require.Empty(t, s.all(organic.EventFailed))
}

func TestDeadlineWithACauseIsNoErrorBesideTheInterruption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newTestScorer(t, endingAtTheStop(organic.StageQuery, context.Context.Err))
		s.enqueue("prompt")
		require.NoError(t, s.Run(soon(t, time.Second, errTired)))
		require.NoError(t, s.one(organic.EventInterrupted).Err)
		s.stop()
	})
}

// overlap measures how many iterations are in the hooks at the same time.
type overlap struct {
	now, most, all atomic.Int64
}

func (o *overlap) hooks(took time.Duration) promptHooks {
	return promptHooks{
		QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
			now := o.now.Add(1)
			for most := o.most.Load(); now > most && !o.most.CompareAndSwap(most, now); {
				most = o.most.Load()
			}
			o.all.Add(1)
			time.Sleep(took)
			return noAnswers, nil
		},
		LogResultsFunc: func(context.Context, *organic.Result[string, string]) error {
			time.Sleep(took)
			o.now.Add(-1)
			return nil
		},
	}
}

func TestConcurrencyIsReachedAndNeverExceeded(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 16} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var seen overlap
				s := run(t, seen.hooks(30*time.Second), organic.WithSynth(endless), organic.WithConcurrency(n),
					organic.WithTrigger(organic.Seconds{Frequency: time.Millisecond}))
				time.Sleep(time.Hour - time.Second)
				require.EqualValues(t, n, seen.now.Load())
				require.Equal(t, n, s.Stats().InFlight)
				require.NoError(t, s.Stop(t.Context()))
				require.EqualValues(t, n, seen.most.Load())
				require.GreaterOrEqual(t, seen.all.Load(), int64(59*n))
			})
		})
	}
}

func TestIterateSharesTheSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, callers = 3, 10
		var seen overlap
		s := run(t, seen.hooks(time.Second), organic.WithSynth(endless), organic.WithConcurrency(slots),
			organic.WithTrigger(organic.Seconds{Frequency: time.Millisecond}))
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				for range 5 {
					_, _ = s.Iterate(t.Context())
				}
			})
		}
		time.Sleep(time.Second)
		require.EqualValues(t, slots, seen.now.Load())
		group.Wait()
		require.NoError(t, s.Stop(t.Context()))
		require.EqualValues(t, slots, seen.most.Load())
	})
}

func TestIterateAloneIsBoundToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen overlap
		s := build(t, seen.hooks(time.Second), organic.WithSynth(endless), organic.WithConcurrency(4))
		begun := time.Now()
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { _, _ = s.Iterate(t.Context()) })
		}
		group.Wait()
		require.EqualValues(t, 4, seen.most.Load())
		require.Equal(t, 10*time.Second, time.Since(begun), "five rounds of two seconds")
	})
}

func TestTriggerPacesTheStartsOfOverlappingIterations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		run(t, starts.hooks(time.Minute), organic.WithSynth(endless), organic.WithConcurrency(100))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, every(15*time.Second, 41), starts.times())
	})
}

func TestStepsPaceTheStartsOfOverlappingIterations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		s := run(t, starts.hooks(time.Hour), organic.WithSynth(endless), organic.WithConcurrency(5),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 12)
		require.Equal(t, 4, starts.count())
		s.SetStep(1000)
		synctest.Wait()
		require.Equal(t, 5, starts.count(), "a jump is one start, however many slots are free")
	})
}

func TestFreedSlotIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		starts := newJournal()
		run(t, starts.hooks(50*time.Second), organic.WithSynth(endless), organic.WithConcurrency(2))
		time.Sleep(3 * time.Minute)
		require.Equal(t, []time.Duration{
			0, 15 * time.Second, 50 * time.Second, 65 * time.Second, 100 * time.Second, 115 * time.Second,
			150 * time.Second, 165 * time.Second,
		}, starts.times())
	})
}

// plainQueue is a queue of the three methods that it must have, which counts
// how often it is asked.
type plainQueue struct {
	asked, sized atomic.Int64

	mu      sync.Mutex // guards waiting
	waiting []promptSample
}

func (q *plainQueue) Add(_ context.Context, sample promptSample) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, sample)
	return nil
}

func (q *plainQueue) Sample(context.Context) (organic.Lease[string], error) {
	q.asked.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return organic.Lease[string]{}, organic.ErrEmpty
	}
	sample := q.waiting[0]
	q.waiting = q.waiting[1:]
	return organic.Lease[string]{Sample: sample}, nil
}

func (q *plainQueue) Size() int {
	q.sized.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// tellingQueue is a plainQueue that has one watcher.
type tellingQueue struct {
	plainQueue

	watcher   organic.Watcher
	unwatched atomic.Bool
}

func (q *tellingQueue) Watch(watcher organic.Watcher) (stop func()) {
	q.watcher = watcher
	return func() { q.unwatched.Store(true) }
}

func (q *tellingQueue) Add(ctx context.Context, sample promptSample) error {
	defer q.watcher.Arrived()
	return q.plainQueue.Add(ctx, sample)
}

func TestIdleScorerIsNotBusy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		trigger organic.Trigger
		plain   int64 // most looks in an hour at a queue that reports nothing
	}{
		{
			name: "default seconds", trigger: organic.Seconds{Frequency: 15 * time.Second},
			plain: 3600/15 + 1,
		},
		{name: "a nanosecond", trigger: organic.Seconds{Frequency: 1}, plain: 3600 + 1},
		{name: "steps without steps", trigger: organic.Steps{Frequency: 1}, plain: 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				plain, telling := &plainQueue{}, &tellingQueue{}
				run(t, promptHooks{}, organic.WithQueue[string](plain), organic.WithTrigger(tt.trigger))
				run(t, promptHooks{}, organic.WithQueue[string](telling), organic.WithTrigger(tt.trigger))
				time.Sleep(time.Hour)
				synctest.Wait()
				require.Equal(t, tt.plain, plain.asked.Load())
				require.LessOrEqual(t, telling.asked.Load(), int64(1),
					"a queue that reports arrivals is not looked at")
				require.LessOrEqual(t, plain.sized.Load(), 2*tt.plain+2)
				require.LessOrEqual(t, telling.sized.Load(), int64(2))
			})
		})
	}
}

func TestIdleScorerStartsWhenASampleArrives(t *testing.T) {
	t.Parallel()
	triggers := []struct {
		name    string
		trigger organic.Trigger
	}{
		{name: "seconds", trigger: organic.Seconds{Frequency: 2 * time.Minute}},
		{name: "steps", trigger: organic.Steps{Frequency: 3}},
	}
	queues := []struct {
		name string
		make func() organic.Queue[string]
	}{
		{name: "plain queue", make: func() organic.Queue[string] { return &plainQueue{} }},
		{name: "watched queue", make: func() organic.Queue[string] { return &tellingQueue{} }},
		{name: "memory queue", make: func() organic.Queue[string] {
			queue, _ := organic.NewMemoryQueue[string](organic.MemoryConfig{})
			return queue
		}},
	}
	for _, trigger := range triggers {
		for _, queue := range queues {
			t.Run(trigger.name+" "+queue.name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					starts := newJournal()
					s := run(t, starts.hooks(0), organic.WithQueue(queue.make()),
						organic.WithTrigger(trigger.trigger))
					step(s, 3)
					time.Sleep(time.Hour + time.Nanosecond)
					enqueue(t, s, 1)
					synctest.Wait()
					require.Equal(t, []time.Duration{time.Hour + time.Nanosecond}, starts.times())
				})
			})
		}
	}
}

func TestQueueFilledBehindTheScorersBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		plain, telling := &plainQueue{}, &tellingQueue{}
		late, prompt := newJournal(), newJournal()
		run(t, late.hooks(0), organic.WithQueue[string](plain))
		run(t, prompt.hooks(0), organic.WithQueue[string](telling))
		time.Sleep(15*time.Minute + time.Second)
		require.NoError(t, plain.Add(t.Context(), organic.NewSample("text")))
		require.NoError(t, telling.Add(t.Context(), organic.NewSample("text")))
		time.Sleep(time.Minute)
		require.Equal(t, []time.Duration{15*time.Minute + time.Second}, prompt.times(),
			"the queue reports arrivals")
		require.Equal(t, []time.Duration{15*time.Minute + 15*time.Second}, late.times(),
			"found at the trigger's pace")
	})
}

func TestPlainQueueIsLookedAtWithEachStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, starts := &plainQueue{}, newJournal()
		s := run(t, starts.hooks(0), organic.WithQueue[string](queue),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 3)
		require.EqualValues(t, 1, queue.asked.Load())
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("text")))
		time.Sleep(time.Hour)
		require.Zero(t, starts.count())
		step(s, 1)
		require.Equal(t, 1, starts.count())
	})
}

func TestSetStepWhileTheLoopLooksWithEachStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, starts := &plainQueue{}, newJournal()
		s := run(t, starts.hooks(0), organic.WithQueue[string](queue),
			organic.WithTrigger(organic.Steps{Frequency: 3}))
		step(s, 5)
		s.SetStep(0) // nothing is due any more
		synctest.Wait()
		require.NoError(t, queue.Add(t.Context(), organic.NewSample("text")))
		step(s, 2)
		require.Zero(t, starts.count())
		step(s, 1)
		require.Equal(t, 1, starts.count(), "three steps from the new count")
	})
}

func TestIdleIterationsDoNotSpinUnderConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue, starts := &tellingQueue{}, newJournal()
		s := run(t, starts.hooks(time.Hour), organic.WithQueue[string](queue), organic.WithConcurrency(8),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		enqueue(t, s, 2)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		require.Equal(t, every(time.Second, 2), starts.times())
		require.LessOrEqual(t, queue.asked.Load(), int64(4))
	})
}

// emptyJoinError is an error that has joined nothing.
type emptyJoinError struct{}

func (emptyJoinError) Error() string { return "nothing joined" }

func (emptyJoinError) Unwrap() []error { return nil }

func TestErrorWithoutPartsIsNoEchoOfACancellation(t *testing.T) {
	t.Parallel()
	s := newTestScorer(t, promptHooks{
		QueryMinersFunc: func(context.Context, promptSample) (map[organic.UID]string, error) {
			return nil,
				errFailed
		},
		GenerateReferenceFunc: func(ctx context.Context, _ promptSample) (string, error) {
			<-ctx.Done()
			return "", emptyJoinError{}
		},
	})
	s.enqueue("prompt")
	_, err := s.Iterate(t.Context())
	require.ErrorIs(t, err, errFailed)
	require.ErrorIs(t, err, emptyJoinError{})
}

// leavingSize is a queue whose Size leaves by runtime.Goexit at one of its calls.
type leavingSize struct {
	*faultyQueue

	calls, leavesAt int
}

func (q *leavingSize) Size() int {
	if q.calls++; q.calls == q.leavesAt {
		runtime.Goexit()
	}
	return q.faultyQueue.Size()
}

func TestSizeThatLeavesSkipsNoLogResults(t *testing.T) {
	t.Parallel()
	for at := 2; at < 8; at++ { // Enqueue makes the first call
		synctest.Test(t, func(t *testing.T) {
			j := newHookDiary()
			queue := &leavingSize{faultyQueue: newFaultyQueue(t), leavesAt: at}
			s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
				j.add(stage.String())
				return nil
			}), organic.WithQueue(queue))
			s.enqueue("prompt")
			go func() { _, _ = s.Iterate(t.Context()) }()
			synctest.Wait()
			queue.leavesAt = 0
			stats := s.stop()
			require.EqualValues(t, 1, stats.Scored+uint64(stats.Queued), "call %d", at)
			require.Equal(t, stats.Scored == 1, slices.Contains(j.noted(), "log"), "call %d", at)
		})
	}
}

func TestDurationOfLogResultsExcludesSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		queue := newSettlingQueue()
		queue.before = func(organic.Verdict) error {
			time.Sleep(5 * time.Second)
			return nil
		}
		s := newTestScorer(t, fiveHooks(func(_ context.Context, stage organic.Stage) error {
			if stage == organic.StageLog {
				time.Sleep(time.Second)
			}
			return nil
		}), organic.WithQueue(queue))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.NoError(t, err)
		for _, e := range s.all(organic.EventStageDone) {
			if e.Stage == organic.StageLog {
				require.Equal(t, time.Second, e.Duration)
			} else {
				require.Zero(t, e.Duration, "%v", e.Stage)
			}
		}
	})
}

// boastfulError claims to be every error whose type has a name like that.
type boastfulError struct{ as string }

func (boastfulError) Error() string { return "boastful" }
func (e boastfulError) As(target any) bool {
	return strings.Contains(fmt.Sprintf("%T", target), e.as)
}

func TestErrorThatClaimsToBeEveryOtherIsAFailureAndNoMore(t *testing.T) {
	t.Parallel()
	for _, as := range []string{"", "retryAfter", "discard", "PanicError"} {
		t.Run(as, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newTestScorer(t, failing(organic.StageRewards, boastfulError{as: as}))
				s.enqueue("prompt")
				_, err := s.Iterate(t.Context())
				require.ErrorContains(t, err, "boastful")
				require.Len(t, s.logs.FilterMessage("iteration failed").All(), 1)
				stats := s.stop()
				require.EqualValues(t, 1, stats.Failed)
				require.EqualValues(t, 1, stats.Retried)
				require.Equal(t, 1, stats.Queued)
			})
		})
	}
}

func TestErrorOfEveryMinerIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var miners []error
		for uid := range 4096 {
			err := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
			miners = append(miners, fmt.Errorf("UID %d: %w", uid,
				&url.Error{Op: "Post", URL: "http://miner", Err: err}))
		}
		s := newTestScorer(t, failing(organic.StageQuery, errors.Join(miners...)))
		s.enqueue("prompt")
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.ErrorContains(t, err, "UID 4095")
		s.stop()
	})
}
