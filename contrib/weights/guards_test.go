package weights_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// The subnet of these tests: two miners of the same quality, of which one
// cheats, a better one, and the cheater's other hotkey.
var cheated = weights.Metagraph{Neurons: []weights.Neuron{
	{Hotkey: "cheater", Coldkey: "owner"},
	{Hotkey: "honest", Coldkey: "somebody"},
	{Hotkey: "better", Coldkey: "another"},
	{Hotkey: "sister", Coldkey: "owner"},
}}

const (
	cheater organic.UID = iota
	honest
	better
	sister
)

var (
	organically   = weights.Round{Origin: organic.Organic, Asked: cheated}
	synthetically = weights.Round{Origin: organic.Synthetic, Asked: cheated}
)

// from is an organic round that this requester asked for.
func from(requester string) weights.Round {
	round := organically
	round.Requester = requester
	return round
}

// subnet plays rounds with rewards out of a fixed seed.
type subnet struct {
	t      *testing.T
	scores *weights.Scores
	random *rand.Rand
}

func newSubnet(t *testing.T, average weights.Average, guards ...weights.Guard) *subnet {
	t.Helper()
	scores, err := weights.NewScores(average, weights.WithGuards(guards...))
	require.NoError(t, err)
	require.NoError(t, scores.SetMetagraph(cheated))
	return &subnet{t: t, scores: scores, random: rand.New(rand.NewPCG(3, 4))}
}

// reward is of a quality, give or take a tenth.
func (s *subnet) reward(quality float64) float64 { return quality + 0.2*(s.random.Float64()-0.5) }

// play asks all miners n times.
func (s *subnet) play(n int, round weights.Round) {
	s.t.Helper()
	for range n {
		update(s.t, s.scores, round, organic.Rewards{
			cheater: s.reward(0.5), honest: s.reward(0.5), better: s.reward(0.6), sister: s.reward(0.1),
		})
	}
}

// flood has one miner alone asked n times, with always the same reward.
func (s *subnet) flood(n int, round weights.Round, miner organic.UID, reward float64) (tally weights.Tally) {
	s.t.Helper()
	for range n {
		tally = update(s.t, s.scores, round, organic.Rewards{miner: reward})
	}
	return tally
}

// gain is how far the cheater is above the honest miner of the same quality.
func (s *subnet) gain() float64 {
	values := s.scores.Values()
	return values[cheater] - values[honest]
}

// cheat is a way of cheating, the guard against it, and what the cheater gains
// over an honest miner.
type cheat struct {
	name    string
	guard   weights.Guard
	cheat   func(s *subnet)
	without float64 // at least
	with    float64 // at most
}

var cheats = []cheat{
	{
		name: "answers known before", guard: weights.AboveSynthetic(1), without: 0.2, with: 0.02,
		cheat: func(s *subnet) { s.play(60, synthetically); s.flood(60, from("accomplice"), cheater, 1) },
	},
	{
		name: "answers known before, mixed with others", guard: weights.AboveSynthetic(1), without: 0.15, with: 0.03,
		cheat: func(s *subnet) {
			for range 30 {
				s.play(1, synthetically)
				s.play(1, from("user"))
				s.flood(3, from("accomplice"), cheater, 1)
			}
		},
	},
	{
		name: "no synthetics to compare with", guard: weights.AboveSynthetic(1), without: 0.7, with: 0,
		cheat: func(s *subnet) { s.flood(60, from("accomplice"), cheater, 1) },
	},
	{
		name: "praise instead of work", guard: weights.PenaltyOnly(), without: 0.2, with: 0.02,
		cheat: func(s *subnet) { s.play(60, synthetically); s.flood(60, from("accomplice"), cheater, 1) },
	},
	{
		name: "a few staged answers", guard: weights.MinSamples(10), without: 0.05, with: 0.02,
		cheat: func(s *subnet) { s.play(60, synthetically); s.flood(9, from("accomplice"), cheater, 1) },
	},
	{
		name: "one requester floods its own miner", guard: weights.MaxRequesterShare(0.05), without: 0.15, with: 0.05,
		cheat: func(s *subnet) {
			for n := range 300 {
				s.play(1, synthetically)
				s.play(1, from("user "+strconv.Itoa(n%40)))
				s.flood(5, from("accomplice"), cheater, 1)
			}
		},
	},
	{
		name: "asks as the hotkey", guard: weights.NoSelfDealing(), without: 0.2, with: 0.02,
		cheat: func(s *subnet) { s.play(60, synthetically); s.flood(60, from("cheater"), cheater, 1) },
	},
	{
		name: "asks as the coldkey", guard: weights.NoSelfDealing(), without: 0.2, with: 0.02,
		cheat: func(s *subnet) { s.play(60, synthetically); s.flood(60, from("owner"), cheater, 1) },
	},
	{
		name: "asks as a sister", guard: weights.NoSelfDealing(), without: 0.2, with: 0.02,
		cheat: func(s *subnet) { s.play(60, synthetically); s.flood(60, from("sister"), cheater, 1) },
	},
}

