package durable_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
)

func TestFileOutlivesAProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memory.json")
	value := map[string]int{"a": 1}
	file, err := durable.OpenFile(path, &value)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"a": 1}, value, "there is no file")
	require.NoFileExists(t, path)
	require.NoError(t, file.Save())
	value["a"] = 2
	require.NoError(t, file.Save())

	var again map[string]int
	_, err = durable.OpenFile(path, &again)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"a": 2}, again)
	found, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, found, 1)
	info, err := found[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestFileThatIsDamagedStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memory.json")
	require.NoError(t, os.WriteFile(path, []byte(`{"a":`), 0o600))
	_, err := durable.OpenFile(path, new(map[string]int))
	require.ErrorContains(t, err, "durable: open file: "+path)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, `{"a":`, string(kept))
}

func TestFileThatCannotBeSavedStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memory.json")
	value := 1.0
	file, err := durable.OpenFile(path, &value)
	require.NoError(t, err)
	require.NoError(t, file.Save())
	value = math.NaN()
	require.ErrorContains(t, file.Save(), "durable: save file: json: ")
	_, err = durable.OpenFile(path, &value)
	require.NoError(t, err)
	require.InDelta(t, 1, value, 0)

	file, err = durable.OpenFile(filepath.Join(path, "below"), &value)
	require.Error(t, err)
	require.Nil(t, file)
	file, err = durable.OpenFile(filepath.Join(t.TempDir(), "no folder", "memory.json"), &value)
	require.NoError(t, err)
	require.ErrorContains(t, file.Save(), "no folder")
}

func TestFileNeedsAPointerAndAnInterval(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memory.json")
	for _, value := range []any{nil, (*int)(nil), 7, map[string]int{}} {
		file, err := durable.OpenFile(path, value)
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		require.Nil(t, file)
	}
	_, err := durable.OpenFile("", new(int))
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	file, err := durable.OpenFile(path, new(int))
	require.NoError(t, err)
	for _, interval := range []time.Duration{0, -time.Second} {
		require.ErrorIs(t, file.Run(t.Context(), interval), organic.ErrInvalidOption)
	}
}

func TestFileRemovesWhatAKilledProcessHasLeft(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	left, other := filepath.Join(folder, "a.json.123.tmp"), filepath.Join(folder, "b.json.123.tmp")
	require.NoError(t, os.WriteFile(left, nil, 0o600))
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	_, err := durable.OpenFile(filepath.Join(folder, "a.json"), new(int))
	require.NoError(t, err)
	require.NoFileExists(t, left)
	require.FileExists(t, other)
}

// changing is a value that fails when it is marshalled for the second time, and changes at the
// fourth.
type changing struct{ saves atomic.Int64 }

func (c *changing) MarshalJSON() ([]byte, error) {
	switch n := c.saves.Add(1); {
	case n == 2:
		return nil, errors.New("fails once")
	case n < 4:
		return []byte("1"), nil
	}
	return []byte("2"), nil
}

func TestFileIsSavedIfItHasChangedAndAtTheEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memory.json")
	synctest.Test(t, func(t *testing.T) {
		value := new(changing)
		file, err := durable.OpenFile(path, value)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- file.Run(ctx, 10*time.Second) }()
		time.Sleep(15 * time.Second)
		require.FileExists(t, path)
		require.NoError(t, os.Remove(path)) // shows when it is written
		time.Sleep(20 * time.Second)
		require.Equal(t, int64(3), value.saves.Load())
		require.NoFileExists(t, path, "the value is the same")
		time.Sleep(10 * time.Second)
		require.FileExists(t, path, "the value has changed")
		require.NoError(t, os.Remove(path))
		require.NoError(t, file.Save())
		require.FileExists(t, path, "Save always writes")
		stop()
		require.NoError(t, <-ended)
		require.Equal(t, int64(6), value.saves.Load())
	})
}
