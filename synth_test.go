package organic_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func newSlice[S any](t *testing.T, payloads []S, seed uint64) *organic.SliceDataset[S] {
	t.Helper()
	dataset, err := organic.NewSliceDataset(payloads, seed)
	require.NoError(t, err)
	return dataset
}

func TestDatasetsConform(t *testing.T) {
	t.Parallel()
	function := organic.SynthFunc[string](func(context.Context) (string, error) { return "a", nil })
	tests := []struct {
		name string
		make func(t *testing.T) organic.SynthDataset[string]
	}{
		{name: "slice", make: func(t *testing.T) organic.SynthDataset[string] { t.Helper(); return newSlice(t, []string{"a", "b"}, 0) }},
		{name: "slice of one", make: func(t *testing.T) organic.SynthDataset[string] { t.Helper(); return newSlice(t, []string{"a"}, 0) }},
		{name: "slice with seed", make: func(t *testing.T) organic.SynthDataset[string] {
			t.Helper()
			return newSlice(t, []string{"a", "b"}, 1)
		}},
		{name: "function", make: func(*testing.T) organic.SynthDataset[string] { return function }},
		{name: "named", make: func(*testing.T) organic.SynthDataset[string] { return organic.Named[string]("a", 2, function) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			organictest.TestSynthDataset(t, tt.make)
		})
	}
}

func TestSynthFuncPassesOnWhatTheFunctionReturns(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	type key struct{}
	function := organic.SynthFunc[any](func(ctx context.Context) (any,
		error,
	) {
		return ctx.Value(key{}), own
	})
	for _, dataset := range []organic.SynthDataset[any]{
		function,
		organic.Named[any]("a", 1, function),
	} {
		payload, err := dataset.Sample(context.WithValue(t.Context(), key{}, "payload"))
		require.Equal(t, "payload", payload)
		require.ErrorIs(t, err, own)
	}
}

func TestSlicePicksAreUniform(t *testing.T) {
	t.Parallel()
	const payloads, draws = 50, 200_000
	numbers := make([]int, payloads)
	for n := range numbers {
		numbers[n] = n
	}
	dataset := newSlice(t, numbers, 1)
	counts := make([]int, payloads)
	for range draws {
		n, err := dataset.Sample(t.Context())
		require.NoError(t, err)
		counts[n]++
	}
	require.Less(t, chiSquare(counts, draws), 134.0, "p = 1e-9 at 49 degrees of freedom: %v", counts)
}

func TestSeedRepeatsSlicePicks(t *testing.T) {
	t.Parallel()
	numbers := make([]int, 100)
	for n := range numbers {
		numbers[n] = n
	}
	picks := func(seed uint64) (picked []int) {
		dataset := newSlice(t, numbers, seed)
		for range 100 {
			n, err := dataset.Sample(t.Context())
			require.NoError(t, err)
			picked = append(picked, n)
		}
		return picked
	}
	seeded, unseeded := picks(7), picks(0)
	require.Equal(t, seeded, picks(7))
	require.NotEqual(t, seeded, picks(8))
	require.NotEqual(t, unseeded, picks(0))
}

func TestEmptySliceIsRefused(t *testing.T) {
	t.Parallel()
	for _, payloads := range [][]int{nil, {}} {
		dataset, err := organic.NewSliceDataset(payloads, 0)
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		require.Nil(t, dataset)
	}
}

// TestNamesAndWeightsDecideThePicks lets a scorer pick among datasets.
func TestNamesAndWeightsDecideThePicks(t *testing.T) {
	t.Parallel()
	const draws = 20_000
	give := organic.SynthFunc[string](func(context.Context) (string, error) { return "a", nil })
	counts := make(map[string]int)
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(_ context.Context, sample organic.Sample[string], _ organic.Rewards) error {
			counts[sample.Source]++
			require.Equal(t, organic.Synthetic, sample.Origin)
			return nil
		},
	}
	scorer, err := organic.New(hooks, organic.WithSeed(1), organic.WithSynth[string](
		organic.Named[string]("rare", 1, give), organic.Named[string]("common", 6, give), give,
	))
	require.NoError(t, err)
	for range draws {
		_, err := scorer.Iterate(t.Context())
		require.NoError(t, err)
	}
	require.Len(t, counts, 3)
	for name, share := range map[string]float64{"rare": 1. / 8, "common": 6. / 8, "synth-3": 1. / 8} {
		sigma := math.Sqrt(draws * share * (1 - share))
		require.InDelta(t, draws*share, counts[name], 6*sigma, name)
	}
}

