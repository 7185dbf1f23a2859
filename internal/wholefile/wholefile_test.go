package wholefile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/internal/wholefile"
)

// names returns the names in a folder, sorted.
func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, entry := range entries {
		all = append(all, entry.Name())
	}
	return all
}

func TestReplace(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "file")
	for _, content := range []string{"a longer text", "short", ""} {
		require.NoError(t, wholefile.Replace(path, []byte(content), 0o600))
		found, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(found))
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.Equal(t, []string{"file"}, names(t, folder))
}

func TestWhatCannotBeReplacedStays(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	require.ErrorContains(t, wholefile.Replace(folder, nil, 0o600), "not a regular file")
	require.ErrorContains(t, wholefile.Replace(os.DevNull, nil, 0o600), "not a regular file")
	require.ErrorContains(t, wholefile.Replace(filepath.Join(folder, "no", "file"), nil, 0o600), "no")
	require.Empty(t, names(t, folder))
}

func TestRemoveTemporary(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	kept := []string{"a", "a.0123.old", "a.json", "a.json.0123.tmp", "a.tmp", "b.0123.tmp"}
	for _, name := range append(kept, "a.0123456789abcdef.tmp", "a.2718281828.tmp") {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	require.NoError(t, wholefile.RemoveTemporary(filepath.Join(folder, "a")))
	require.Equal(t, kept, names(t, folder))
	require.Error(t, wholefile.RemoveTemporary(filepath.Join(folder, "no", "a")))
}
