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

// openMemory returns a queue in memory, with the samples that the last run has
// left in the folder, where there is one.
func openMemory(ctx context.Context, folder string) (*store, error) {
	queue, err := organic.NewMemoryQueue[Prompt](organic.MemoryConfig{})
	if err != nil {
		return nil, err
	}
	if folder == "" {
		return &store{queue: queue, forgets: true, close: func(context.Context) error { return nil }}, nil
	}
	path := filepath.Join(folder, "queue.json")
	samples, err := loadSamples(path)
	if err != nil {
		return nil, err
	}
	for _, sample := range samples {
		if err := queue.Add(ctx, sample); err != nil {
			return nil, err
		}
	}
	return &store{queue: queue, close: func(context.Context) error { return saveSamples(path, queue.TakeAll()) }}, nil
}

func loadSamples(path string) (samples []organic.Sample[Prompt], err error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user says which folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(data, &samples) != nil {
		return nil, fmt.Errorf("%s: not a saved queue", path)
	}
	return samples, nil
}

// saveSamples writes a file that holds the text of users, so that only its
// owner can read it. The file is the old one or the new one, never half of it.
func saveSamples(path string, samples []organic.Sample[Prompt]) error {
	data, err := json.Marshal(samples)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // for its owner alone
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
