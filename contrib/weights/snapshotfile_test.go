package weights_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// oldSnapshot returns scores that were saved with a score of 1 and have one of
// 2 now.
func oldSnapshot(t *testing.T) (scores *weights.Scores, path string, old []byte) {
	t.Helper()
	scores = newScores(t, weights.Hold(1), []string{"a"})
	update(t, scores, weights.Round{}, organic.Rewards{0: 1})
	path = filepath.Join(t.TempDir(), "scores.json")
	require.NoError(t, scores.Save(path))
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	update(t, scores, weights.Round{}, organic.Rewards{0: 2})
	return scores, path, old
}

// TestSnapshotsReachTheDiskInOrder: a renaming that reaches the disk before
// what was renamed leaves an empty file after a power cut, and one that never
// does leaves the old one although Save has returned.
func TestSnapshotsReachTheDiskInOrder(t *testing.T) {
	t.Parallel()
	scores, path, _ := oldSnapshot(t)
	folder := filepath.Base(filepath.Dir(path))
	var steps []string
	require.NoError(t, scores.SaveStepwise(path, func(step, on string) error {
		steps = append(steps, step+" "+filepath.Base(on))
		return nil
	}))
	require.Equal(t, []string{
		"create scores.json.new", "write scores.json.new", "sync scores.json.new", "close scores.json.new",
		"rename scores.json.new", "open " + folder, "sync " + folder, "close " + folder,
	}, steps)
}

// TestCrashBeforeTheRenamingLeavesTheOldSnapshot ends the process, as far as
// Save can tell, when the new file is complete.
func TestCrashBeforeTheRenamingLeavesTheOldSnapshot(t *testing.T) {
	t.Parallel()
	scores, path, old := oldSnapshot(t)
	require.Panics(t, func() {
		_ = scores.SaveStepwise(path, func(step, on string) error {
			if step != "rename" {
				return nil
			}
			fresh, err := os.ReadFile(on)
			require.NoError(t, err)
			require.NotEqual(t, old, fresh)
			require.NoError(t, newScores(t, weights.Hold(1), []string{"a"}).Load(on), "all was written")
			panic("crash")
		})
	})
	after := newScores(t, weights.Hold(1), []string{"a"})
	require.NoError(t, after.Load(path))
	require.Equal(t, []float64{1}, after.Values())

	require.NoError(t, os.WriteFile(path+".new", bytes.Repeat([]byte("left over "), 10_000), 0o600))
	require.NoError(t, scores.Save(path))
	require.NoError(t, after.Load(path))
	require.Equal(t, []float64{2}, after.Values(), "what is left over does no harm")
}

// TestFailedSavesLeaveTheOldSnapshotAndNothingElse fails each step in turn.
func TestFailedSavesLeaveTheOldSnapshotAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, failing := range []string{"create", "write", "sync", "close", "rename"} {
		t.Run(failing, func(t *testing.T) {
			t.Parallel()
			scores, path, old := oldSnapshot(t)
			full := errors.New("disk is full")
			require.ErrorIs(t, scores.SaveStepwise(path, func(step, _ string) error {
				if step == failing {
					return full
				}
				return nil
			}), full)
			now, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, old, now)
			entries, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, entries, 1)
			info, err := entries[0].Info()
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), "only its owner can read it")
		})
	}
}

// TestSavesThatMayNotSurviveAreErrors: the new snapshot is in its place, but a
// power cut may bring back the old one.
func TestSavesThatMayNotSurviveAreErrors(t *testing.T) {
	t.Parallel()
	scores, path, old := oldSnapshot(t)
	broken := errors.New("disk is broken")
	require.ErrorIs(t, scores.SaveStepwise(path, func(step, on string) error {
		if step == "sync" && on == filepath.Dir(path) {
			return broken
		}
		return nil
	}), broken)
	now, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotEqual(t, old, now)
	require.ErrorIs(t, scores.Save(filepath.Join(t.TempDir(), "none", "scores.json")), fs.ErrNotExist)
}
