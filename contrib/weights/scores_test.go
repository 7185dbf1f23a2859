package weights_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// wide is a range that holds all rewards of tests that are not about ranges.
var wide = weights.Between(-math.MaxFloat32, math.MaxFloat32)

// newScores returns scores that know these hotkeys, without guards unless opts have some.
func newScores(
	tb testing.TB, average weights.Average, hotkeys []string, opts ...weights.ScoresOption,
) *weights.Scores {
	tb.Helper()
	scores, err := weights.NewScores(average, wide,
		append([]weights.ScoresOption{weights.WithGuards()}, opts...)...)
	require.NoError(tb, err)
	require.NoError(tb, scores.SetMetagraph(weights.Hotkeys(hotkeys...)))
	return scores
}

// update feeds a round in which the miners were asked just now.
func update(
	tb testing.TB, scores *weights.Scores, round weights.Round, rewards organic.Rewards,
) weights.Tally {
	tb.Helper()
	if round.Metagraph.Neurons == nil && round.Received.IsZero() {
		round.Received = time.Now()
	}
	tally, err := scores.Update(round, rewards)
	require.NoError(tb, err)
	return tally
}

func TestExcludedHotkeysHaveNoScore(t *testing.T) {
	t.Parallel()
	var excluded []string
	scores := newScores(t, weights.Window(8, 0), []string{"a", "b", "c"},
		weights.WithExcluded(func() []string { return excluded }))
	update(t, scores, weights.Round{ID: "1"}, organic.Rewards{0: 1, 1: 0.5, 2: 0.5})

	excluded = []string{"a", "not registered"}
	standings := scores.Standings()
	require.Equal(t, []float64{0, 0.5, 0.5}, scores.Values())
	require.True(t, standings[0].Excluded)
	require.False(t, standings[1].Excluded)
	require.InDelta(t, 1, standings[0].Synthetic.Mean+standings[0].Organic.Mean, 1e-12, "is kept")
	vector, err := scores.Convert()
	require.NoError(t, err)
	require.Equal(t, []organic.UID{1, 2}, vector.UIDs)

	update(t, scores, weights.Round{ID: "2"}, organic.Rewards{0: 1})
	excluded = []string{"a", "b", "c"}
	require.True(t, scores.Status().Void)
	_, err = scores.Convert()
	require.ErrorIs(t, err, weights.ErrNoScores)

	excluded = nil
	require.Equal(t, []float64{1, 0.5, 0.5}, scores.Values())
	require.Equal(t, 2, scores.Standings()[0].Organic.Count+scores.Standings()[0].Synthetic.Count)
}

