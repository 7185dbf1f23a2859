package boltqueue_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

var payload = strings.Repeat("0123456789abcdef", 64) // 1 KiB

// floor is a queue by hand on bare bbolt transactions: one to add, one to
// settle, first in, first out.
type floor struct {
	db   *bbolt.DB
	next uint64
}

func newFloor(tb testing.TB, noSync bool) *floor {
	tb.Helper()
	db, err := bbolt.Open(
		filepath.Join(tb.TempDir(), "floor.db"),
		0o600,
		&bbolt.Options{NoSync: noSync, FreelistType: bbolt.FreelistMapType},
	)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	require.NoError(tb, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("samples"))
		return err
	}))
	return &floor{db: db}
}

func (f *floor) add(tb testing.TB, sample organic.Sample[string]) uint64 {
	tb.Helper()
	data, err := durable.JSON[string]{}.Encode(sample)
	require.NoError(tb, err)
	f.next++
	number := f.next
	require.NoError(tb, f.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("samples")).Put(binary.BigEndian.AppendUint64(nil, number), data)
	}))
	return number
}

func (f *floor) takeAndSettle(tb testing.TB, number uint64) {
	tb.Helper()
	key := binary.BigEndian.AppendUint64(nil, number)
	require.NoError(tb, f.db.View(func(tx *bbolt.Tx) error {
		_, err := durable.JSON[string]{}.Decode(tx.Bucket([]byte("samples")).Get(key))
		return err
	}))
	require.NoError(
		tb,
		f.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("samples")).Delete(key) }),
	)
}

func openBench(b *testing.B, cfg boltqueue.Config[string]) *boltqueue.Queue[string] {
	b.Helper()
	queue, err := boltqueue.Open(filepath.Join(b.TempDir(), "queue.db"), cfg)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, queue.Close(context.Background())) })
	return queue
}

func takeAndSettle(b *testing.B, queue *boltqueue.Queue[string]) {
	b.Helper()
	lease, err := queue.Sample(b.Context())
	require.NoError(b, err)
	require.NoError(b, lease.Settle(b.Context(), organic.Verdict{Outcome: organic.OutcomeScored}))
}

// standing is how many samples wait while one is added and one is settled.
const standing = 1000

// BenchmarkAddAndSettle compares one caller with bare transactions of bbolt
// that do the same, in turn, round by round.
func BenchmarkAddAndSettle(b *testing.B) {
	for _, noSync := range []bool{false, true} {
		b.Run(fmt.Sprintf("nosync=%v", noSync), func(b *testing.B) {
			queue := openBench(
				b,
				boltqueue.Config[string]{NoSync: noSync, Order: organic.OrderFIFO},
			)
			by := newFloor(b, noSync)
			var numbers []uint64
			for range standing {
				require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
				numbers = append(numbers, by.add(b, organic.NewSample(payload)))
			}
			ours, floor := &stopwatch{}, &stopwatch{}
			for b.Loop() {
				ours.time(func() {
					require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
					takeAndSettle(b, queue)
				})
				floor.time(func() {
					numbers = append(numbers, by.add(b, organic.NewSample(payload)))
					by.takeAndSettle(b, numbers[0])
					numbers = numbers[1:]
				})
			}
			b.ReportMetric(ours.median(), "ours-ns")
			b.ReportMetric(floor.median(), "floor-ns")
			b.ReportMetric(ours.median()/floor.median(), "ratio")
		})
	}
}

// BenchmarkAdders compares 16 adders with one, both with sync, in turn.
func BenchmarkAdders(b *testing.B) {
	const each, adders = 64, 16
	queue := openBench(b, boltqueue.Config[string]{})
	one, many := &stopwatch{}, &stopwatch{}
	for b.Loop() {
		one.time(func() {
			for range each {
				require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
			}
		})
		many.time(func() {
			var group sync.WaitGroup
			for range adders {
				group.Go(func() {
					for range each {
						if err := queue.Add(b.Context(), organic.NewSample(payload)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			group.Wait()
		})
	}
	b.ReportMetric(one.median()/each, "one-ns/add")
	b.ReportMetric(many.median()/each/adders, "sixteen-ns/add")
	b.ReportMetric(adders*one.median()/many.median(), "speedup")
}

// BenchmarkSample is a lease that is given back: no sync in it.
func BenchmarkSample(b *testing.B) {
	queue := openBench(b, boltqueue.Config[string]{NoSync: true})
	for range standing {
		require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
	}
	b.ReportAllocs()
	for b.Loop() {
		lease, err := queue.Sample(b.Context())
		require.NoError(b, err)
		require.NoError(
			b,
			lease.Settle(b.Context(), organic.Verdict{Outcome: organic.OutcomeReturn}),
		)
	}
}

// BenchmarkOpen opens a file with 10,000 samples of 1 KiB.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "queue.db")
	queue, err := boltqueue.Open(path, boltqueue.Config[string]{NoSync: true})
	require.NoError(b, err)
	for range 10_000 {
		require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
	}
	require.NoError(b, queue.Close(b.Context()))
	for b.Loop() {
		queue, err := boltqueue.Open(path, boltqueue.Config[string]{})
		require.NoError(b, err)
		require.NoError(b, queue.Close(b.Context()))
	}
}

// BenchmarkCosts measures what each call of one caller costs, for the table in
// docs/queues.md.
func BenchmarkCosts(b *testing.B) {
	queues := map[string]func(b *testing.B) organic.Queue[string]{
		"memory": func(b *testing.B) organic.Queue[string] {
			b.Helper()
			queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
			require.NoError(b, err)
			return queue
		},
		"bolt": func(b *testing.B) organic.Queue[string] {
			b.Helper()
			return openBench(b, boltqueue.Config[string]{})
		},
		"bolt-nosync": func(b *testing.B) organic.Queue[string] {
			b.Helper()
			return openBench(b, boltqueue.Config[string]{NoSync: true})
		},
	}
	for name, newQueue := range queues {
		b.Run(name, func(b *testing.B) {
			queue := newQueue(b)
			for range standing {
				require.NoError(b, queue.Add(b.Context(), organic.NewSample(payload)))
			}
			add, take, settle := &stopwatch{}, &stopwatch{}, &stopwatch{}
			for b.Loop() {
				sample := organic.NewSample(payload)
				var lease organic.Lease[string]
				var err error
				add.time(func() { err = queue.Add(b.Context(), sample) })
				require.NoError(b, err)
				take.time(func() { lease, err = queue.Sample(b.Context()) })
				require.NoError(b, err)
				if lease.Settle == nil {
					continue
				}
				verdict := organic.Verdict{Outcome: organic.OutcomeScored}
				settle.time(func() { err = lease.Settle(b.Context(), verdict) })
				require.NoError(b, err)
			}
			b.ReportMetric(add.median(), "add-ns")
			b.ReportMetric(take.median(), "take-ns")
			b.ReportMetric(settle.median(), "settle-ns")
		})
	}
}
