package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// BenchmarkSpeed compares the queue with the raw client doing the same calls,
// in turn, round by round, and reports the median of their speeds' ratio: 1 is
// as fast as the client, 0.5 half as fast.
func BenchmarkSpeed(b *testing.B) {
	const each = 200 // operations of a round
	b.Run("add", func(b *testing.B) {
		queue, js := openBench(b)
		raw, ours := func() { require.NoError(b, publish(b, js)) }, func() {
			require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
		}
		compare(b, each, func() {}, raw, ours)
	})
	for name, ahead := range map[string]int{
		"sample and settle":            1,
		"sample and settle, 100 ahead": 100,
	} {
		b.Run(name, func(b *testing.B) {
			_, floor := openBench(b)
			raw := benchConsumer(b, floor)
			queue, ours := openBench(b, natsqueue.WithPrefetch(ahead))
			next := func() jetstream.Msg {
				for {
					batch, err := raw.FetchNoWait(1)
					require.NoError(b, err)
					if msg := <-batch.Messages(); msg != nil { // nil: the server does not have it yet
						return msg
					}
				}
			}
			if ahead > 1 {
				messages, err := raw.Messages(jetstream.PullMaxMessages(ahead))
				require.NoError(b, err)
				defer messages.Stop()
				next = func() jetstream.Msg {
					msg, err := messages.Next()
					require.NoError(b, err)
					return msg
				}
			}
			refill := func() { // the server is slow where a block of its file is not its last one
				fillWith(b, floor, each)
				fillWith(b, ours, each)
			}
			compare(b, each, refill, func() { end(b, next()) }, func() { takeAndSettle(b, queue, 1) })
		})
	}
}

// compare runs two operations in turn.
func compare(b *testing.B, each int, prepare, floor, ours func()) {
	b.Helper()
	timed := func(operation func()) time.Duration {
		began := time.Now()
		for range each {
			operation()
		}
		return time.Since(began)
	}
	var ratios []float64
	b.ResetTimer()
	for range b.N {
		prepare()
		have := timed(floor)
		ratios = append(ratios, float64(have)/float64(timed(ours)))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "floors")
}

// BenchmarkCosts are the costs of the calls, with a server in this process and
// with one in a process of its own.
func BenchmarkCosts(b *testing.B) {
	opens := map[string]func(b *testing.B) *natsqueue.Queue[string]{
		"embedded": func(b *testing.B) *natsqueue.Queue[string] {
			b.Helper()
			return openQueue(b, startServer(b), natsqueue.WithCapacity(benchCapacity))
		},
		"embedded, sync always": func(b *testing.B) *natsqueue.Queue[string] {
			b.Helper()
			return openQueue(b, startServer(b, embedded.WithSyncAlways()),
				natsqueue.WithCapacity(benchCapacity))
		},
		"server": func(b *testing.B) *natsqueue.Queue[string] {
			b.Helper()
			url, kill := spawn(b, "server", b.TempDir(), freePorts(b, 1)[0])
			b.Cleanup(kill)
			queue, err := natsqueue.New[string](b.Context(), streamsOf(b, connectURL(b, url)),
				natsqueue.WithCapacity(benchCapacity))
			require.NoError(b, err)
			return queue
		},
	}
	for name, open := range opens {
		b.Run(name, func(b *testing.B) {
			queue := open(b)
			var add, take1, settle1 []float64
			for range 1000 {
				require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
			}
			timed := func(into *[]float64, call func()) {
				began := time.Now()
				call()
				*into = append(*into, float64(time.Since(began).Nanoseconds()))
			}
			for b.Loop() {
				timed(&add, func() { require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload))) })
				var lease organic.Lease[string]
				timed(&take1, func() { lease = take(b, queue) })
				timed(&settle1, func() { settle(b, lease, organic.OutcomeScored, 0) })
			}
			for what, all := range map[string][]float64{
				"ns/add": add, "ns/take": take1,
				"ns/settle": settle1,
			} {
				slices.Sort(all)
				b.ReportMetric(all[len(all)/2], what)
			}
		})
	}
}