func TestBadScoresOptionsAreReportedTogether(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		average weights.Average
		opt     weights.ScoresOption
		want    string
	}{
		{name: "no rule", want: "Average{}: must be Hold, Decay or Window"},
		{name: "alpha 0", average: weights.Hold(0), want: "Hold(0): alpha must be from 1e-06 to 1"},
		{name: "alpha above 1", average: weights.Decay(1.5), want: "Decay(1.5): alpha"},
		{name: "alpha NaN", average: weights.Decay(math.NaN()), want: "Decay(NaN): alpha"},
		{
			name: "window of nothing", average: weights.Window(0, 0),
			want: "Window(0, 0s): must keep from 1 to 1024",
		},
		{name: "window of too much", average: weights.Window(1025, 0), want: "must keep from 1 to 1024"},
		{name: "negative age", average: weights.Window(1, -1), want: "age must not be negative"},
		{
			name: "both weights 0", opt: weights.WithOriginWeights(0, 0),
			want: "WithOriginWeights(0, 0): must be finite",
		},
		{
			name: "negative weight", opt: weights.WithOriginWeights(1, -1),
			want: "WithOriginWeights(1, -1)",
		},
		{name: "NaN weight", opt: weights.WithOriginWeights(math.NaN(), 1), want: "must be finite"},
		{name: "infinite weight", opt: weights.WithOriginWeights(math.Inf(1), 1), want: "must be finite"},
		{
			name: "negative band", opt: weights.WithGuards(weights.AroundSynthetic(-0.1, 0)),
			want: "AroundSynthetic(-0.1, 0): below must be from 0 to 1",
		},
		{
			name: "band below zero", opt: weights.WithGuards(weights.AroundSynthetic(1.1, 0)),
			want: "AroundSynthetic(1.1, 0)",
		},
		{
			name: "infinite band", opt: weights.WithGuards(weights.AroundSynthetic(0, math.Inf(1))),
			want: "AroundSynthetic(0, +Inf)",
		},
		{
			name: "NaN band", opt: weights.WithGuards(weights.AroundSynthetic(math.NaN(), 0)),
			want: "AroundSynthetic(NaN, 0)",
		},
		{
			name: "organic share", opt: weights.WithGuards(weights.MaxOrganicShare(0)),
			want: "MaxOrganicShare(0): must be above 0",
		},
		{
			name: "requester share 0", opt: weights.WithGuards(weights.MaxRequesterShare(0)),
			want: "MaxRequesterShare(0): must be from 0.01",
		},
		{
			name: "requester share above 1", opt: weights.WithGuards(weights.MaxRequesterShare(1.1)),
			want: "MaxRequesterShare(1.1)",
		},
		{
			name: "ramp without samples", opt: weights.WithGuards(weights.RampUp(0, 0)),
			want: "RampUp(0, 0s): samples must be at least 1",
		},
		{
			name: "ramp with a negative deadline", opt: weights.WithGuards(weights.RampUp(1, -1)),
			want: "RampUp(1, -1ns)",
		},
		{
			name: "no exclusion", opt: weights.WithExcluded(nil),
			want: "WithExcluded(nil): must be a function",
		},
		{
			name: "no requester weight", opt: weights.WithRequesterWeight(nil),
			want: "WithRequesterWeight(nil)",
		},
		{
			name: "negative grace", opt: weights.WithGrace(-1),
			want: "WithGrace(-1ns): must not be negative",
		},
		{name: "no logger", opt: weights.WithLogger(nil), want: "WithLogger(nil)"},
		{name: "zero guard", opt: weights.WithGuards(weights.Guard{}), want: "must be a guard"},
		{name: "nil", opt: nil, want: "option 1 must not be nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scores, err := weights.NewScores(tt.average, weights.Between(0, 1), tt.opt)
			require.ErrorIs(t, err, weights.ErrInvalidOption)
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, scores)
		})
	}
	_, err := weights.NewScores(weights.Hold(2), weights.Between(1, 1),
		weights.WithOriginWeights(0, 0),
		weights.WithGuards(weights.RampUp(0, 0)))
	for _, want := range []string{"Hold(2)", "range from 1 to 1", "WithOriginWeights", "RampUp"} {
		require.ErrorContains(t, err, want)
	}
}

func TestRangesThatCannotBe(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for _, rewards := range []weights.Range{
		{},
		{Min: 1},
		{Min: nan, Max: 1},
		{Max: nan},
		{Max: inf},
		{Min: -inf},
		{Max: 1e39},
	} {
		_, err := weights.NewScores(weights.Hold(0.1), rewards)
		require.ErrorIs(t, err, weights.ErrInvalidOption, "%v", rewards)
	}
}

func TestBadMetagraphsAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		metagraph weights.Metagraph
		want      string
	}{
		{name: "nil, as a failed look-up leaves it", want: "no neurons"},
		{name: "empty", metagraph: weights.Metagraph{}, want: "no neurons"},
		{name: "no hotkey", metagraph: weights.Hotkeys("a", ""), want: "UID 1 has no hotkey"},
		{name: "hotkey twice", metagraph: weights.Hotkeys("a", "b", "a"), want: "UIDs 0 and 2"},
		{
			name: "too many", metagraph: weights.Metagraph{Neurons: make([]weights.Neuron, 65537)},
			want: "65537 neurons",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scores := newScores(t, weights.Hold(1), []string{"a", "b"})
			update(t, scores, weights.Round{}, organic.Rewards{1: 0.5})
			err := scores.SetMetagraph(tt.metagraph)
			require.ErrorIs(t, err, weights.ErrMetagraph)
			require.ErrorContains(t, err, tt.want)
			require.Equal(t, []float64{0, 0.5}, scores.Values())
		})
	}
}

func TestMetagraphIsCopied(t *testing.T) {
	t.Parallel()
	metagraph := weights.Hotkeys("a", "b")
	scores := newScores(t, weights.Hold(1), []string{"z"})
	require.NoError(t, scores.SetMetagraph(metagraph))
	metagraph.Neurons[0].Hotkey = "changed"
	require.Equal(t, "a", scores.Standings()[0].Hotkey)
}