// TestCheatersGainNothingMuch plays each way of cheating without a guard, and
// with the guard against it.
func TestCheatersGainNothingMuch(t *testing.T) {
	t.Parallel()
	for _, tt := range cheats {
		for _, average := range []weights.Average{weights.Hold(0.1), weights.Decay(0.02), weights.Window(40, 0)} {
			t.Run(fmt.Sprint(tt.name, " ", average), func(t *testing.T) {
				t.Parallel()
				open, guarded := newSubnet(t, average), newSubnet(t, average, tt.guard)
				tt.cheat(open)
				tt.cheat(guarded)
				t.Logf("gain without the guard %.3f, with it %.3f", open.gain(), guarded.gain())
				require.Greater(t, open.gain(), tt.without)
				require.LessOrEqual(t, guarded.gain(), tt.with)
			})
		}
	}
}

// TestHonestMinersLoseNothingByGuards: those asked by many users stand as they
// would without guards.
func TestHonestMinersLoseNothingByGuards(t *testing.T) {
	t.Parallel()
	guards := []weights.Guard{
		weights.AboveSynthetic(2), weights.MinSamples(5), weights.MaxRequesterShare(0.25), weights.NoSelfDealing(),
	}
	for _, average := range []weights.Average{weights.Hold(0.05), weights.Decay(0.05), weights.Window(40, 0)} {
		t.Run(average.String(), func(t *testing.T) {
			t.Parallel()
			open, guarded := newSubnet(t, average), newSubnet(t, average, guards...)
			for _, s := range []*subnet{open, guarded} {
				for n := range 600 { // until no miner is new
					s.play(1, synthetically)
					s.play(1, from("user "+strconv.Itoa(n%20)))
				}
			}
			require.InDeltaSlice(t, open.scores.Values(), guarded.scores.Values(), 1e-9)
			require.Greater(t, guarded.scores.Values()[better], guarded.scores.Values()[honest])
		})
	}
}

func TestStandingsNameTheGuard(t *testing.T) {
	t.Parallel()
	s := newSubnet(t, weights.Hold(0.1), weights.AboveSynthetic(1), weights.MinSamples(3), weights.MaxRequesterShare(0.2))
	s.play(50, synthetically)
	s.flood(2, from("user"), honest, 0.5)
	s.flood(20, from("accomplice"), cheater, 0.9)
	s.flood(20, from("user"), better, 0.6)
	standings := s.scores.Standings()
	require.Equal(t, []string{"AboveSynthetic", "MinSamples", "", ""},
		[]string{standings[0].Void, standings[1].Void, standings[2].Void, standings[3].Void})
	require.Equal(t, "cheater", standings[0].Hotkey)
	require.Equal(t, 20, standings[0].Organic.Count)
	require.InDelta(t, 0.9, standings[0].Organic.Mean, 1e-9)
	require.InDelta(t, 0.5, standings[0].Synthetic.Mean, 0.05)
	require.InDelta(t, 0.06, standings[0].Synthetic.Deviation, 0.03)
	require.InDelta(t, 0.27, standings[2].Capped, 0.01, "20 of 70 would be 0.47 by mass, 0.2 are allowed")
	require.Zero(t, standings[3].Capped)
}