// leftAlone are the times at which a source that always fails is asked: it is
// skipped for 1 s, doubling up to 1 min.
var leftAlone = []time.Duration{
	0, 1 * time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second,
	63 * time.Second, 123 * time.Second, 183 * time.Second, 243 * time.Second,
}

func TestFailingQueueIsSkippedWhileDatasetsGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		queue := newFaultyQueue(t)
		queue.beforeSample = func(context.Context) error {
			j.add("asked")
			return errFailed
		}
		s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue),
			organic.WithSynth(always("made up")),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		stats := s.runFor(243500 * time.Millisecond)
		require.Equal(t, leftAlone, j.when())
		require.Equal(t, uint64(244), stats.SyntheticScored)
		require.Equal(t, uint64(len(leftAlone)), stats.SourceFailed)
		for i, e := range s.all(organic.EventSourceFailed) {
			require.Equal(t, doubling(time.Second, i, time.Minute), e.Duration)
			require.Equal(t, "queue", e.Source)
			require.Equal(t, organic.StageSample, e.Stage)
			require.ErrorIs(t, e.Err, errFailed)
		}
	})
}

func TestFailingQueueAloneIsAskedAgainInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		queue := newFaultyQueue(t)
		queue.beforeSample = func(context.Context) error {
			if j.add("asked") <= 6 {
				return errFailed
			}
			return nil
		}
		s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue),
			organic.WithTrigger(organic.Seconds{Frequency: time.Hour}))
		s.enqueue("prompt")
		stats := s.runFor(2 * time.Minute)
		require.Equal(t, leftAlone[:7], j.when())
		require.Equal(t, uint64(1), stats.Scored)
	})
}

func TestSuccessEndsTheCountOfFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		dataset := organic.SynthFunc[string](func(context.Context) (string, error) {
			if calls++; calls%4 != 0 {
				return "", errFailed
			}
			return "made up", nil
		})
		s := newTestScorer(t, promptHooks{}, organic.WithSynth(dataset),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		s.runFor(time.Minute)
		failures := s.all(organic.EventSourceFailed)
		require.Greater(t, len(failures), 9)
		for i, e := range failures {
			require.Equal(t, doubling(time.Second, i%3, time.Minute), e.Duration)
		}
	})
}

func TestFailingDatasetIsSkippedWhileOthersGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := newHookDiary()
		broken := organic.SynthFunc[string](func(context.Context) (string, error) {
			j.add("asked")
			return "", errFailed
		})
		s := newTestScorer(t, promptHooks{},
			organic.WithSynth(organic.Named("broken", 1e12, broken),
				organic.Named("sound", 1, always("made up"))),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		stats := s.runFor(243500 * time.Millisecond)
		require.Equal(t, leftAlone, j.when())
		require.Equal(t, uint64(244), stats.SyntheticScored)
		for _, e := range s.all(organic.EventSourceFailed) {
			require.Equal(t, "broken", e.Source)
		}
	})
}

func TestErrorOfAllSourcesIsReturned(t *testing.T) {
	t.Parallel()
	queue := newFaultyQueue(t)
	queue.beforeSample = func(context.Context) error { return fmt.Errorf("connection: %w", errFailed) }
	broken := organic.SynthFunc[string](func(context.Context) (string, error) {
		return "",
			errSibling
	})
	s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue), organic.WithSynth(broken, broken))
	_, err := s.Iterate(t.Context())
	require.ErrorIs(t, err, errFailed)
	require.ErrorIs(t, err, errSibling)
	require.NotErrorIs(t, err, organic.ErrEmpty)
	require.Equal(t, []organic.Stage{organic.StageSample, organic.StageSample, organic.StageSample},
		stagesOf(err))
	_, err = s.Iterate(t.Context())
	require.ErrorIs(t, err, errFailed, "the queue is in back-off")
	require.NotErrorIs(t, err, organic.ErrEmpty)
}

// leaseAndError returns a lease beside its error.
type leaseAndError struct{ settled atomic.Int64 }

func (*leaseAndError) Add(context.Context, promptSample) error { return nil }
func (*leaseAndError) Size() int                               { return 0 }

