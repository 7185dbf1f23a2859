package weights_test

import (
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// The miners of a subnet in which the first one's owner cheats.
const (
	cheater organic.UID = iota
	sister              // of the same owner
	honest
	other
)

var cheated = weights.Metagraph{Neurons: []weights.Neuron{
	{Hotkey: "cheater", Coldkey: "owner"},
	{Hotkey: "sister", Coldkey: "owner"},
	{Hotkey: "honest", Coldkey: "ann"},
	{Hotkey: "other", Coldkey: "bert"},
}}

var rules = []weights.Average{weights.Hold(0.1), weights.Decay(0.1), weights.Window(50, 0)}

func newCheated(t *testing.T, average weights.Average, guards ...weights.Guard) *weights.Scores {
	t.Helper()
	scores := newScores(t, average, []string{"unused"}, weights.WithGuards(guards...))
	require.NoError(t, scores.SetMetagraph(cheated))
	return scores
}

// rounds feeds so many rounds with the same rewards.
func rounds(
	t *testing.T, scores *weights.Scores, n int, origin organic.Origin, requester string,
	rewards organic.Rewards,
) (sum weights.Tally) {
	t.Helper()
	for range n {
		tally := update(t, scores, weights.Round{
			Origin: origin, Requester: requester,
			Metagraph: cheated,
		}, rewards)
		sum.Counted += tally.Counted
		sum.Missing += tally.Missing
		sum.SelfDealt += tally.SelfDealt
		sum.Unweighted += tally.Unweighted
	}
	return sum
}

func equally(reward float64) organic.Rewards {
	return organic.Rewards{cheater: reward, sister: reward, honest: reward, other: reward}
}

func TestOrganicRewardsCountInsideABandAroundSyntheticOnes(t *testing.T) {
	t.Parallel()
	for _, rule := range rules {
		t.Run(rule.String(), func(t *testing.T) {
			t.Parallel()
			scores := newCheated(t, rule, weights.AroundSynthetic(0.2, 0.1), weights.MaxOrganicShare(0.5))
			rounds(t, scores, 200, organic.Synthetic, "", equally(0.5))
			known := scores.Values()[other]
			rounds(t, scores, 200, organic.Organic, "names",
				organic.Rewards{cheater: 1, sister: 0.54, honest: 0})
			values := scores.Values()
			require.InDelta(t, known*1.05, values[cheater], 1e-6, "the upper edge counts half")
			require.InDelta(t, known*1.04, values[sister], 1e-6, "inside the band it counts as it is")
			require.InDelta(t, known*0.9, values[honest], 1e-6, "the lower edge counts half")
			require.InDelta(t, known, values[other], 1e-6, "was not asked, and is not lowered")
			standings := scores.Standings()
			require.True(t, standings[cheater].Banded)
			require.False(t, standings[sister].Banded)
			require.False(t, standings[other].Banded)
		})
	}
}

func TestNoOrganicQueryMovesADefaultScoreBeyondItsBound(t *testing.T) {
	t.Parallel()
	for _, rule := range rules {
		scores, err := weights.NewScores(rule, weights.Between(0, 1), weights.WithOriginWeights(100, 1))
		require.NoError(t, err)
		require.NoError(t, scores.SetMetagraph(cheated))
		rounds(t, scores, 200, organic.Synthetic, "", equally(0.5))
		known := scores.Values()[other]
		for n := range 1000 {
			rounds(t, scores, 1, organic.Organic, strconv.Itoa(n%50),
				organic.Rewards{cheater: math.Inf(1), sister: -1e30, honest: 0, other: math.NaN()})
		}
		values := scores.Values()
		require.LessOrEqual(t, values[cheater], known*1.05*(1+1e-9), rule)
		for _, victim := range []organic.UID{sister, honest, other} {
			require.GreaterOrEqual(t, values[victim], known*0.95*(1-1e-9), rule)
		}
	}
}

func TestABandRoundNegativeScoresDoesNotLiftThem(t *testing.T) {
	t.Parallel()
	scores := newCheated(t, weights.Window(10, 0), weights.AroundSynthetic(0.5, 0.5))
	rounds(t, scores, 10, organic.Synthetic, "", equally(-1))
	rounds(t, scores, 10, organic.Organic, "", equally(1))
	require.InDelta(t, -0.75, scores.Values()[honest], 1e-9)
}

func TestOrganicShareIsLimitedWhateverTheWeights(t *testing.T) {
	t.Parallel()
	for _, rule := range rules {
		scores := newScores(t, rule, []string{"a"}, weights.WithOriginWeights(1000, 1),
			weights.WithGuards(weights.MaxOrganicShare(0.25)))
		for range 300 {
			update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{0: 0})
			update(t, scores, weights.Round{Origin: organic.Organic}, organic.Rewards{0: 1})
		}
		require.InDelta(t, 0.25, scores.Values()[0], 1e-6, rule)
	}
}

