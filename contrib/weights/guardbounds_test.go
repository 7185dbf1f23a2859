package weights_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// only returns scores of one miner, "a".
func only(t *testing.T, average weights.Average, organics, synthetics float64, guards ...weights.Guard) *weights.Scores {
	t.Helper()
	return newScores(t, average, []string{"a"}, weights.WithOriginWeights(organics, synthetics), weights.WithGuards(guards...))
}

// give rewards that miner.
func give(t *testing.T, scores *weights.Scores, round weights.Round, rewards ...float64) {
	t.Helper()
	round.Asked = weights.Hotkeys("a")
	for _, reward := range rewards {
		update(t, scores, round, organic.Rewards{0: reward})
	}
}

// TestOrganicRewardsDoNotAgeYoungMiners: they would scale up the little that
// the synthetic ones have said.
func TestOrganicRewardsDoNotAgeYoungMiners(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                string
		organics, synthetic float64 // weights
		guards              []weights.Guard
		before              []float64
		then                float64
		want                float64
	}{
		{name: "no guard, worthless rewards", organics: 1, synthetic: 1, before: []float64{1, 1}, then: 0, want: 0.0304},
		{name: "no guard, hardly any weight", organics: 0.01, synthetic: 1, before: []float64{1, 1}, then: -1e-6, want: 0.1805},
		{name: "above nothing", organics: 1, synthetic: 1, guards: []weights.Guard{weights.AboveSynthetic(0)}, before: []float64{1, 1}, then: 1, want: 0.19},
		{name: "below the mean", organics: 1, synthetic: 1, guards: []weights.Guard{weights.AboveSynthetic(0.5)}, before: []float64{1, 0.9}, then: 0.6, want: 0.1245},
		{name: "tiny penalties", organics: 0.01, synthetic: 1, guards: []weights.Guard{weights.PenaltyOnly()}, before: []float64{1, 1}, then: -1e-6, want: 0.1805},
		{name: "penalties better than a bad miner", organics: 1, synthetic: 1, guards: []weights.Guard{weights.PenaltyOnly()}, before: []float64{-1, -1}, then: -1e-6, want: -0.19},
		{name: "one requester", organics: 1, synthetic: 1, guards: []weights.Guard{weights.MaxRequesterShare(0.1)}, before: []float64{1}, then: 1, want: 0.19},
		{name: "one requester of little weight", organics: 0.1, synthetic: 1, guards: []weights.Guard{weights.MaxRequesterShare(0.1)}, before: []float64{1}, then: 1, want: 0.19},
		{name: "one requester below the limit", organics: 0.01, synthetic: 1, guards: []weights.Guard{weights.MaxRequesterShare(0.1)}, before: []float64{1}, then: 1, want: 0.1 + 0.01/0.11*0.9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			scores := only(t, weights.Hold(0.1), tt.organics, tt.synthetic, tt.guards...)
			give(t, scores, synthetically, tt.before...)
			for range 200 {
				give(t, scores, from("accomplice"), tt.then)
			}
			require.InDelta(t, tt.want, scores.Values()[0], 1e-3)
		})
	}
}

// TestCapsCannotBePlayedAgainstOtherGuards: a flood of bad answers holds the
// organic mean down, and the cap would then take it out of the score.
func TestCapsCannotBePlayedAgainstOtherGuards(t *testing.T) {
	t.Parallel()
	scores := only(t, weights.Window(20, 0), 1, 1, weights.AboveSynthetic(0), weights.MaxRequesterShare(0.1))
	give(t, scores, synthetically, 0.5, 0.5)
	for n := range 10 {
		give(t, scores, from("accomplice"), 0)
		give(t, scores, from(strconv.Itoa(n)), 0.9)
	}
	require.Empty(t, scores.Standings()[0].Void)
	require.InDelta(t, 0.5, scores.Values()[0], 1e-12)
}

// bounds is a game of random rewards for one miner, and beside its scores those
// of the same synthetic rewards alone.
type bounds struct {
	random            *rand.Rand
	average           weights.Average
	weights           [2]float64
	scores            *weights.Scores
	alone             *weights.Scores // the score by synthetic rewards
	filled            *weights.Scores // the same with each of them 1
	requesters        int
	least, most       float64 // organic rewards so far, and 0
	k, share          float64 // of the guards; negative if none
	penaltyOnly       bool
	organicsAreLikely float64
}