func (q *leaseAndError) Sample(context.Context) (promptLease, error) {
	return promptLease{
		Sample: organic.NewSample("leased"),
		Settle: func(context.Context, organic.Verdict) error {
			q.settled.Add(1)
			return nil
		},
	}, errFailed
}

func TestLeaseThatComesWithAnErrorIsIgnored(t *testing.T) {
	t.Parallel()
	queue := &leaseAndError{}
	s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue),
		organic.WithSynth(always("made up")))
	result, err := s.Iterate(t.Context())
	require.NoError(t, err)
	require.Equal(t, organic.Synthetic, result.Sample.Origin)
	require.Equal(t, "made up", result.Sample.Payload)
	require.Zero(t, queue.settled.Load())
}

func TestEmptyQueueHasNotFailed(t *testing.T) {
	t.Parallel()
	queue := newFaultyQueue(t)
	queue.beforeSample = func(context.Context) error {
		return fmt.Errorf("shared queue: %w",
			organic.ErrEmpty)
	}
	s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue))
	_, err := s.Iterate(t.Context())
	require.ErrorIs(t, err, organic.ErrEmpty)
	require.Zero(t, s.Stats().SourceFailed)
}

func TestInterruptedSourceHasNotFailed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	queue := newFaultyQueue(t)
	queue.beforeSample = func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	}
	s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue))
	_, err := s.Iterate(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, s.Stats().SourceFailed)
}

func TestQueuedNilIsASampleLikeAnyOther(t *testing.T) {
	t.Parallel()
	v := &chatValidator{}
	var err error
	v.OrganicScorer, err = organic.New(v)
	require.NoError(t, err)
	_, err = v.Enqueue(t.Context(), nil)
	require.NoError(t, err)
	_, err = v.Iterate(t.Context())
	require.NoError(t, err)
	_, err = v.Iterate(t.Context())
	require.ErrorIs(t, err, organic.ErrEmpty)
}

// sourcesOf counts where the samples of n iterations came from.
func sourcesOf(t *testing.T, s *promptScorer, n int) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for range n {
		result, err := s.Iterate(t.Context())
		require.NoError(t, err)
		counts[result.Sample.Source]++
	}
	return counts
}

func TestDatasetsArePickedByWeight(t *testing.T) {
	t.Parallel()
	const draws = 4000
	weights := map[string]float64{"rare": 1, "common": 2.5, "frequent": 4.5}
	for seed := range uint64(3) {
		s, err := organic.New(promptHooks{}, organic.WithSeed(seed), organic.WithSynth(
			organic.Named("rare", weights["rare"], always("a")),
			organic.Named("common", weights["common"], always("b")),
			organic.Named("frequent", weights["frequent"], always("c")),
		))
		require.NoError(t, err)
		counts := sourcesOf(t, s, draws)
		var chiSquare float64
		for name, weight := range weights {
			want := draws * weight / 8
			chiSquare += (float64(counts[name]) - want) * (float64(counts[name]) - want) / want
		}
		require.Less(t, chiSquare, 13.8, "two degrees of freedom: once in 1000: %v", counts)
	}
}

func TestUnnamedDatasetsAreNamedByTheirPlace(t *testing.T) {
	t.Parallel()
	s := newTestScorer(t, promptHooks{}, organic.WithSynth[string](
		always("a"), organic.Named("own", 1, always("b")), always("c"), always("d"),
	), organic.WithSeed(1))
	counts := sourcesOf(t, s.promptScorer, 200)
	for _, name := range []string{"synth", "own", "synth-3", "synth-4"} {
		require.NotZerof(t, counts[name], "%s of %v", name, counts)
	}
	require.Len(t, counts, 4)
}

func TestNamedByPointerKeepsNameAndWeight(t *testing.T) {
	t.Parallel()
	named := organic.Named("own", 2, always("a"))
	s := newTestScorer(t, promptHooks{}, organic.WithSynth[string](&named))
	require.Equal(t, map[string]int{"own": 1}, sourcesOf(t, s.promptScorer, 1))
}

