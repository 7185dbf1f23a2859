package organic_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// lostDefaults is a validator that embeds the default hooks in a way that
// compiles.
type lostDefaults struct {
	*organic.DefaultHooks[string, string]
}

func (lostDefaults) QueryMiners(context.Context, promptSample) (map[organic.UID]string, error) {
	return map[organic.UID]string{}, nil
}

func (lostDefaults) GenerateRewards(
	context.Context, promptSample, map[organic.UID]string, string,
) (organic.Rewards, error) {
	return organic.Rewards{}, nil
}
func (lostDefaults) SetWeights(context.Context, promptSample, organic.Rewards) error { return nil }

// embeddedTrigger is a trigger by its methods, and is none.
type embeddedTrigger struct{ organic.Seconds }

// embeddedOption is an option by its methods, and is none.
type embeddedOption struct{ organic.Option }

func TestNewRefusesHooksThatWouldPanic(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		hooks organic.Hooks[string, string]
		want  string
	}{
		{"nil", nil, "organic: invalid option: New(nil): hooks must not be nil"},
		{"typed nil", (*promptHooks)(nil), "organic: invalid option: New(nil): hooks must not be nil"},
		{
			"nil pointer to the defaults",
			lostDefaults{},
			"organic: invalid option: New: DefaultHooks must be embedded by value in organic_test.lostDefaults",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			scorer, err := organic.New(test.hooks)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.EqualError(t, err, test.want)
			require.Nil(t, scorer)
		})
	}
}

// badOption is an option that New refuses, and what it says.
type badOption struct {
	want   string
	option organic.Option
}

func badTriggers() []badOption {
	const second = time.Second
	seconds := func(s organic.Seconds) organic.Option { return organic.WithTrigger(s) }
	steps := func(s organic.Steps) organic.Option { return organic.WithTrigger(s) }
	return []badOption{
		{"WithTrigger(nil): must be Seconds or Steps", organic.WithTrigger(nil)},
		{"WithTrigger(nil): must be Seconds or Steps", organic.WithTrigger((*organic.Steps)(nil))},
		{
			"WithTrigger(*organic.Seconds): must be Seconds or Steps, by value",
			organic.WithTrigger(&organic.Seconds{Frequency: second}),
		},
		{
			"WithTrigger(*organic.Steps): must be Seconds or Steps, by value",
			organic.WithTrigger(&organic.Steps{Frequency: 3}),
		},
		{
			"WithTrigger(organic_test.embeddedTrigger): must be Seconds or Steps, by value",
			organic.WithTrigger(embeddedTrigger{organic.Seconds{Frequency: second}}),
		},
		{"WithTrigger: Seconds.Frequency is 0s, must be above 0", seconds(organic.Seconds{})},
		{
			"WithTrigger: Seconds.Frequency is -5s, must be above 0",
			seconds(organic.Seconds{Frequency: -5 * second}),
		},
		{
			"WithTrigger: Seconds.Min is -1s, must be from 0 to Frequency (1s)",
			seconds(organic.Seconds{Frequency: second, Min: -second}),
		},
		{
			"WithTrigger: Seconds.Min is 2s, must be from 0 to Frequency (1s)",
			seconds(organic.Seconds{Frequency: second, Min: 2 * second}),
		},
		{"WithTrigger: Seconds.ScalingFactor is -1, must be a finite number above 0, or 0 for the default", seconds(organic.Seconds{Frequency: second, ScalingFactor: -1})},
		{"WithTrigger: Seconds.ScalingFactor is NaN, must be a finite number above 0, or 0 for the default", seconds(organic.Seconds{Frequency: second, ScalingFactor: math.NaN()})},
		{"WithTrigger: Steps.Frequency is 0, must be at least 1", steps(organic.Steps{})},
		{"WithTrigger: Steps.Frequency is -3, must be at least 1", steps(organic.Steps{Frequency: -3})},
		{
			"WithTrigger: Steps.Min is -1, must be from 0 to Frequency (3)",
			steps(organic.Steps{Frequency: 3, Min: -1}),
		},
		{
			"WithTrigger: Steps.Min is 4, must be from 0 to Frequency (3)",
			steps(organic.Steps{Frequency: 3, Min: 4}),
		},
		{"WithTrigger: Steps.ScalingFactor is +Inf, must be a finite number above 0, or 0 for the default", steps(organic.Steps{Frequency: 3, ScalingFactor: math.Inf(1)})},
	}
}

