package weights

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// maxHolder is how many bytes of a lock file are read.
const maxHolder = 256

// fileLock is a lock file that this process holds. The file stays when the lock is released, or
// else two processes could hold locks on two files of one name.
type fileLock struct{ file *os.File }

// acquireLock locks a file or returns an error that names the holder.
func acquireLock(path string) (*fileLock, error) {
	file, err := openLock(path)
	if err != nil {
		return nil, err
	}
	if err := tryLock(file); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(file, maxHolder))
		_ = file.Close() // was only read
		return nil, fmt.Errorf("%w: %s is held by %s", ErrLocked, path, describe(string(holder)))
	}
	host, _ := os.Hostname()
	holder := fmt.Sprintf("process %d on %q since %s", os.Getpid(), host,
		time.Now().UTC().Format(time.RFC3339))
	if err := writeHolder(file, holder); err != nil {
		_ = file.Close() // the first error says more
		return nil, err
	}
	return &fileLock{file}, nil
}

func describe(holder string) string {
	if holder = strings.TrimSpace(holder); holder != "" {
		return holder
	}
	return "an unknown process"
}

func writeHolder(file *os.File, holder string) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(holder+"\n"), 0)
	return err
}

// release ends the lock.
func (l *fileLock) release() error {
	err := l.file.Truncate(0)
	if unlockErr := unlock(l.file); err == nil {
		err = unlockErr
	}
	if closeErr := l.file.Close(); err == nil {
		err = closeErr
	}
	return err
}
