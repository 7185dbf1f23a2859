package subtensor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// tempoKey returns the storage key of a tempo, or of all.
func tempoKey(t *testing.T, node *subtensortest.Runtime, keys ...any) []byte {
	t.Helper()
	found, err := node.Metadata.Storage("SubtensorModule", "Tempo")
	require.NoError(t, err)
	key, err := found.Key(keys...)
	require.NoError(t, err)
	return key
}

func testRuntime(t *testing.T) *subtensortest.Runtime {
	t.Helper()
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{})
	require.NoError(t, err)
	return runtime
}

func TestReadsAreOfOneBlock(t *testing.T) {
	t.Parallel()
	runtime := testRuntime(t)
	node := newNode(t, subtensortest.Config{Runtime: runtime})
	client := dial(t, node)
	require.NoError(t, node.Set("SubtensorModule.Tempo", 10, 1))
	require.NoError(t, node.Mine(1))
	before, err := client.Best(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, before.Number)
	require.Equal(t, node.Hash(), before.Hash)
	require.NoError(t, node.Mine(1))
	require.NoError(t, node.Set("SubtensorModule.Tempo", 20, 1))

	keys := [][]byte{
		tempoKey(t, runtime, 1), tempoKey(t, runtime, 2), tempoKey(t, runtime, 1),
	}
	values, err := before.Storage(t.Context(), keys...)
	require.NoError(t, err)
	require.Equal(t, [][]byte{{10, 0}, nil, {10, 0}}, values)
	after, err := client.Best(t.Context())
	require.NoError(t, err)
	values, err = after.Storage(t.Context(), keys[0])
	require.NoError(t, err)
	require.Equal(t, [][]byte{{20, 0}}, values)

	node.Prune()
	_, err = before.Storage(t.Context(), keys[0])
	require.ErrorIs(t, err, subtensor.ErrPruned)
	_, err = after.Storage(t.Context(), keys[0])
	require.NoError(t, err)
}

func TestKeysAreReadInPages(t *testing.T) {
	t.Parallel()
	runtime := testRuntime(t)
	node := newNode(t, subtensortest.Config{Runtime: runtime})
	client := dial(t, node)
	for i := range 2500 {
		require.NoError(t, node.Set("SubtensorModule.Tempo", i, i))
	}
	view, err := client.Best(t.Context())
	require.NoError(t, err)
	keys, err := view.Keys(t.Context(), tempoKey(t, runtime))
	require.NoError(t, err)
	require.Len(t, keys, 2500)
	require.Equal(t, 3, count(node.Requests(), "state_getKeysPaged"))
	keys, err = view.Keys(t.Context(), []byte("nothing"))
	require.NoError(t, err)
	require.Empty(t, keys)
}

func TestFinalizedBlockIsBehindTheBest(t *testing.T) {
	t.Parallel()
	node := newNode(t, subtensortest.Config{FinalityLag: 3})
	client := dial(t, node)
	require.NoError(t, node.Mine(10))
	view, err := client.Finalized(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 7, view.Number)
}