func badSources() []badOption {
	synth := organic.WithSynth[string]
	number := organic.SynthFunc[int](func(context.Context) (int, error) { return 1, nil })
	return []badOption{
		{"WithQueue(nil): must be a queue", organic.WithQueue[string](nil)},
		{"WithQueue(nil): must be a queue", organic.WithQueue((*organic.MemoryQueue[string])(nil))},
		{
			"WithQueue(&MemoryQueue{}): must be made by NewMemoryQueue",
			organic.WithQueue(&organic.MemoryQueue[string]{}),
		},
		{
			"WithQueue: have *organic.MemoryQueue[int], want organic.Queue[string]",
			organic.WithQueue(must(organic.NewMemoryQueue[int](organic.MemoryConfig{}))),
		},
		{"WithSynth(): must have at least one dataset", synth()},
		{"WithSynth: dataset 1: must not be nil", synth(nil)},
		{"WithSynth: dataset 2: must not be nil", synth(always("a"), organic.SynthFunc[string](nil))},
		{"WithSynth: dataset 1: must not be nil", synth((*organic.NamedDataset[string])(nil))},
		{"WithSynth: dataset 1: must not be nil", synth(organic.NamedDataset[string]{})},
		{"WithSynth: dataset 1: name must not be empty", synth(organic.Named("", 1, always("a")))},
		{
			`WithSynth: dataset 1: weight of "a" is 0, must be a finite number above`,
			synth(organic.Named("a", 0, always("a"))),
		},
		{
			`WithSynth: dataset 1: weight of "b" is -1, must be a finite number above`,
			synth(organic.Named("b", -1, always("a"))),
		},
		{
			`dataset 2: weight of "c" is NaN, must be a finite number above 0`,
			synth(always("a"), organic.Named("c", math.NaN(), always("a"))),
		},
		{
			`WithSynth: dataset 1: weight of "d" is +Inf, must be a finite number`,
			synth(organic.Named("d", math.Inf(1), always("a"))),
		},
		{"WithSynth: have []organic.NamedDataset[int]", organic.WithSynth(number)},
		{"WithSynthRatio(-0.1): must be from 0 to 1", organic.WithSynthRatio(-0.1)},
		{"WithSynthRatio(1.5): must be from 0 to 1", organic.WithSynthRatio(1.5)},
		{"WithSynthRatio(NaN): must be from 0 to 1", organic.WithSynthRatio(math.NaN())},
		{"WithSynthRatio(+Inf): must be from 0 to 1", organic.WithSynthRatio(math.Inf(1))},
		{"WithSynthRatio(0.5): needs WithSynth", organic.WithSynthRatio(0.5)},
	}
}

func badNumbers() []badOption {
	const second = time.Second
	bury := func(context.Context, organic.Sample[int], error) error { return nil }
	return []badOption{
		{"New: option 3 is nil", nil},
		{"New: option 3 is nil, inside organic_test.embeddedOption", embeddedOption{}},
		{"WithAxon(nil): must be an axon", organic.WithAxon(nil)},
		{"WithAxon(nil): must be an axon", organic.WithAxon((*organictest.Axon)(nil))},
		{"WithLogger(nil): must be a logger", organic.WithLogger(nil)},
		{"WithSlog(&slog.Logger{}): must be made by slog.New", organic.WithSlog(new(slog.Logger))},
		{"WithObserver(nil): must be a function", organic.WithObserver(nil)},
		{"WithDeadLetter(nil): must be a function", organic.WithDeadLetter[string](nil)},
		{"WithDeadLetter: have organic.deadLetterFunc[int]", organic.WithDeadLetter(bury)},
		{"WithConcurrency(0): must be at least 1", organic.WithConcurrency(0)},
		{"WithConcurrency(-1): must be at least 1", organic.WithConcurrency(-1)},
		{
			"WithRetry: RetryPolicy.Attempts is -2, must be at",
			organic.WithRetry(organic.RetryPolicy{Attempts: -2}),
		},
		{
			"WithRetry: RetryPolicy.Delay is -1s, must not be",
			organic.WithRetry(organic.RetryPolicy{Delay: -second}),
		},
		{
			"WithRetry: RetryPolicy.MaxDelay is -1s, must be",
			organic.WithRetry(organic.RetryPolicy{MaxDelay: -second}),
		},
		{
			"RetryPolicy.MaxDelay is 1s, must be at least Delay (1m0s)",
			organic.WithRetry(organic.RetryPolicy{Delay: time.Minute, MaxDelay: second}),
		},
		{
			"WithStage(sample): stage must be from StageQuery to StageLog",
			organic.WithStage(organic.StageSample, organic.StagePolicy{}),
		},
		{
			"WithStage(settle): stage must be from StageQuery to StageLog",
			organic.WithStage(organic.StageSettle, organic.StagePolicy{}),
		},
		{
			"WithStage(dead letter): stage must be from StageQuery",
			organic.WithStage(organic.StageDeadLetter, organic.StagePolicy{}),
		},
		{
			"WithStage(entry): stage must be from StageQuery to StageLog",
			organic.WithStage(organic.StageEntry, organic.StagePolicy{}),
		},
		{
			"WithStage(unknown): stage must be from StageQuery",
			organic.WithStage(0, organic.StagePolicy{}),
		},
		{
			"WithStage(99): stage must be from StageQuery to StageLog",
			organic.WithStage(99, organic.StagePolicy{}),
		},
		{
			"WithStage(query): StagePolicy.Timeout is -1s, must not be negative",
			organic.WithStage(organic.StageQuery, organic.StagePolicy{Timeout: -second}),
		},
		{
			"WithStage(weights): StagePolicy.Tries is -1, must not be negative",
			organic.WithStage(organic.StageWeights, organic.StagePolicy{Tries: -1}),
		},
		{
			"WithStage(log): StagePolicy.Backoff is -1s, must not be negative",
			organic.WithStage(organic.StageLog, organic.StagePolicy{Backoff: -second}),
		},
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// untouched makes hooks and an axon that fail the test when they are used.
func untouched(t *testing.T) (promptHooks, organic.Option) {
	t.Helper()
	return fiveHooks(func(context.Context, organic.Stage) error {
			t.Error("New must not call hooks")
			return nil
		}), organic.WithAxon(attachFunc(func(organic.Handlers) (func(), error) {
			t.Error("New must not attach an axon when something else is wrong")
			return nil, nil
		}))
}

type attachFunc func(organic.Handlers) (func(), error)

func (f attachFunc) Attach(handlers organic.Handlers) (func(), error) { return f(handlers) }

func TestNewRefusesEachBadOption(t *testing.T) {
	t.Parallel()
	for _, test := range slices.Concat(badTriggers(), badSources(), badNumbers()) {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			hooks, axon := untouched(t)
			scorer, err := organic.New(hooks, axon, organic.WithConcurrency(2), test.option)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			require.ErrorContains(t, err, "organic: invalid option: ")
			require.ErrorContains(t, err, test.want)
			require.Nil(t, scorer)
		})
	}
}

func TestNewReportsAllThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	_, axon := untouched(t)
	bad := slices.Concat(badTriggers(), badNumbers()[2:]) // their numbers differ here
	opts := []organic.Option{
		axon,
		organic.WithQueue(must(organic.NewMemoryQueue[int](organic.MemoryConfig{}))), organic.WithSynthRatio(0.5),
	}
	for _, test := range bad {
		opts = append(opts, test.option)
	}
	_, err := organic.New[string, string](nil, append(opts, nil)...)
	for _, test := range bad {
		require.ErrorContains(t, err, test.want)
	}
	for _, want := range []string{
		"hooks must not be nil", "WithQueue: have", "WithSynthRatio(0.5): needs WithSynth",
		fmt.Sprintf("option %d is nil", len(opts)+1),
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestAxonThatCannotBeAttachedFailsNew(t *testing.T) {
	t.Parallel()
	queue := newMemory(t)
	scorer, err := organic.New(promptHooks{}, organic.WithQueue(queue),
		organic.WithAxon(&organictest.Axon{AttachErr: errFailed}))
	require.ErrorIs(t, err, errFailed)
	require.Nil(t, scorer)
}

func TestQueuesAndDatasetsRefuseBadOptions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want string
		err  func() error
	}{
		{"Capacity is -1, must be from 1", queueError(organic.MemoryConfig{Capacity: -1})},
		{
			"Capacity is 2147483648, must be from 1 to 2147483647",
			queueError(organic.MemoryConfig{Capacity: math.MaxInt32 + 1}),
		},
		{"Order is 4, must be OrderRandom", queueError(organic.MemoryConfig{Order: 4})},
		{"MaxAge is -1s, must not be negative", queueError(organic.MemoryConfig{MaxAge: -time.Second})},
		{"Order is 9, must be", queueError(organic.MemoryConfig{Capacity: -1, Order: 9})},
		{"Capacity is -1, must be", queueError(organic.MemoryConfig{Capacity: -1, Order: 9})},
		{"NewSliceDataset: must have at least one payload", func() error {
			_, err := organic.NewSliceDataset([]string{}, 0)
			return err
		}},
		{"NewSliceDataset: must have at least one payload", func() error {
			_, err := organic.NewSliceDataset[string](nil, 0)
			return err
		}},
	}
	for _, test := range tests {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, test.err(), organic.ErrInvalidOption)
			require.ErrorContains(t, test.err(), test.want)
		})
	}
}

func queueError(cfg organic.MemoryConfig) func() error {
	return func() error {
		_, err := organic.NewMemoryQueue[string](cfg)
		return err
	}
}

func TestLastOptionWins(t *testing.T) {
	t.Parallel()
	first, second := newMemory(t), newMemory(t)
	s := newTestScorer(t, promptHooks{}, organic.WithQueue(first), organic.WithQueue(second))
	s.enqueue("prompt")
	require.Equal(t, []int{0, 1}, []int{first.Size(), second.Size()})
}

