package weights

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// fileSystem is what writeWhole does to the disk, in an order that matters;
// tests see and fail each step.
type fileSystem interface {
	// create opens an empty file that only its owner can read.
	create(path string) (syncedFile, error)
	// open opens a folder.
	open(path string) (syncedFile, error)
	rename(from, to string) error
	remove(path string) error
}

type syncedFile interface {
	io.WriteCloser
	Sync() error
}

// writeWhole puts data in the place of a file, all of it or nothing, and
// returns when it would survive a power cut. After a crash the new file may be
// left over; it is written over the next time.
func writeWhole(files fileSystem, path string, data []byte) error {
	fresh := path + ".new"
	err := writeSynced(files, fresh, data)
	if err == nil {
		err = files.rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(files, fresh))
	}
	return syncFolder(files, filepath.Dir(path))
}

// writeSynced writes a file and brings it to the disk.
func writeSynced(files fileSystem, path string, data []byte) error {
	file, err := files.create(path)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncFolder brings a renaming to the disk. Windows cannot do it for a folder.
func syncFolder(files fileSystem, path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := files.open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func removeIfThere(files fileSystem, path string) error {
	if err := files.remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// disk is the fileSystem of the operating system.
type disk struct{}

func (disk) create(path string) (syncedFile, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the path is the caller's
}

func (disk) open(path string) (syncedFile, error) {
	return os.Open(path) //nolint:gosec // the path is the caller's
}

func (disk) rename(from, to string) error { return os.Rename(from, to) }

func (disk) remove(path string) error { return os.Remove(path) }