func TestARequesterHasItsShareAndNoMore(t *testing.T) {
	t.Parallel()
	for _, rule := range rules {
		t.Run(rule.String(), func(t *testing.T) {
			t.Parallel()
			scores := newCheated(t, rule, weights.MaxRequesterShare(0.2), weights.MaxOrganicShare(0.5))
			rounds(t, scores, 100, organic.Synthetic, "", equally(0.5))
			for n := range 100 {
				rounds(t, scores, 1, organic.Organic, "user "+strconv.Itoa(n%10), equally(0.5))
				rounds(t, scores, 9, organic.Organic, "flood", organic.Rewards{honest: 0, cheater: 1})
			}
			standings := scores.Standings()
			require.InDelta(t, 0.5-0.2*0.5, standings[honest].Guarded, 0.06)
			require.InDelta(t, 0.5+0.2*0.5, standings[cheater].Guarded, 0.06)
			require.Greater(t, standings[honest].Capped, 0.6)
			require.Zero(t, standings[other].Capped)
		})
	}
}

func TestManyRequestersOfOneMinerStayBounded(t *testing.T) {
	t.Parallel()
	scores := newCheated(t, weights.Hold(0.01), weights.MaxRequesterShare(0.1))
	rounds(t, scores, 100, organic.Synthetic, "", equally(0.5))
	for n := range 3000 {
		rounds(t, scores, 1, organic.Organic, strconv.Itoa(n), organic.Rewards{honest: 0.5})
	}
	size := len(content(t, snapshot(t, scores)))
	require.Less(t, size, 8000, "20 requesters and not 3000")
}

func TestOwnersDoNotPayTheirOwnMiners(t *testing.T) {
	t.Parallel()
	for _, requester := range []string{"cheater", "sister", "owner"} {
		for _, rule := range rules {
			scores := newCheated(t, rule, weights.NoSelfDealing())
			before := scores.Values()
			tally := rounds(t, scores, 50, organic.Organic, requester,
				organic.Rewards{cheater: 1, sister: 1})
			require.Equal(t, weights.Tally{SelfDealt: 100}, tally)
			require.Equal(t, before, scores.Values())
			tally = rounds(t, scores, 1, organic.Organic, requester, equally(1))
			require.Equal(t, weights.Tally{Counted: 2, SelfDealt: 2}, tally, "the others keep theirs")
		}
	}
}

func TestANewcomerRampsUpOverSamplesOrTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scores := newCheated(t, weights.Window(50, 0), weights.RampUp(10, 24*time.Hour))
		rounds(t, scores, 20, organic.Synthetic, "", equally(0.5))
		again := cheated
		again.Neurons = append([]weights.Neuron{{Hotkey: "cheater again", Coldkey: "owner"}},
			cheated.Neurons[1:]...)
		require.NoError(t, scores.SetMetagraph(again))
		require.InDeltaSlice(t, []float64{0, 0.5, 0.5, 0.5}, scores.Values(), 1e-9)

		update(t, scores, weights.Round{Origin: organic.Organic}, organic.Rewards{cheater: 1})
		require.Zero(t, scores.Values()[cheater],
			"organic rewards are no samples while there are synthetic ones")
		update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{cheater: 1})
		require.InDelta(t, 0.1, scores.Values()[cheater], 1e-9, "one lucky answer")
		require.InDelta(t, 0.1, scores.Standings()[cheater].Known, 1e-9)
		time.Sleep(24 * time.Hour)
		require.InDelta(t, 1, scores.Values()[cheater], 1e-9, "is no newcomer any more")
	})
}

func TestARampWithoutSyntheticRewardsCountsOrganicOnes(t *testing.T) {
	t.Parallel()
	scores := newCheated(t, weights.Window(50, 0), weights.RampUp(10, 0))
	rounds(t, scores, 4, organic.Organic, "", equally(0.5))
	require.InDelta(t, 0.2, scores.Values()[honest], 1e-9)
}

