package weights_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// TestSelfDealingDoesNotKeepFromSinking: in rounds that count for others the
// owner's miner sinks like one that was not asked.
func TestSelfDealingDoesNotKeepFromSinking(t *testing.T) {
	t.Parallel()
	s := newSubnet(t, weights.Decay(0.1), weights.NoSelfDealing())
	s.play(50, from("user"))
	for range 50 {
		update(t, s.scores, from("owner"), organic.Rewards{cheater: 1, honest: 1})
	}
	values := s.scores.Values()
	require.InDelta(t, 0, values[cheater], 0.01)
	require.InDelta(t, 0, values[better], 0.01, "was not asked")
	require.InDelta(t, 1, values[honest], 0.01)
}

// TestRoundsThatBelongToNobodySinkNobody: an owner who asks only its own
// miners would else sink all others, and so would the rewards of one that left.
func TestRoundsThatBelongToNobodySinkNobody(t *testing.T) {
	t.Parallel()
	old := from("user")
	old.Asked = weights.Hotkeys("left", "gone", "away", "off")
	tests := []struct {
		name  string
		round weights.Round
		want  weights.Tally
	}{
		{name: "self-dealt", round: from("owner"), want: weights.Tally{SelfDealt: 2}},
		{name: "stranded", round: old, want: weights.Tally{Stranded: 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSubnet(t, weights.Decay(0.1), weights.NoSelfDealing())
			s.play(50, from("user"))
			before := s.scores.Standings()
			for range 50 {
				require.Equal(t, tt.want, update(t, s.scores, tt.round, organic.Rewards{cheater: 1, sister: 1}))
			}
			require.Equal(t, before, s.scores.Standings())
		})
	}
}

// TestRoundsWithoutPenaltyStillDecay: what PenaltyOnly calls neutral was asked
// and answered.
func TestRoundsWithoutPenaltyStillDecay(t *testing.T) {
	t.Parallel()
	s := newSubnet(t, weights.Decay(0.1), weights.PenaltyOnly())
	s.flood(50, from("user"), honest, -1)
	s.flood(50, from("user"), better, 1)
	require.InDelta(t, 0, s.scores.Values()[honest], 0.01)
}