func TestLongestDurationsDoNotOverflow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const longest = time.Duration(math.MaxInt64)
		s := newTestScorer(t, failing(organic.StageRewards, errFailed),
			organic.WithRetry(organic.RetryPolicy{
				Delay: longest, MaxDelay: longest,
				LoopBackoff: organic.LoopBackoff{Limit: longest},
			}),
			organic.WithStage(organic.StageQuery,
				organic.StagePolicy{Timeout: longest, Abandon: longest, Backoff: longest}),
			organic.WithTrigger(organic.Seconds{Frequency: longest}))
		s.enqueue("prompt")
		s.start()
		time.Sleep(24 * time.Hour)
		require.Empty(t, s.all(organic.EventOverdue))
		require.Greater(t, s.one(organic.EventRetried).Duration, longest/2)
		require.Len(t, s.all(organic.EventStarted), 1)
		s.stop()
	})
}

func TestPoliciesThatContradictTheirDefaultsAreRefused(t *testing.T) {
	t.Parallel()
	nested := organic.Named[string]("outer", 1, organic.Named[string]("inner", 1, nil))
	huge := organic.Named("huge", math.MaxFloat64, always("a"))
	for name, option := range map[string]organic.Option{
		"MaxDelay is 1s, must be at least Delay (5s)": organic.WithRetry(organic.RetryPolicy{MaxDelay: time.Second}),
		"LoopBackoff.Failures is -2":                  organic.WithRetry(organic.RetryPolicy{LoopBackoff: organic.LoopBackoff{Failures: -2}}),
		"LoopBackoff.Limit is -1s":                    organic.WithRetry(organic.RetryPolicy{LoopBackoff: organic.LoopBackoff{Limit: -time.Second}}),
		"dataset 1: must not be nil":                  organic.WithSynth[string](nested),
		"the sum of the weights is infinite":          organic.WithSynth(huge, huge),
		"WithHeldLimit(0): must be at least 1":        organic.WithHeldLimit(0),
		"WithSlog(nil): must be a logger":             organic.WithSlog(nil),
	} {
		_, err := organic.New(promptHooks{}, option)
		require.ErrorIs(t, err, organic.ErrInvalidOption, name)
		require.ErrorContains(t, err, name)
	}
}

func TestNewReportsAllThatIsWrongWithOneOption(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		option organic.Option
		want   []string
	}{
		"seconds": {
			organic.WithTrigger(organic.Seconds{
				Frequency: -time.Second, Min: -1,
				ScalingFactor: math.NaN(),
			}),
			[]string{"Seconds.Frequency is -1s", "Seconds.Min is -1ns", "Seconds.ScalingFactor is NaN"},
		},
		"steps": {
			organic.WithTrigger(organic.Steps{Frequency: -1, Min: -2, ScalingFactor: math.Inf(-1)}),
			[]string{"Steps.Frequency is -1", "Steps.Min is -2", "Steps.ScalingFactor is -Inf"},
		},
		"frequency alone": {
			organic.WithTrigger(organic.Seconds{Frequency: -time.Second}),
			[]string{"Seconds.Frequency is -1s"},
		},
		"retry": {
			organic.WithRetry(organic.RetryPolicy{
				Attempts: -2, Delay: -1, MaxDelay: -2,
				LoopBackoff: organic.LoopBackoff{Failures: -3, Limit: -3},
			}),
			[]string{
				"RetryPolicy.Attempts is -2", "RetryPolicy.Delay is -1ns", "RetryPolicy.MaxDelay is -2ns",
				"LoopBackoff.Failures is -3", "LoopBackoff.Limit is -3ns",
			},
		},
		"stage": {
			organic.WithStage(organic.StageWeights,
				organic.StagePolicy{Timeout: -1, Tries: -2, Backoff: -3, Abandon: -4}),
			[]string{
				"StagePolicy.Timeout is -1ns", "StagePolicy.Tries is -2", "StagePolicy.Backoff is -3ns",
				"StagePolicy.Abandon is -4ns",
			},
		},
		"unknown stage": {
			organic.WithStage(organic.StageEntry, organic.StagePolicy{Timeout: -1}),
			[]string{"stage must be from", "StagePolicy.Timeout is -1ns"},
		},
		"dataset": {
			organic.WithSynth(organic.Named[string]("", -1, nil)),
			[]string{
				"dataset 1: must not be nil", "dataset 1: name must not be empty",
				"dataset 1: weight of \"\" is -1",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := organic.New(promptHooks{}, tt.option)
			require.ErrorIs(t, err, organic.ErrInvalidOption)
			lines := strings.Split(err.Error(), "\n")
			require.Len(t, lines, len(tt.want))
			for i, line := range lines {
				require.Contains(t, line, "organic: invalid option: With")
				require.Contains(t, line, tt.want[i])
			}
		})
	}
}
