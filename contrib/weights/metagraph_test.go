package weights_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

func at(block uint64, hotkeys ...string) weights.Metagraph {
	metagraph := weights.Hotkeys(hotkeys...)
	metagraph.Block = block
	return metagraph
}

// TestAMetagraphThatIsShortForAMomentKeepsAllScores reads 8, then 4, then 8 neurons.
func TestAMetagraphThatIsShortForAMomentKeepsAllScores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		scores := newScores(t, weights.Hold(0.5), all)
		require.NoError(t, scores.SetMetagraph(at(100, all...)))
		rewards := organic.Rewards{0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 7: 1}
		update(t, scores, weights.Round{}, rewards)
		before := scores.Standings()
		require.NoError(t, scores.SetMetagraph(at(101, all[:4]...)))
		require.Len(t, scores.Values(), 4)
		require.Equal(t, 4, scores.Status().Missing)
		require.Equal(t, weights.Tally{Counted: 4, Stranded: 4},
			update(t, scores, weights.Round{}, rewards))
		time.Sleep(time.Hour)
		require.NoError(t, scores.SetMetagraph(at(102, all...)))
		require.Equal(t, before[4:], scores.Standings()[4:])
		require.Zero(t, scores.Status().Missing)
	})
}

func TestAHotkeyThatIsMissingForTooLongStartsFromZero(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		scores := newScores(t, weights.Hold(1), []string{"a", "b"}, weights.WithGrace(10*time.Minute))
		update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1})
		require.NoError(t, scores.SetMetagraph(at(1, "a")))
		time.Sleep(10*time.Minute + 1)
		require.NoError(t, scores.SetMetagraph(at(2, "a", "b")))
		require.Equal(t, []float64{1, 0}, scores.Values())
	})
}

func TestAHotkeyThatWasReplacedStartsFromZero(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"a", "b"})
	update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1})
	require.NoError(t, scores.SetMetagraph(at(1, "a", "x")))
	require.NoError(t, scores.SetMetagraph(at(2, "a", "b")))
	require.Equal(t, []float64{1, 0}, scores.Values(), "it has registered again")
	update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1})
	require.NoError(t, scores.SetMetagraph(at(3, "a")))      // missing
	require.NoError(t, scores.SetMetagraph(at(4, "a", "x"))) // and replaced meanwhile
	require.NoError(t, scores.SetMetagraph(at(5, "a", "b")))
	require.Equal(t, []float64{1, 0}, scores.Values())
}

func TestAnOlderMetagraphIsRefused(t *testing.T) {
	t.Parallel()
	scores := newScores(t, weights.Hold(1), []string{"unused"})
	require.NoError(t, scores.SetMetagraph(at(100, "a", "b")))
	update(t, scores, weights.Round{}, organic.Rewards{0: 1, 1: 1})
	err := scores.SetMetagraph(at(99, "old", "older"))
	require.ErrorIs(t, err, weights.ErrOldMetagraph)
	require.ErrorContains(t, err, "block 99, after block 100")
	require.Equal(t, []float64{1, 1}, scores.Values())
	require.EqualValues(t, 100, scores.Status().Block)
	require.NoError(t, scores.SetMetagraph(at(100, "a", "b")), "the same block")
	require.NoError(t, scores.SetMetagraph(at(0, "a", "b")), "a block that is not known")
	require.ErrorIs(t, scores.SetMetagraph(at(99, "a", "b")), weights.ErrOldMetagraph)
}
