package weights

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// The files of a snapshot, beside it.
const (
	oldSuffix   = ".old"   // the last generation
	lockSuffix  = ".lock"  // held by the process that saves
	asideSuffix = ".aside" // and a time: what could not be loaded
	tempPattern = ".*.tmp" // not renamed yet; as wholefile.RemoveTemporary expects it
)

// fileSystem is what writeWhole does to the disk, in an order that matters; tests see and fail
// each step.
type fileSystem interface {
	// create makes a new file with a random name, which only its owner can read.
	create(folder, pattern string) (syncedFile, error)
	// open opens a folder.
	open(path string) (syncedFile, error)
	link(from, to string) error
	rename(from, to string) error
	remove(path string) error
}

type syncedFile interface {
	Name() string
	Write(data []byte) (int, error)
	Sync() error
	Close() error
}

// writeWhole puts data in the place of a file, all of it or nothing, and returns when it would
// survive a power cut. What was in the file is in the generation file then. At each moment the file
// is whole.
func writeWhole(files fileSystem, path string, data []byte) error {
	fresh, err := writeSynced(files, path, data)
	if err == nil {
		err = keepGeneration(files, path)
	}
	if err == nil {
		err = files.rename(fresh, path)
	}
	if err != nil {
		if fresh != "" {
			err = errors.Join(err, removeIfThere(files, fresh))
		}
		return err
	}
	return syncFolder(files, filepath.Dir(path))
}

// writeSynced writes a new file beside path and brings it to the disk. It returns the file's name
// if there is something to remove.
func writeSynced(files fileSystem, path string, data []byte) (name string, err error) {
	file, err := files.create(filepath.Dir(path), filepath.Base(path)+tempPattern)
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return file.Name(), errors.Join(err, file.Close())
}

// keepGeneration lets the generation file be what the file is now. The file itself stays. If there
// is no file, since a damaged one was set aside, the generation is all there is and stays too.
func keepGeneration(files fileSystem, path string) error {
	err := files.link(path, path+oldSuffix)
	if errors.Is(err, fs.ErrExist) {
		if err := files.remove(path + oldSuffix); err != nil {
			return err
		}
		err = files.link(path, path+oldSuffix)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a file system without hard links
		err = files.rename(path, path+oldSuffix)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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
	if err := files.remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setAside renames a file, so that nothing is written over it.
func setAside(path string, now time.Time) (aside string, err error) {
	aside = path + asideSuffix + now.UTC().Format("-20060102T150405.000000000Z")
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return aside, nil
}

// disk is the fileSystem of the operating system.
type disk struct{}

func (disk) create(folder, pattern string) (syncedFile, error) {
	return os.CreateTemp(folder, pattern)
}

func (disk) open(path string) (syncedFile, error) {
	return os.Open(path) //nolint:gosec // the path is the caller's
}

func (disk) link(from, to string) error { return os.Link(from, to) }

func (disk) rename(from, to string) error { return os.Rename(from, to) }

func (disk) remove(path string) error { return os.Remove(path) }
