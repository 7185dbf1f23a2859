package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/organic-scoring/organic"
)

// store is the queue of a validator, and what keeps it while none runs.
type store struct {
	queue *organic.MemoryQueue[Prompt]
	path  string // "": nothing is kept
}

// openStore returns a queue in memory, with the samples that the last run has
// left in the folder.
func openStore(folder string) (*store, error) {
	queue, err := organic.NewMemoryQueue[Prompt]()
	if err != nil || folder == "" {
		return &store{queue: queue}, err
	}
	s := &store{queue: queue, path: filepath.Join(folder, "queue.json")}
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	var samples []organic.Sample[Prompt]
	if json.Unmarshal(data, &samples) != nil {
		return nil, fmt.Errorf("%s: not a saved queue", s.path)
	}
	for _, sample := range samples {
		if err := queue.Add(context.Background(), sample); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// close saves what is queued. It holds the text of users, so only the owner
// can read the file.
func (s *store) close() error {
	if s.path == "" {
		return nil
	}
	data, err := json.Marshal(s.queue.Samples())
	if err != nil {
		return err
	}
	return os.WriteFile(s.path, data, 0o600)
}