// TestSelfDealingLeavesTheOthersTheirRewards: one round, two miners of the
// requester's owner.
func TestSelfDealingLeavesTheOthersTheirRewards(t *testing.T) {
	t.Parallel()
	s := newSubnet(t, weights.Hold(1), weights.NoSelfDealing())
	all := organic.Rewards{cheater: 1, honest: 1, better: 1, sister: 1}
	require.Equal(t, weights.Tally{Counted: 2, SelfDealt: 2}, update(t, s.scores, from("sister"), all))
	require.Equal(t, []float64{0, 1, 1, 0}, s.scores.Values())
	require.Equal(t, weights.Tally{Counted: 4}, update(t, s.scores, from(""), all), "an unknown requester owns nobody")
	round := synthetically
	round.Requester = "sister"
	require.Equal(t, weights.Tally{Counted: 4}, update(t, s.scores, round, all), "synthetic queries are the validator's")
}

// TestNobodyOwnsMinersWithoutColdkeys: two unknown owners are not the same.
func TestNobodyOwnsMinersWithoutColdkeys(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"a", "b"}, weights.WithGuards(weights.NoSelfDealing()))
	round := func(requester string) weights.Round {
		return weights.Round{Requester: requester, Asked: weights.Hotkeys("a", "b")}
	}
	all := organic.Rewards{0: 1, 1: 1}
	require.Equal(t, weights.Tally{Counted: 2}, update(t, scores, round("user"), all))
	require.Equal(t, weights.Tally{Counted: 1, SelfDealt: 1}, update(t, scores, round("a"), all))
}

func TestGuardsCountFromTheirLimitOn(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{weights.Hold(0.1), weights.Window(10, 0)} {
		few := newSubnet(t, average, weights.MinSamples(3))
		void := func(s *subnet) string { return s.scores.Standings()[honest].Void }
		require.Empty(t, void(few), "without organic rewards there is nothing to leave out")
		few.flood(2, organically, honest, 0.5)
		require.Equal(t, "MinSamples", void(few))
		few.flood(1, organically, honest, 0.5)
		require.Empty(t, void(few))

		above := newSubnet(t, average, weights.AboveSynthetic(0))
		above.flood(1, organically, honest, 0.5)
		above.flood(1, synthetically, honest, 0.5)
		require.Equal(t, "AboveSynthetic", void(above), "one synthetic reward has no deviation")
		above.flood(1, synthetically, honest, 0.5)
		require.Empty(t, void(above), "as good is not above")
		above.flood(1, organically, honest, 0.51)
		require.Equal(t, "AboveSynthetic", void(above))
	}
}

// TestWhatHasFadedIsForgotten keeps numbers out of the range where dividing by
// them overflows.
func TestWhatHasFadedIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSubnet(t, weights.Hold(0.5), weights.PenaltyOnly(), weights.MaxRequesterShare(0.1))
	s.flood(3, from("user"), honest, -1)
	s.flood(30, from("user"), honest, 1)
	require.Equal(t, 3, s.scores.Standings()[honest].Organic.Count)
	s.flood(3000, from("user"), honest, 1)
	require.Zero(t, s.scores.Standings()[honest].Organic)
	require.NotContains(t, string(saved(t, s.scores)), "requesters")
	s.flood(1, from("user"), honest, -1)
	require.Less(t, s.scores.Values()[honest], 0.0)
}

