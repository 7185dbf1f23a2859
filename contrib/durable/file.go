package durable

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/internal/wholefile"
)

// File keeps one value in a file as JSON, for what a validator remembers beside samples and scores.
// Each save replaces the file as a whole: whenever the process or the machine dies, the file has
// the value of one save. Open it with [OpenFile]. One process uses a file at a time, through one
// File. All methods are safe for concurrent use if marshalling the value is.
type File struct {
	path  string
	value any

	mu    sync.Mutex        // held while the file is written
	saved [sha256.Size]byte // hash of what this File has written last
}

// OpenFile loads the file into the value, a pointer, by encoding/json. The value stays as it is if
// there is no file. A file that cannot be loaded is an error that names it, and stays as it is. A
// value that is no pointer, or nil, or an empty path is organic.ErrInvalidOption.
//
// OpenFile removes new files beside it (path, a number and ".tmp") that a process has left that was
// killed during a save: the file has no other user that could be writing them.
func OpenFile(path string, value any) (*File, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: OpenFile: the path is empty", organic.ErrInvalidOption)
	}
	if v := reflect.ValueOf(value); v.Kind() != reflect.Pointer || v.IsNil() {
		return nil, fmt.Errorf("%w: OpenFile: the value must be a pointer and not nil, is a %T",
			organic.ErrInvalidOption, value)
	}
	data, err := os.ReadFile(path) //nolint:gosec // the path is the caller's
	if err == nil {
		if err = json.Unmarshal(data, value); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("durable: open file: %w", err)
	}
	_ = wholefile.RemoveTemporary(path) // what stays is only in the way
	return &File{path: path, value: value}, nil
}

// Save writes the value as it is now, and returns when it would survive a power cut.
func (f *File) Save() error { return f.save(false) }

// save writes the value, but not if only changes are saved and there is none since the last save.
func (f *File) save(onlyChanges bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := json.Marshal(f.value)
	hash := sha256.Sum256(data)
	if err == nil && onlyChanges && hash == f.saved {
		return nil
	}
	if err == nil {
		err = wholefile.Replace(f.path, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("durable: save file: %w", err)
	}
	f.saved = hash
	return nil
}

// Run saves each time the interval has passed, if the value has changed since the last save, until
// ctx ends, then a last time, and returns the error of the last time. A save that fails before is
// tried again after the next interval. An interval that is not above 0 is organic.ErrInvalidOption.
func (f *File) Run(ctx context.Context, interval time.Duration) error {
	if interval <= 0 {
		return fmt.Errorf("%w: File.Run(%v): must be above 0", organic.ErrInvalidOption, interval)
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = f.save(true) // what fails for good fails the last time too
		case <-ctx.Done():
			return f.save(true)
		}
	}
}
