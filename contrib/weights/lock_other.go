//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package weights

import (
	"errors"
	"io/fs"
	"os"
)

// openLock creates the lock file, or opens it if another process has it. After a crash the file
// has to be removed by hand.
func openLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.Open(path)
	}
	return file, err
}

// tryLock fails if the file was there before: it has content, or cannot be written.
func tryLock(file *os.File) error { return file.Truncate(0) }

func unlock(file *os.File) error { return os.Remove(file.Name()) }
