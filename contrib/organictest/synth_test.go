package organictest_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func TestRightDatasetsPass(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		make func(t *testing.T) organic.SynthDataset[string]
	}{
		{name: "slice", make: func(t *testing.T) organic.SynthDataset[string] {
			t.Helper()
			dataset, err := organic.NewSliceDataset([]string{"a", "b"}, 0)
			require.NoError(t, err)
			return dataset
		}},
		{name: "function that heeds ctx", make: func(*testing.T) organic.SynthDataset[string] {
			return organic.SynthFunc[string](func(ctx context.Context) (string, error) {
				return "a",
					ctx.Err()
			})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			organictest.TestSynthDataset(t, tt.make)
		})
	}
}

// brokenDataset is a dataset that breaks a promise, and how that is seen.
type brokenDataset struct {
	name    string
	make    func() organic.SynthFunc[string]
	check   string
	message string
}

func brokenDatasets() []brokenDataset {
	return []brokenDataset{
		{name: "runs dry", make: runsDry, check: "samples", message: "as long as it is asked"},
		{name: "one at a time", make: oneAtATime, check: "concurrent", message: "concurrent use"},
		{
			name: "hangs", make: hangs(func(context.Context) bool { return true }), check: "samples",
			message: "no answer in time",
		},
		{
			name: "hangs when ctx has ended",
			make: hangs(func(ctx context.Context) bool { return ctx.Err() != nil }), check: "ended context",
			message: "must not hang",
		},
		{
			name: "gives up when ctx has ended", make: givesUp, check: "ended context",
			message: "must go on",
		},
	}
}

func runsDry() organic.SynthFunc[string] {
	var mu sync.Mutex
	left := 50
	return func(context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if left--; left < 0 {
			return "", organic.ErrClosed
		}
		return "a", nil
	}
}

// oneAtATime fails while another call waits for company.
func oneAtATime() organic.SynthFunc[string] {
	var busy sync.Mutex
	company := make(chan struct{})
	var once sync.Once
	return func(ctx context.Context) (string, error) {
		if !busy.TryLock() {
			once.Do(func() { close(company) })
			return "", errOwn
		}
		defer busy.Unlock()
		select {
		case <-company:
		case <-ctx.Done():
		}
		return "a", nil
	}
}

func hangs(when func(context.Context) bool) func() organic.SynthFunc[string] {
	return func() organic.SynthFunc[string] {
		return func(ctx context.Context) (string, error) {
			if when(ctx) {
				select {}
			}
			return "a", nil
		}
	}
}

func givesUp() organic.SynthFunc[string] {
	var mu sync.Mutex
	var err error
	return func(ctx context.Context) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "a", err
	}
}

func TestBrokenDatasetsFail(t *testing.T) {
	t.Parallel()
	implementation, child := os.LookupEnv(brokenVariable)
	for _, tt := range brokenDatasets() {
		if child && tt.name == implementation {
			organictest.TestSynthDataset(t,
				func(*testing.T) organic.SynthDataset[string] { return tt.make() })
		}
		if !child {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				requireCaught(t, "TestBrokenDatasetsFail", tt.name, tt.check, tt.message)
			})
		}
	}
}
