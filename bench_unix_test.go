//go:build unix

package organic_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// inFlight is how many samples BenchmarkCPU scores at the same time.
const inFlight = 4

// BenchmarkCPU is the processor time that a sample takes from Enqueue to its
// score, when all wait already; the floor is a channel, a goroutine per sample,
// and the floor of an iteration.
func BenchmarkCPU(b *testing.B) {
	b.Run("floor", func(b *testing.B) {
		before := processorTime(b)
		samples := make(chan organic.Sample[int], b.N)
		for range b.N {
			samples <- organic.NewSample(1)
		}
		close(samples)
		scoreByHand(b.Context(), samples)
		reportProcessorTime(b, before)
	})
	b.Run("organic", func(b *testing.B) {
		before := processorTime(b)
		queue, err := organic.NewMemoryQueue[int](organic.MemoryConfig{Capacity: b.N})
		require.NoError(b, err)
		scorer, err := organic.New(&benchHooks{}, organic.WithQueue(queue),
			organic.WithConcurrency(inFlight),
			organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond}))
		require.NoError(b, err)
		for range b.N {
			_, _ = scorer.Enqueue(b.Context(), 1)
		}
		require.NoError(b, scorer.Start(b.Context()))
		require.NoError(b, scorer.Drain(b.Context()))
		require.NoError(b, scorer.Stop(b.Context()))
		reportProcessorTime(b, before)
	})
}

func scoreByHand(ctx context.Context, samples <-chan organic.Sample[int]) {
	slots := make(chan struct{}, inFlight)
	var iterations sync.WaitGroup
	for sample := range samples {
		slots <- struct{}{}
		iterations.Go(func() {
			_, _ = floorIteration(ctx, endlessQueue{sample: sample}, &benchHooks{})
			<-slots
		})
	}
	iterations.Wait()
}

// BenchmarkMemoryInFlight reports what an iteration holds while its miners are
// asked, stacks included.
func BenchmarkMemoryInFlight(b *testing.B) {
	const iterations = 1000
	for _, tt := range []struct {
		name  string
		start func(b *testing.B, hooks *benchHooks) (wait func())
	}{
		{"floor", func(b *testing.B, hooks *benchHooks) func() {
			b.Helper()
			var group sync.WaitGroup
			queue := endlessQueue{sample: organic.NewSample(1)}
			for range iterations {
				group.Go(func() { _, _ = floorIteration(b.Context(), queue, hooks) })
			}
			return group.Wait
		}},
		{"organic", func(b *testing.B, hooks *benchHooks) func() {
			b.Helper()
			scorer, err := organic.New(hooks, organic.WithConcurrency(iterations),
				organic.WithQueue(endlessQueue{sample: organic.NewSample(1)}),
				organic.WithTrigger(organic.Seconds{Frequency: time.Nanosecond}))
			require.NoError(b, err)
			require.NoError(b, scorer.Start(b.Context()))
			return func() { require.NoError(b, scorer.Stop(b.Context())) }
		}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				var asked sync.WaitGroup
				asked.Add(iterations)
				var calls atomic.Int64
				answer := make(chan struct{})
				before := heapInUse()
				wait := tt.start(b, &benchHooks{query: func() {
					if calls.Add(1) <= iterations {
						asked.Done()
					}
					<-answer
				}})
				asked.Wait()
				b.ReportMetric(float64(heapInUse()-before)/iterations, "B/iteration")
				close(answer)
				wait()
			}
		})
	}
}

// processorTime is what the process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func reportProcessorTime(b *testing.B, before time.Duration) {
	b.Helper()
	used := processorTime(b) - before
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "ns/op")
}
