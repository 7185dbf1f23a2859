//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package weights

import (
	"os"
	"syscall"
)

// openLock opens the lock file, and follows no symbolic link.
func openLock(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_RDWR | syscall.O_NOFOLLOW
	return os.OpenFile(path, flags, 0o600) //nolint:gosec // the path is the caller's
}

// tryLock locks without waiting. The operating system unlocks when the process ends.
func tryLock(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

func unlock(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }
