package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// File keeps one value in a file as JSON, for what a validator remembers beside samples and scores.
// Each save replaces the file as a whole: whenever the process or the machine dies, the file has
// the value of one save. Open it with [OpenFile]. One process uses a file at a time. All methods
// are safe for concurrent use if marshalling the value is.
type File struct {
	path  string
	value any
	mu    sync.Mutex // held while the file is written
}

// OpenFile loads the file into the value, a pointer, by encoding/json. The value stays as it is if
// there is no file. A file that cannot be loaded is an error that names it, and stays as it is.
func OpenFile(path string, value any) (*File, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the path is the caller's
	if err == nil {
		if err = json.Unmarshal(data, value); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("durable: open file: %w", err)
	}
	return &File{path: path, value: value}, nil
}

// Save writes the value as it is now, and returns when it would survive a power cut.
func (f *File) Save() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := json.Marshal(f.value)
	if err == nil {
		err = replace(f.path, data)
	}
	if err != nil {
		return fmt.Errorf("durable: save file: %w", err)
	}
	return nil
}

// Run saves each time the interval has passed until ctx ends, then a last time, and returns the
// error of the last time. A save that fails before is tried again after the next interval.
func (f *File) Run(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = f.Save() // what fails for good fails the last time too
		case <-ctx.Done():
			return f.Save()
		}
	}
}

// replace puts data in the place of a file by way of a new file beside it.
func replace(path string, data []byte) error {
	folder := filepath.Dir(path)
	fresh, err := os.CreateTemp(folder, filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = fresh.Write(data)
	if err == nil {
		err = fresh.Sync()
	}
	if err = errors.Join(err, fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh.Name()))
	}
	return syncFolder(folder)
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