func TestHotkeysAreLookedUp(t *testing.T) {
	t.Parallel()
	metagraph := weights.Hotkeys("a", "b")
	uid, ok := metagraph.UID("a")
	require.True(t, ok, "UID 0 is a UID")
	require.Equal(t, organic.UID(0), uid)
	_, ok = metagraph.UID("c")
	require.False(t, ok)
}

func TestBadUpdatesChangeNothing(t *testing.T) {
	t.Parallel()
	asked := weights.Round{ID: "bad", Metagraph: weights.Hotkeys("a", "b")}
	tests := []struct {
		name    string
		round   weights.Round
		rewards organic.Rewards
		want    error
		text    string
	}{
		{
			name: "UID the subnet did not have", round: asked, rewards: organic.Rewards{0: 1, 2: 1, 7: 1},
			want: weights.ErrUIDRange, text: "UID 2 of 2",
		},
		{
			name: "UID the subnet never had", round: weights.Round{Received: time.Now()},
			rewards: organic.Rewards{2: 1}, want: weights.ErrUIDRange,
		},
		{
			name:  "UID that was asked and the subnet did not have",
			round: weights.Round{Asked: []organic.UID{5, 3}, Received: time.Now()},
			want:  weights.ErrUIDRange, text: "UID 3 of 2",
		},
		{
			name: "unknown when", round: weights.Round{}, rewards: organic.Rewards{0: 1},
			want: weights.ErrWhenAsked,
		},
		{
			name: "unknown origin", round: weights.Round{Origin: 2, Received: time.Now()},
			rewards: organic.Rewards{0: 1}, want: weights.ErrInvalidOption,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scores := newScores(t, weights.Decay(0.5), []string{"a", "b"})
			update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1})
			before := scores.Standings()
			tally, err := scores.Update(tt.round, tt.rewards)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
			require.Zero(t, tally)
			require.Equal(t, before, scores.Standings())
			require.False(t, update(t, scores, asked, organic.Rewards{0: 1}).Repeated,
				"a round that failed may come again")
		})
	}
}

func TestNothingWorksBeforeTheMetagraphIsKnown(t *testing.T) {
	t.Parallel()
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
	require.NoError(t, err)
	_, err = scores.Update(weights.Round{Received: time.Now()}, organic.Rewards{0: 1})
	require.ErrorIs(t, err, weights.ErrNoMetagraph)
	_, err = scores.Convert()
	require.ErrorIs(t, err, weights.ErrNoMetagraph)
	require.Nil(t, scores.Values())
	require.Nil(t, scores.Standings())
}

// TestEachRewardReachesItsMiner: in one hand-written validator one of five did, because two lists
// did not agree; in another UID 0 counted as none.
func TestEachRewardReachesItsMiner(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"a", "b", "c", "d", "e"})
	for step := 1.0; step <= 3; step++ {
		tally := update(t, scores, weights.Round{},
			organic.Rewards{0: step, 1: 2 * step, 2: 3 * step, 3: 4 * step, 4: 5 * step})
		require.Equal(t, weights.Tally{Counted: 5}, tally)
		require.Equal(t, []float64{step, 2 * step, 3 * step, 4 * step, 5 * step}, scores.Values())
	}
	update(t, scores, weights.Round{}, organic.Rewards{0: 9})
	vector, err := scores.Convert()
	require.NoError(t, err)
	require.Equal(t, organic.UID(0), vector.UIDs[0])
	require.InDelta(t, 9, vector.Rows[0].Score, 0, "as it was, not divided")
}

func TestMinersStartFromZeroWhenTheHotkeyChanges(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{
		weights.Hold(0.5), weights.Decay(0.5),
		weights.Window(3, 0),
	} {
		t.Run(average.String(), func(t *testing.T) {
			t.Parallel()
			scores := newScores(t, average, []string{"a", "b", "c"})
			for range 5 {
				update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 2, 2: 3})
			}
			full := scores.Values()
			set := func(want []float64, hotkeys ...string) {
				require.NoError(t, scores.SetMetagraph(weights.Hotkeys(hotkeys...)))
				require.Equal(t, want, scores.Values())
			}
			set([]float64{full[0], 0, full[2]}, "a", "x", "c")
			set([]float64{full[0], 0, full[2], 0, 0}, "a", "x", "c", "b", "e") // b has registered again
			set([]float64{full[0], 0}, "a", "x")
			set([]float64{full[0], 0, full[2]}, "a", "x", "c") // c was missing
			set([]float64{0, 0, full[2]}, "x", "a", "c")       // both have moved
		})
	}
}

