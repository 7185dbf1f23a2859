package organictest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// datasetPatience is how long a dataset may take for one call: the loop waits
// for it.
const datasetPatience = 3 * time.Second

// TestSynthDataset holds a dataset to the contract of [organic.SynthDataset]:
// it gives samples, from many goroutines at once, and never hangs, not even
// when ctx has ended. Each promise is a subtest with a dataset of its own,
// which newDataset makes; use t.Cleanup to close it. Run it with the
// race detector. A dataset must have at least one payload, and give several
// hundred without an error, repeating them if need be.
func TestSynthDataset[S any](t *testing.T, newDataset func(t *testing.T) organic.SynthDataset[S]) {
	t.Helper()
	checks := []struct {
		name string
		run  func(t *testing.T, dataset organic.SynthDataset[S])
	}{
		{"samples", checkSamples[S]},
		{"concurrent", checkConcurrentSamples[S]},
		{"ended context", checkEndedDataset[S]},
	}
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) {
			dataset := newDataset(t)
			require.NotNil(t, dataset, "the constructor must return a dataset")
			check.run(t, dataset)
		})
	}
}

func checkSamples[S any](t *testing.T, dataset organic.SynthDataset[S]) {
	t.Helper()
	for range 100 {
		require.NoError(
			t, sampleInTime(t, t.Context(), dataset), "a dataset must give samples as long as it is asked",
		)
	}
}

func checkConcurrentSamples[S any](t *testing.T, dataset organic.SynthDataset[S]) {
	t.Helper()
	const goroutines, each = 8, 50
	errs := make(chan error, goroutines*each)
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for range each {
				_, err := dataset.Sample(t.Context())
				errs <- err
			}
		})
	}
	go func() { group.Wait(); close(errs) }()
	for {
		select {
		case err, open := <-errs:
			if !open {
				return
			}
			require.NoError(t, err, "a dataset must be safe for concurrent use")
		case <-time.After(datasetPatience):
			require.FailNow(t, "Sample hangs when called from several goroutines")
		}
	}
}

func checkEndedDataset[S any](t *testing.T, dataset organic.SynthDataset[S]) {
	t.Helper()
	for _, ctx := range endedContexts(t) {
		for range 3 {
			err := sampleInTime(t, ctx, dataset)
			require.NotErrorIs(t, err, errSlow, "Sample must not hang when ctx has ended")
		}
	}
	require.NoError(
		t, sampleInTime(t, t.Context(), dataset), "a dataset must go on after a call whose ctx had ended",
	)
}

var errSlow = errors.New("organictest: no answer in time")

// sampleInTime calls Sample, and leaves a call that hangs behind.
func sampleInTime[S any](
	t *testing.T, ctx context.Context, //nolint:revive // t first, as in helpers of tests
	dataset organic.SynthDataset[S],
) error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := dataset.Sample(ctx)
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(datasetPatience):
		return fmt.Errorf("%w: Sample has not returned after %v", errSlow, datasetPatience)
	}
}
