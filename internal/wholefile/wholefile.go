// Package wholefile replaces files as a whole.
package wholefile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const temporarySuffix = ".tmp"

// Replace puts data in the place of a file, all of it or nothing, by way of a new file beside it,
// and returns when it would survive a power cut. The new file has the permissions that are given,
// less the umask. What is no regular file, such as a device, is not replaced.
func Replace(path string, data []byte, permissions fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "replace", Path: path, Err: errors.New("not a regular file")}
	}
	fresh := fmt.Sprintf("%s.%016x%s", path, rand.Uint64(), temporarySuffix)
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	file, err := os.OpenFile(fresh, flags, permissions) //nolint:gosec // the path is the caller's
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return syncFolder(filepath.Dir(path))
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

// RemoveTemporary removes the new files that a killed process has left beside a file. No process
// may be writing one.
func RemoveTemporary(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if isTemporary(entry.Name(), filepath.Base(path)) {
			errs = append(errs, os.Remove(filepath.Join(filepath.Dir(path), entry.Name())))
		}
	}
	return errors.Join(errs...)
}

// isTemporary reports whether Replace gives this name to a new file beside base.
func isTemporary(name, base string) bool {
	number, ofBase := strings.CutPrefix(name, base+".")
	number, ofTemporary := strings.CutSuffix(number, temporarySuffix)
	return ofBase && ofTemporary && number != "" && strings.Trim(number, "0123456789abcdef") == ""
}
