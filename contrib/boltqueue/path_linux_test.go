package boltqueue_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// TestUnusablePaths: the error names the path, and nothing is left there.
func TestUnusablePaths(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]func(path string) error{
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"device": func(path string) error { return os.Symlink(os.DevNull, path) },
	} {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, create(path))
		_, err := boltqueue.Open(path, boltqueue.Config[string]{})
		require.ErrorIs(t, err, organic.ErrInvalidOption)
		require.ErrorContains(t, err, "open "+path+": ")
		require.NoFileExists(t, path+".journal")
	}
	_, err := boltqueue.Open("", boltqueue.Config[string]{Capacity: -1})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	require.ErrorContains(t, err, "path is empty")
	require.ErrorContains(t, err, "Config.Capacity is -1")
}

// TestErrorsNameTheFile: whatever Open finds wrong with it.
func TestErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	require.NoError(t, os.WriteFile(path, []byte("not a queue"), 0o600))
	_, err := boltqueue.Open(path, boltqueue.Config[string]{})
	require.ErrorIs(t, err, boltqueue.ErrCorrupt)
	require.ErrorContains(t, err, path)

	path = newPath(t)
	open(t, path, boltqueue.Config[string]{})
	_, err = boltqueue.Open(path, boltqueue.Config[string]{})
	require.ErrorIs(t, err, boltqueue.ErrInUse)
	require.ErrorContains(t, err, path)
}

// TestSymbolicLinks: all names of a file have one journal, and a link to a file
// that is missing, as on a disk that is not mounted, is not replaced.
func TestSymbolicLinks(t *testing.T) {
	t.Parallel()
	path, link := newPath(t), newPath(t)
	require.NoError(t, os.Symlink(path, link))
	_, err := boltqueue.Open(link, boltqueue.Config[string]{})
	require.ErrorIs(t, err, organic.ErrGone)

	queue := open(t, path, boltqueue.Config[string]{MaxCrashes: 1})
	require.NoError(t, queue.Add(t.Context(), organic.NewSample("payload")))
	_, err = boltqueue.Open(link, boltqueue.Config[string]{})
	require.ErrorContains(t, err, "in use by process")
	take(t, queue)
	path = crashed(t, path)

	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(path, link))
	queue = open(t, link, boltqueue.Config[string]{MaxCrashes: 1})
	_, err = queue.Sample(t.Context())
	require.ErrorIs(t, err, organic.ErrEmpty, "the crash counts under every name")
	require.NoFileExists(t, link+".journal")
}

// TestFileOfAnotherProgram: a file that another program writes is in use, and
// not damaged.
func TestFileOfAnotherProgram(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	require.NoError(t, open(t, path, boltqueue.Config[string]{}).Close(t.Context()))
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(make([]byte, 6*4096), 2*4096) // as in the middle of a write
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = boltqueue.Open(path, boltqueue.Config[string]{})
	require.ErrorIs(t, err, boltqueue.ErrInUse)
	require.NotErrorIs(t, err, boltqueue.ErrCorrupt)
	require.NoError(t, db.Close())
	_, err = boltqueue.Open(path, boltqueue.Config[string]{})
	require.ErrorIs(t, err, boltqueue.ErrCorrupt)
}