func TestRewardsOfUIDsThatChangedHandsAreNotCounted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		round    func(before weights.Metagraph, changed time.Time) weights.Round
		stranded int
	}{
		{
			name: "asked by the old metagraph", stranded: 2,
			round: func(before weights.Metagraph, _ time.Time) weights.Round {
				return weights.Round{Metagraph: before}
			},
		},
		{
			name: "received before the change", stranded: 2,
			round: func(_ weights.Metagraph, changed time.Time) weights.Round {
				return weights.Round{Received: changed.Add(-1)}
			},
		},
		{
			name: "received long before the first metagraph", stranded: 2,
			round: func(weights.Metagraph, time.Time) weights.Round {
				return weights.Round{Received: time.Unix(0, 0)}
			},
		},
		{
			name: "received at the change", stranded: 1,
			round: func(_ weights.Metagraph, changed time.Time) weights.Round {
				return weights.Round{Received: changed}
			},
		},
		{
			name: "the metagraph decides over the time", stranded: 2,
			round: func(before weights.Metagraph, changed time.Time) weights.Round {
				return weights.Round{Metagraph: before, Received: changed.Add(time.Hour)}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				before := weights.Hotkeys("a", "b", "c")
				scores := newScores(t, weights.Hold(1), []string{"a", "b", "c"})
				time.Sleep(time.Hour)
				require.NoError(t, scores.SetMetagraph(weights.Hotkeys("a", "x")))
				tally := update(t, scores, tt.round(before, time.Now()), organic.Rewards{0: 1, 1: 1, 2: 1})
				require.Equal(t, weights.Tally{Counted: 3 - tt.stranded, Stranded: tt.stranded}, tally)
				require.Equal(t, []float64{1, float64(2 - tt.stranded)}, scores.Values())
			})
		})
	}
}

func TestRoundIsCountedOnce(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(0.5), []string{"a"})
	sample := organic.NewSample("prompt")
	sample.Requester = "a user"
	round := weights.RoundOf(sample)
	require.Equal(t, weights.Round{
		ID: sample.ID, Origin: organic.Organic, Requester: "a user",
		Received: sample.Received,
	}, round)

	require.Equal(t, weights.Tally{}, update(t, scores, round, nil), "without rewards nothing happens")
	require.Equal(t, weights.Tally{Counted: 1}, update(t, scores, round, organic.Rewards{0: 1}))
	require.Equal(t, weights.Tally{Repeated: true}, update(t, scores, round, organic.Rewards{0: 1}))
	require.Equal(t, []float64{0.5}, scores.Values())

	for n := range 4096 { // push it out
		update(t, scores, weights.Round{ID: strconv.Itoa(n)}, organic.Rewards{0: 1})
	}
	require.True(t, update(t, scores, weights.Round{ID: "0"}, organic.Rewards{0: 1}).Repeated)
	require.False(t, update(t, scores, round, organic.Rewards{0: 1}).Repeated)
	require.False(t, update(t, scores, weights.Round{ID: "0"}, organic.Rewards{0: 1}).Repeated,
		"the oldest was forgotten for it")
}

func TestOriginWeightsCountAtOnceAndForThePast(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                string
		organics, synthetic float64
		want                []float64 // both origins, organic alone, synthetic alone
	}{
		{name: "the same", organics: 1, synthetic: 1, want: []float64{0.6, 1, 0.2}},
		{name: "organic threefold", organics: 3, synthetic: 1, want: []float64{0.8, 1, 0.2}},
		{
			name: "only the ratio counts", organics: 1.5e300, synthetic: 0.5e300,
			want: []float64{0.8, 1, 0.2},
		},
		{name: "organic alone", organics: 2, synthetic: 0, want: []float64{1, 1, 0}},
		{name: "synthetic alone", organics: 0, synthetic: 5, want: []float64{0.2, 0, 0.2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, average := range []weights.Average{weights.Hold(1), weights.Window(1, 0)} {
				changed := newScores(t, average, []string{"both", "organic", "synthetic"})
				given := newScores(t, average, []string{"both", "organic", "synthetic"},
					weights.WithOriginWeights(tt.organics, tt.synthetic))
				for _, scores := range []*weights.Scores{changed, given} {
					update(t, scores, weights.Round{Origin: organic.Organic}, organic.Rewards{0: 1, 1: 1})
					update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{0: 0.2, 2: 0.2})
				}
				require.ErrorIs(t, changed.SetOriginWeights(0, 0), weights.ErrInvalidOption)
				require.NoError(t, changed.SetOriginWeights(tt.organics, tt.synthetic))
				require.InDeltaSlice(t, tt.want, changed.Values(), 1e-12)
				require.InDeltaSlice(t, tt.want, given.Values(), 1e-12)
			}
		})
	}
}