func TestAnOrganicRoundLowersNoMinerThatWasNotAsked(t *testing.T) {
	t.Parallel()
	scores := newCheated(t, weights.Decay(0.1))
	rounds(t, scores, 50, organic.Synthetic, "", equally(0.5))
	rounds(t, scores, 5, organic.Organic, "user", equally(0.5))
	before := scores.Values()
	rounds(t, scores, 50, organic.Organic, "flood", organic.Rewards{cheater: 0.5})
	require.InDeltaSlice(t, before[sister:], scores.Values()[sister:], 1e-12)
	rounds(t, scores, 50, organic.Synthetic, "", organic.Rewards{cheater: 0.5})
	require.Less(t, scores.Values()[honest], before[honest], "a synthetic one does: that is the rule")
}

func TestALeftOutAnswerCountsAsZero(t *testing.T) {
	t.Parallel()
	scores := newCheated(t, weights.Window(10, 0))
	round := weights.Round{
		ID: "1", Origin: organic.Synthetic, Metagraph: cheated,
		Asked: []organic.UID{cheater, honest, honest, other},
	}
	tally := update(t, scores, round, organic.Rewards{honest: 1, sister: 1})
	require.Equal(t, weights.Tally{Counted: 4, Missing: 2}, tally)
	require.Equal(t, []int{1, 1, 1, 1}, counts(scores))
	round.ID = "2"
	update(t, scores, round, organic.Rewards{cheater: 1, honest: 1, other: 1})
	require.InDeltaSlice(t, []float64{0.5, 1, 1, 0.5}, scores.Values(), 1e-9)
	round.ID = "3"
	require.Equal(t, weights.Tally{Counted: 3, Missing: 3}, update(t, scores, round, nil),
		"no answer at all")
	require.Equal(t, []int{3, 1, 3, 3}, counts(scores))
}

func counts(scores *weights.Scores) (all []int) {
	for _, standing := range scores.Standings() {
		all = append(all, standing.Organic.Count+standing.Synthetic.Count)
	}
	return all
}

func TestRewardsOutsideTheRangeAreClampedCountedAndLoggedOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	scores, err := weights.NewScores(weights.Window(100, 0), weights.Between(-0.5, 2),
		weights.WithGuards(), weights.WithLogger(zap.New(core)))
	require.NoError(t, err)
	require.NoError(t, scores.SetMetagraph(weights.Hotkeys("a", "b", "c")))
	for range 3 {
		tally := update(t, scores, weights.Round{},
			organic.Rewards{0: 3e38, 1: math.Inf(-1), 2: math.NaN()})
		require.Equal(t, weights.Tally{Counted: 3, Clamped: 3}, tally)
	}
	require.Equal(t, []float64{2, -0.5, 0}, scores.Values())
	require.EqualValues(t, 9, scores.Status().Clamped)
	require.Equal(t, 3, scores.Standings()[0].Clamped)
	require.Equal(t, 3, logs.FilterMessageSnippet("reward outside the range").Len(),
		"once for each miner")
}

func TestAHugeRewardIsForgottenAsAnyOther(t *testing.T) {
	t.Parallel()
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
	require.NoError(t, err)
	require.NoError(t, scores.SetMetagraph(cheated))
	rounds(t, scores, 100, organic.Synthetic, "", equally(0.5))
	rounds(t, scores, 1, organic.Synthetic, "",
		organic.Rewards{cheater: 3e38, honest: -1e30, sister: 0.5, other: 0.5})
	rounds(t, scores, 50, organic.Synthetic, "", equally(0.5))
	require.InDeltaSlice(t, []float64{0.5, 0.5, 0.5, 0.5}, scores.Values(), 0.003)
}

