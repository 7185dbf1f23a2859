package weights_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// TestAnswersFromBeforeTheStartNeedTheirMetagraph: who held the UIDs then is
// not known.
func TestAnswersFromBeforeTheStartNeedTheirMetagraph(t *testing.T) {
	t.Parallel()
	recorded := weights.Round{Received: time.Unix(0, 0)}
	scores := newScores(t, weights.Hold(1), []string{"a", "new"})
	require.Equal(t, weights.Tally{Counted: 2},
		update(t, scores, recorded, organic.Rewards{0: 1, 1: 1}))

	scores = newScores(t, weights.Hold(1), []string{"a", "new"})
	recorded.Metagraph = weights.Hotkeys("a", "old")
	require.Equal(t, weights.Tally{Counted: 1, Stranded: 1},
		update(t, scores, recorded, organic.Rewards{0: 1, 1: 1}))

	before := newScores(t, weights.Hold(1), []string{"a", "old"})
	scores = newScores(t, weights.Hold(1), []string{"a", "new"})
	load(t, snapshot(t, before), scores)
	recorded.Metagraph = weights.Metagraph{}
	require.Equal(t, weights.Tally{Counted: 1, Stranded: 1},
		update(t, scores, recorded, organic.Rewards{0: 1, 1: 1}), "known from the snapshot")
}