func TestPenaltiesLowerAScoreAndAreForgottenInTime(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{weights.Hold(0.1), weights.Window(10, 0)} {
		s := newSubnet(t, average, weights.PenaltyOnly())
		s.flood(50, synthetically, honest, 0.5)
		s.flood(50, synthetically, better, 0.5)
		require.Equal(t, weights.Tally{Counted: 1}, s.flood(3, from("user"), honest, -1))
		after := s.scores.Values()
		require.Less(t, after[honest], after[better]-0.2)
		require.Equal(t, weights.Tally{Neutral: 1}, s.flood(8, from("user"), honest, 0.9))
		require.Greater(t, s.scores.Values()[honest], after[honest])
		s.flood(400, from("user"), honest, 0)
		values := s.scores.Values()
		require.InDelta(t, values[better], values[honest], 1e-9)
	}
}

// TestFloodCannotSinkACompetitor: bad answers to one requester count as far as
// good ones do.
func TestFloodCannotSinkACompetitor(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{weights.Hold(0.1), weights.Window(20, 0)} {
		lost := func(guards ...weights.Guard) float64 {
			s := newSubnet(t, average, guards...)
			s.play(100, synthetically)
			before := s.scores.Values()[better]
			s.flood(100, from("competitor"), better, 0)
			return before - s.scores.Values()[better]
		}
		require.Greater(t, lost(), 0.25)
		require.LessOrEqual(t, lost(weights.MaxRequesterShare(0.1)), 0.1*0.7)
	}
}

// TestRequestersCannotMakeTheScoresGrow sends queries under 20 000 names, long
// ones too, and looks at all that is kept.
func TestRequestersCannotMakeTheScoresGrow(t *testing.T) {
	t.Parallel()
	for _, average := range []weights.Average{weights.Hold(0.0001), weights.Window(50, 0)} {
		s := newSubnet(t, average, weights.MaxRequesterShare(0.1))
		long := string(make([]byte, 1<<16))
		s.flood(10_000, from("accomplice"), cheater, 1)
		for n := range 20_000 {
			s.flood(1, from(strconv.Itoa(n)), cheater, 0.5)
		}
		s.flood(1, from(long), cheater, 0.5)
		file := saved(t, s.scores)
		require.Less(t, len(file), 8_000, "%v", average)
	}
}

// TestFloodOfNamesDoesNotHideTheHeaviest: names that come once are the ones
// that are forgotten.
func TestFloodOfNamesDoesNotHideTheHeaviest(t *testing.T) {
	t.Parallel()
	s := newSubnet(t, weights.Hold(0.01), weights.MaxRequesterShare(0.1))
	for n := range 3000 {
		s.flood(1, from("accomplice"), cheater, 1)
		s.flood(1, from(strconv.Itoa(n)), cheater, 0)
	}
	require.InDelta(t, 0.4, s.scores.Standings()[cheater].Capped, 0.02, "half of all, and 0.1 are allowed")
	require.InDelta(t, 0.1, s.scores.Values()[cheater], 0.02)
}

// TestCapLeavesTheScoreOfSyntheticsInPlace works the numbers out by hand.
func TestCapLeavesTheScoreOfSyntheticsInPlace(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		play func(s *subnet)
		want float64
	}{
		{name: "one requester, no synthetics", want: 0.25, play: func(s *subnet) { s.flood(4, from("a"), honest, 1) }},
		{name: "two requesters", want: 0.25 * (1 + 0.4), play: func(s *subnet) {
			s.flood(2, from("a"), honest, 1)
			s.flood(2, from("b"), honest, 0.4)
		}},
		{name: "enough requesters", want: (1 + 0.8 + 0.6 + 0.4) / 4, play: func(s *subnet) {
			for n, reward := range []float64{1, 0.8, 0.6, 0.4} {
				s.flood(1, from(strconv.Itoa(n)), honest, reward)
			}
		}},
		{name: "beside synthetics", want: 0.25*1 + 0.75*0.2, play: func(s *subnet) {
			s.flood(4, from("a"), honest, 1)
			s.flood(4, synthetically, honest, 0.2)
		}},
		{name: "without names, as one", want: 0.25, play: func(s *subnet) { s.flood(4, organically, honest, 1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSubnet(t, weights.Window(4, 0), weights.MaxRequesterShare(0.25))
			tt.play(s)
			require.InDelta(t, tt.want, s.scores.Values()[honest], 1e-12)
		})
	}
}
