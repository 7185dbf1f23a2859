package weights

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// writeWhole puts data in the place of a file, all of it or nothing, and
// returns when it would survive a power cut. After a crash the new file may be
// left over; it is written over the next time.
func writeWhole(path string, data []byte, rename func(from, to string) error) error {
	fresh := path + ".new"
	err := writeSynced(fresh, data)
	if err == nil {
		err = rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(fresh))
	}
	return syncFolder(filepath.Dir(path))
}

// writeSynced writes a file that only its owner can read, and brings it to the
// disk.
func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the path is the caller's
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder brings a renaming to the disk. Windows cannot do it for a folder.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path) //nolint:gosec // the path is the caller's
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
