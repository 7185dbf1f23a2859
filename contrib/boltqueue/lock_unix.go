//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package boltqueue

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock locks a file, or returns false if it is locked. The lock ends with the
// process, however that ends.
func lock(file *os.File) (locked bool, err error) {
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock: %w", err)
	}
	return true, nil
}