func newBounds(t *testing.T, random *rand.Rand) *bounds {
	t.Helper()
	averages := []weights.Average{
		weights.Hold(0.02 + 0.5*random.Float64()), weights.Decay(0.02 + 0.5*random.Float64()), weights.Window(1+random.IntN(40), 0),
	}
	b := &bounds{
		random: random, average: averages[random.IntN(3)], k: -1, share: -1,
		weights:    [2]float64{math.Pow(10, 4*random.Float64()-2), 1},
		requesters: 1 + random.IntN(3), penaltyOnly: random.IntN(3) == 0, organicsAreLikely: random.Float64(),
	}
	if random.IntN(8) == 0 {
		b.weights = [2]float64{1, 0}
	}
	var guards []weights.Guard
	if random.IntN(2) == 0 {
		b.k = []float64{0, 0.5, 2}[random.IntN(3)]
		guards = append(guards, weights.AboveSynthetic(b.k))
	}
	if random.IntN(2) == 0 {
		b.share = 0.02 + 0.9*random.Float64()
		guards = append(guards, weights.MaxRequesterShare(b.share))
	}
	if b.penaltyOnly {
		guards = append(guards, weights.PenaltyOnly())
	}
	b.scores = only(t, b.average, b.weights[0], b.weights[1], guards...)
	b.alone = only(t, b.average, b.weights[0], b.weights[1])
	b.filled = only(t, b.average, 0, 1)
	return b
}

// play is one round of either origin.
func (b *bounds) play(t *testing.T) {
	t.Helper()
	reward := 2*b.random.Float64() - 0.8
	if b.random.Float64() >= b.organicsAreLikely {
		give(t, b.scores, synthetically, reward)
		give(t, b.alone, synthetically, reward)
		give(t, b.filled, synthetically, 1)
		return
	}
	reward *= []float64{1, 1, 1e-6, -0.5}[b.random.IntN(4)]
	give(t, b.scores, from(strconv.Itoa(b.random.IntN(b.requesters))), reward)
	b.least, b.most = min(b.least, reward), max(b.most, reward)
}

// check holds the score to what the guards say of it.
func (b *bounds) check() error {
	const rounding = 1e-9
	standing, alone := b.scores.Standings()[0], b.alone.Values()[0]
	score := standing.Score
	filled, synthetic := b.filled.Values()[0], standing.Synthetic
	ceiling := max(alone, filled*(synthetic.Mean+b.k*synthetic.Deviation))
	reach := max(b.most-alone, alone-b.least)
	switch {
	case b.penaltyOnly && score > alone+rounding:
		return fmt.Errorf("PenaltyOnly: %v, synthetic alone %v", score, alone)
	case b.k >= 0 && score > ceiling+rounding:
		return fmt.Errorf("AboveSynthetic: %v, at most %v", score, ceiling)
	case b.k == 0 && b.weights[1] > 0 && score > alone+rounding:
		return fmt.Errorf("AboveSynthetic(0): %v, synthetic alone %v", score, alone)
	case b.share > 0 && math.Abs(score-alone) > float64(b.requesters)*b.share*reach+rounding:
		return fmt.Errorf("MaxRequesterShare: %v, synthetic alone %v, reach %v", score, alone, reach)
	case score > max(alone, b.most)+rounding || score < min(alone, b.least)-rounding:
		return fmt.Errorf("%v is beyond all rewards, synthetic alone %v", score, alone)
	}
	return nil
}

// TestOrganicRewardsNeverBreakWhatGuardsPromise plays random rewards, of which
// the miners are mostly new, under random averages, weights and guards.
func TestOrganicRewardsNeverBreakWhatGuardsPromise(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		b := newBounds(t, rand.New(rand.NewPCG(7, seed)))
		for n := range 40 {
			b.play(t)
			if err := b.check(); err != nil {
				require.NoError(t, err, "seed %d, round %d: %v, weights %v, k %v, share %v", seed, n, b.average, b.weights, b.k, b.share)
			}
		}
	}
}

// TestYoungCheatersGainNothingMuch plays against miners with two synthetic
// rewards, where organic ones weigh less and more than those. Each cheat keeps
// to what its guard lets through.
func TestYoungCheatersGainNothingMuch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		guard  weights.Guard
		reward float64 // of what the accomplice has asked
		gain   float64 // with the guard, at most
	}{
		{name: "as good as in synthetics", guard: weights.AboveSynthetic(0.5), reward: 0.45, gain: 0.02},
		{name: "answers known before", guard: weights.AboveSynthetic(0), reward: 1, gain: 0.02},
		{name: "hardly a penalty", guard: weights.PenaltyOnly(), reward: -1e-6, gain: 0.02},
		{name: "one requester floods", guard: weights.MaxRequesterShare(0.05), reward: 1, gain: 0.07},
		{name: "asks in its own name", guard: weights.NoSelfDealing(), reward: 1, gain: 0.02},
		{name: "a few staged answers", guard: weights.MinSamples(100), reward: 1, gain: 0.02},
	}
	for _, tt := range tests {
		for _, ratio := range []float64{0.05, 3} {
			for _, average := range []weights.Average{weights.Hold(0.1), weights.Decay(0.02), weights.Window(200, 0)} {
				t.Run(fmt.Sprint(tt.name, " ", ratio, " ", average), func(t *testing.T) {
					t.Parallel()
					s := newSubnet(t, average, tt.guard)
					require.NoError(t, s.scores.SetOriginWeights(ratio, 1))
					s.play(2, synthetically)
					before := s.scores.Values()[cheater]
					s.flood(90, from("owner"), cheater, tt.reward)
					require.LessOrEqual(t, s.scores.Values()[cheater]-before, tt.gain)
				})
			}
		}
	}
}