// TestFirstOrganicRewardHardlyMovesAnEstablishedMiner: two averages that both
// begin at 0 would halve its score.
func TestFirstOrganicRewardHardlyMovesAnEstablishedMiner(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{
		weights.Hold(0.1), weights.Decay(0.1),
		weights.Window(10, 0),
	} {
		scores := newScores(t, average, []string{"a"})
		for range 200 {
			update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{0: 0.8})
		}
		update(t, scores, weights.Round{Origin: organic.Organic}, organic.Rewards{0: 1})
		require.InDelta(t, (0.8+0.1*1)/1.1, scores.Values()[0], 1e-6, average)
	}
}

func TestConvertRefusesToPayAllMinersForNothing(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"owner", "b"})
	_, err := scores.Convert()
	require.ErrorIs(t, err, weights.ErrNoScores)
	update(t, scores, weights.Round{}, organic.Rewards{0: -1, 1: -2})
	_, err = scores.Convert(weights.WithBurn(0.9, 0))
	require.ErrorIs(t, err, weights.ErrNoScores)
	_, err = scores.Convert(weights.WithMaxWeight(2))
	require.ErrorIs(t, err, weights.ErrInvalidOption)
	vector, err := scores.Convert(weights.WithBurn(1, 0))
	require.NoError(t, err)
	require.Equal(t, []organic.UID{0}, vector.UIDs)
}

func TestNegativeScoresCountAsZero(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"a", "b"})
	update(t, scores, weights.Round{}, organic.Rewards{0: -1, 1: 1000})
	vector, err := scores.Convert(weights.WithMinAllowed(2))
	require.NoError(t, err)
	require.Equal(t, []organic.UID{1, 0}, vector.UIDs)
	require.Equal(t, []uint16{65535, 0}, vector.Weights)
	require.InDelta(t, -1, scores.Values()[0], 0)
}

// TestScoresStayFinite feeds the largest rewards there can be.
func TestScoresStayFinite(t *testing.T) {
	t.Parallel()
	guards := weights.WithGuards(weights.AroundSynthetic(1, 3), weights.MaxRequesterShare(0.5))
	for _, average := range []weights.Average{
		weights.Hold(0.1), weights.Decay(1e-6), weights.Decay(1),
		weights.Window(7, 0),
	} {
		scores := newScores(t, average, []string{"a", "b"}, guards)
		for n := range 2000 {
			value := math.MaxFloat32 * float64(1-2*(n%2))
			update(t, scores, weights.Round{
				Origin:    organic.Origin(n / 2 % 2),
				Requester: strconv.Itoa(n % 3),
			}, organic.Rewards{organic.UID(n / 1000): value})
			for _, score := range scores.Values() {
				require.LessOrEqual(t, math.Abs(score), math.MaxFloat32*1.001)
			}
		}
		load(t, snapshot(t, scores), newScores(t, average, []string{"a", "b"}))
	}
}

// TestScoresAreSafeForConcurrentUse is for the race detector.
func TestScoresAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Decay(0.1), []string{"a", "b"},
		weights.WithGuards(weights.MaxRequesterShare(0.2)))
	saver := open(t, filepath.Join(t.TempDir(), "scores.json"), scores)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			for n := range 50 {
				round := weights.Round{ID: fmt.Sprint(g, n), Requester: strconv.Itoa(n), Received: time.Now()}
				_, err := scores.Update(round, organic.Rewards{0: 1, 1: 0.5})
				require.NoError(t, err)
				require.NoError(t, scores.SetMetagraph(weights.Hotkeys([]string{"a", "b", "c"}[:2+n%2]...)))
				require.NoError(t, scores.SetOriginWeights(1, float64(n)))
				_, err = scores.Convert()
				require.NoError(t, err)
				_, _ = scores.Standings(), scores.Status()
				if n%10 == 0 {
					require.NoError(t, saver.Save())
				}
			}
		})
	}
	group.Wait()
}
