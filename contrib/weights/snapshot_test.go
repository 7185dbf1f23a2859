package weights_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/weights"
)

// open opens a saver that the test closes.
func open(tb testing.TB, path string, scores *weights.Scores) *weights.Saver {
	tb.Helper()
	saver, err := weights.OpenSaver(path, scores, weights.SaverConfig{})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = saver.Close() })
	return saver
}

// snapshot saves scores to a new file.
func snapshot(tb testing.TB, scores *weights.Scores) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "scores.json")
	require.NoError(tb, open(tb, path, scores).Close())
	return path
}

// load loads scores from a file.
func load(tb testing.TB, path string, scores *weights.Scores) {
	tb.Helper()
	require.FileExists(tb, path)
	require.NoError(tb, open(tb, path, scores).Close())
}

// written puts data into a new file.
func written(tb testing.TB, data []byte) (path string) {
	tb.Helper()
	path = filepath.Join(tb.TempDir(), "scores.json")
	require.NoError(tb, os.WriteFile(path, data, 0o600))
	return path
}

// content is what is in a file.
func content(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	require.NoError(tb, err)
	return data
}