func TestSynthRatioMixesSyntheticSamplesIn(t *testing.T) {
	t.Parallel()
	const draws = 2000
	tests := []struct {
		ratio     float64
		low, high int
	}{
		{0, 0, 0},
		{0.3, 520, 680}, // 600 ± 4 standard deviations
		{1, draws, draws},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.ratio), func(t *testing.T) {
			t.Parallel()
			s := newTestScorer(t, promptHooks{}, organic.WithSynth(always("made up")),
				organic.WithSynthRatio(test.ratio), organic.WithSeed(7))
			for range draws {
				s.enqueue("prompt")
			}
			counts := sourcesOf(t, s.promptScorer, draws)
			require.GreaterOrEqual(t, counts["synth"], test.low)
			require.LessOrEqual(t, counts["synth"], test.high)
			stats := s.stop()
			require.Equal(t, uint64(counts["synth"]), stats.SyntheticScored)
			require.Equal(t, uint64(draws-counts["synth"]), stats.Scored)
		})
	}
}

func TestOrganicSampleIsTakenWhereTheDatasetFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		broken := organic.SynthFunc[string](func(context.Context) (string, error) {
			calls.Add(1)
			return "", errFailed
		})
		s := newTestScorer(t, promptHooks{}, organic.WithSynth(broken), organic.WithSynthRatio(1))
		s.enqueue("first", "second", "third")
		require.Equal(t, map[string]int{"": 3}, sourcesOf(t, s.promptScorer, 3))
		require.Equal(t, int64(1), calls.Load(), "skipped after the first failure")
		_, err := s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed, "the dataset is in back-off")
		require.Equal(t, int64(1), calls.Load())
		time.Sleep(time.Second)
		_, err = s.Iterate(t.Context())
		require.ErrorIs(t, err, errFailed)
	})
}

func TestSyntheticSampleIsTakenWhereTheRatioWantsAnOrganicOneAndThereIsNone(t *testing.T) {
	t.Parallel()
	s := newTestScorer(t, promptHooks{}, organic.WithSynth(always("made up")),
		organic.WithSynthRatio(0.01), organic.WithSeed(1))
	require.Equal(t, map[string]int{"synth": 20}, sourcesOf(t, s.promptScorer, 20))
}

func TestSlowDatasetDelaysNoOrganicSample(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := organic.SynthFunc[string](func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		s := newTestScorer(t, promptHooks{}, organic.WithSynth(slow), organic.WithConcurrency(3),
			organic.WithTrigger(organic.Seconds{Frequency: time.Second}))
		s.start()
		time.Sleep(1500 * time.Millisecond) // the dataset is being asked
		s.enqueue("prompt")
		time.Sleep(time.Second)
		require.Equal(t, []time.Duration{2 * time.Second}, s.at(organic.EventStarted))
		begun := time.Now()
		s.stop()
		require.LessOrEqual(t, time.Since(begun), 10*time.Second)
	})
}

func TestUnbuiltSliceDatasetReturnsAnError(t *testing.T) {
	t.Parallel()
	for _, dataset := range []*organic.SliceDataset[string]{nil, {}} {
		_, err := dataset.Sample(t.Context())
		require.ErrorIs(t, err, organic.ErrNotBuilt)
	}
}

func TestDatasetThatIsNamedInsideItselfDoesNotHangNew(t *testing.T) {
	t.Parallel()
	dataset := organic.Named("inner", 1, organic.SynthDataset[string](endless))
	dataset = organic.Named("outer", 1, organic.SynthDataset[string](&dataset))
	_, err := organic.New(promptHooks{}, organic.WithSynth[string](dataset))
	require.NoError(t, err)
}

// TestQueueThatRecoversDuringItsReportIsAskedAgain has an observer take longer
// than the back-off of the queue whose failure it is notified of.
func TestQueueThatRecoversDuringItsReportIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, slow := range []time.Duration{0, 1500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			queue, fails := &watchedMemory{faultyQueue: newFaultyQueue(t)}, new(atomic.Int64)
			queue.beforeSample = func(context.Context) error {
				if fails.Add(-1) >= 0 {
					return errFailed
				}
				return nil
			}
			s := newTestScorer(t, promptHooks{}, organic.WithQueue(queue),
				organic.WithObserver(func(e organic.Event) {
					if e.Kind == organic.EventSourceFailed {
						time.Sleep(slow)
					}
				}))
			s.start()
			time.Sleep(time.Second)
			fails.Store(1)
			s.enqueue("prompt")
			time.Sleep(time.Minute)
			require.EqualValues(t, 1, s.stop().Scored)
		})
	}
}
