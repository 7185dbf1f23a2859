package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStateInAFolderThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there")
	s := setup(t, "-patience 1s -rate 100 -state "+dir)
	played(t, s)
	requireAccounted(t, s)
	require.FileExists(t, filepath.Join(dir, "scores.json"))
	require.FileExists(t, filepath.Join(dir, "queue.json"))
}

func TestStateThatCannotBeSavedCostsNoSample(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "state")
	s := setup(t, "-patience 1s -rate 100 -state "+dir)
	require.NoError(t, os.RemoveAll(dir))
	require.ErrorContains(t, s.play(t.Context(), new(strings.Builder)), "save snapshot", "which the end tells")
	requireAccounted(t, s)
	require.Zero(t, s.stats().Dead)
}