func TestRequestersHaveWeights(t *testing.T) {
	t.Parallel()
	weight := func(requester string) float64 {
		return map[string]float64{
			"whale": 1, "fish": 0.25, "nan": math.NaN(), "much": 7,
			"negative": -1,
		}[requester]
	}
	for _, rule := range []weights.Average{weights.Hold(0.001), weights.Window(1000, 0)} {
		scores := newScores(t, rule, []string{"a"}, weights.WithRequesterWeight(weight))
		for range 50 {
			update(t, scores, weights.Round{Requester: "whale"}, organic.Rewards{0: 1})
			update(t, scores, weights.Round{Requester: "fish"}, organic.Rewards{0: 0})
			for _, none := range []string{"nan", "negative", "unknown", ""} {
				tally := update(t, scores, weights.Round{Requester: none}, organic.Rewards{0: 0})
				require.Equal(t, weights.Tally{Unweighted: 1}, tally)
			}
		}
		require.InDelta(t, 0.8, scores.Standings()[0].Organic.Mean, 0.01, rule)
		update(t, scores, weights.Round{Origin: organic.Synthetic}, organic.Rewards{0: 1})
		require.Equal(t, 1, scores.Standings()[0].Synthetic.Count, "synthetic rewards have no requester")
		require.Equal(t, 1, update(t, scores, weights.Round{Requester: "much"},
			organic.Rewards{0: 1}).Counted)
	}
}

func TestGuardsWithoutSyntheticRewardsAreIdleAndSaySo(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1),
		weights.WithLogger(zap.New(core)))
	require.NoError(t, err)
	require.Len(t, scores.Status().Guards, 5)
	require.NoError(t, scores.SetMetagraph(cheated))
	for n := range 1000 {
		rounds(t, scores, 1, organic.Organic, "user "+strconv.Itoa(n%20), equally(0.5))
		if n%100 == 0 {
			_, err = scores.Convert()
			require.NoError(t, err, "organic rewards alone make a vector")
		}
	}
	idle := 0
	for _, guard := range scores.Status().Guards {
		if guard.Idle != "" {
			idle++
		}
	}
	require.Equal(t, 2, idle)
	require.Equal(t, 2, logs.FilterMessageSnippet("nothing to compare with").Len(), "each guard once")

	rounds(t, scores, 30, organic.Synthetic, "", equally(0.5))
	for _, guard := range scores.Status().Guards {
		require.Empty(t, guard.Idle)
	}
}

func TestScoresThatAreAllVoidAreLoggedOnce(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.InfoLevel)
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1),
		weights.WithLogger(zap.New(core)))
	require.NoError(t, err)
	require.NoError(t, scores.SetMetagraph(cheated))
	require.False(t, scores.Status().Void)
	rounds(t, scores, 5, organic.Synthetic, "", equally(0)) // the reference fails, for instance
	rounds(t, scores, 5, organic.Organic, "user", equally(1))
	for range 3 {
		_, err = scores.Convert()
		require.ErrorIs(t, err, weights.ErrNoScores)
	}
	require.True(t, scores.Status().Void)
	require.Equal(t, 1, logs.FilterMessageSnippet("no score is above 0").Len())
}

func TestGuardsCanBeChangedOneByOne(t *testing.T) {
	t.Parallel()
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1),
		weights.WithGuards(append(weights.DefaultGuards(), weights.MaxRequesterShare(0.5))...))
	require.NoError(t, err)
	var names []string
	for _, guard := range scores.Status().Guards {
		names = append(names, guard.Name)
	}
	require.Equal(t, []string{
		"AroundSynthetic(0.1, 0.1)", "MaxOrganicShare(0.5)", "MaxRequesterShare(0.5)",
		"NoSelfDealing()", "RampUp(20, 24h0m0s)",
	}, names)
}

func TestAFewSyntheticRewardsMakeTheOthersEqualWithinTheBand(t *testing.T) {
	t.Parallel()
	for _, rule := range rules {
		scores, err := weights.NewScores(rule, weights.Between(0, 1))
		require.NoError(t, err)
		require.NoError(t, scores.SetMetagraph(cheated))
		rounds(t, scores, 2, organic.Organic, "user", equally(0.5))
		rounds(t, scores, 1, organic.Synthetic, "", organic.Rewards{other: 0.5}) // the source fails then
		for n := range 100 {
			rounds(t, scores, 1, organic.Organic, strconv.Itoa(n), organic.Rewards{cheater: 1, honest: 0})
		}
		values := scores.Values()
		require.InDelta(t, 0.5*1.05, values[cheater], 1e-6, rule)
		require.InDelta(t, 0.5*0.95, values[honest], 1e-6, rule)
		require.Empty(t, scores.Status().Guards[0].Idle)
		rounds(t, scores, 30, organic.Synthetic, "",
			organic.Rewards{cheater: 0.5, sister: 0.5, other: 0.5})
		require.Zero(t, scores.Values()[honest], "most of the others were asked and it was not")
	}
}
