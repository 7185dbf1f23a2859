package organictest_test

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func brokenOrder() []broken {
	const uniform, ordered = "same probability", "must come out in the order"
	return []broken{
		{
			name: "prefers the old", plan: plan{
				capacity: 8,
				pick:     func(n int) int { return min(rand.IntN(n), rand.IntN(n)) },
			}, check: "order",
			message: uniform,
		},
		{
			name: "spares the newest", plan: plan{
				capacity: 8,
				pick:     func(n int) int { return rand.IntN(max(n-1, 1)) },
			},
			traits: func(q *organictest.QueueTraits) { q.Draws = 0 }, check: "order", message: uniform,
		},
		{
			name: "fifo for random", plan: fifo,
			traits: func(q *organictest.QueueTraits) { q.Order = organic.OrderRandom }, check: "order",
			message: uniform,
		},
		{
			name: "newest for fifo", plan: plan{capacity: 8, order: organic.OrderNewest},
			traits: func(q *organictest.QueueTraits) { q.Order = organic.OrderFIFO }, check: "order",
			message: ordered + " fifo",
		},
		{
			name: "fifo for newest", plan: fifo,
			traits: func(q *organictest.QueueTraits) { q.Order = organic.OrderNewest }, check: "order",
			message: ordered + " newest",
		},
		{
			name:  "fifo but for the last",
			plan:  plan{capacity: 8, order: organic.OrderFIFO, pick: func(n int) int { return n / 20 }},
			check: "order", message: ordered,
		},
	}
}

// brokenFairness promises fair queues.
func brokenFairness() []broken {
	promise := func(q *organictest.QueueTraits) { q.Order = organic.OrderFair }
	return []broken{
		{
			name: "takes the oldest of all for fair", plan: fifo, traits: promise, check: "order",
			message: "each requester must be drawn with the same probability",
		},
		{
			name: "takes any sample for fair", plan: random, traits: promise, check: "order",
			message: "not the oldest sample of its requester",
		},
		{
			name: "drops the oldest of all for fair", plan: random, traits: promise, check: "fair bound",
			message: "must not be in the queue",
		},
	}
}

func brokenBounds() []broken {
	return []broken{
		{
			name: "ignores the bound", plan: plan{}, traits: promise(organictest.DropsOldest),
			check: "bound", message: "Size must be",
		},
		{
			name: "ignores the bound and lies about it", plan: plan{},
			traits: promise(organictest.DropsOldest), check: "bound", bend: func(b *bent) {
				b.size = func() int { return min(b.fullQueue.Size(), 8) }
			}, message: "must not be in the queue",
		},
		{
			name: "drops the newest", plan: plan{capacity: 8, drop: func(n int) int { return n - 1 }},
			check: "bound", message: "must not be in the queue",
		},
		{
			name: "drops any", plan: plan{capacity: 8, drop: rand.IntN}, check: "bound",
			message: "must not be in the queue",
		},
		{
			name: "has a bound it does not name", plan: random, traits: promise(organictest.Unbounded),
			check: "bound", message: "Size must be",
		},
		{
			name: "keeps duplicates", plan: random,
			traits: func(q *organictest.QueueTraits) { q.Deduplicates = true }, check: "duplicates",
			message: "Add of an ID that waits already",
		},
		{
			name: "keeps an old sample for a younger one",
			plan: plan{capacity: 8, drop: func(int) int { return 1 }}, check: "put back too old",
			message: "must not be in the queue",
		},
	}
}

func brokenRefusals() []broken {
	refuses := plan{capacity: 8, refuses: true}
	return []broken{
		{
			name: "drops instead of refusing", plan: random, traits: promise(organictest.Refuses),
			check: "bound", message: "refuse with ErrFull",
		},
		{
			name: "refuses instead of dropping", plan: refuses, traits: promise(organictest.DropsOldest),
			check: "bound", message: "drop an old one",
		},
		{
			name: "says nothing when full", plan: refuses, check: "bound", message: "refuse with ErrFull",
			bend: func(b *bent) {
				b.add = func(
					ctx context.Context, s organic.Sample[string],
				) error {
					_ = b.fullQueue.Add(ctx, s)
					return nil
				}
			},
		},
		{
			name: "refuses with an error of its own", plan: refuses, check: "bound",
			message: "refuse with ErrFull", bend: func(b *bent) {
				b.add = func(ctx context.Context, s organic.Sample[string]) error {
					if b.fullQueue.Add(ctx, s) != nil {
						return errOwn
					}
					return nil
				}
			},
		},
		{
			name: "takes what it refuses", plan: plan{}, traits: promise(organictest.Refuses),
			check: "bound", message: "Size must be", bend: func(b *bent) {
				b.add = func(ctx context.Context, s organic.Sample[string]) error {
					_ = b.fullQueue.Add(ctx, s)
					if b.fullQueue.Size() > 8 {
						return organic.ErrFull
					}
					return nil
				}
			},
		},
	}
}

func promise(bound organictest.Bound) func(*organictest.QueueTraits) {
	return func(q *organictest.QueueTraits) { q.Bound = bound }
}

func brokenAges() []broken {
	return []broken{
		{
			name: "never expires", plan: plan{
				capacity: 8,
				isStale:  func(time.Duration, time.Duration) bool { return false },
			}, check: "maximum age",
			message: "must not be in the queue",
		},
		{
			name:  "never expires while waiting",
			plan:  plan{capacity: 8, isStale: func(time.Duration, time.Duration) bool { return false }},
			check: "expiry", message: "older than the maximum age",
		},
		{
			name: "expires the young", plan: plan{
				capacity: 8,
				isStale:  func(age, maxAge time.Duration) bool { return age < maxAge },
			}, check: "maximum age",
			message: "out",
		},
		{
			name: "takes nanoseconds for seconds",
			plan: plan{capacity: 8, isStale: func(
				age, maxAge time.Duration,
			) bool {
				return age > maxAge*1000
			}}, check: "maximum age", message: "must not be in the queue",
		},
		{
			name: "expires what is from the future",
			plan: plan{capacity: 8, isStale: func(
				age, maxAge time.Duration,
			) bool {
				return age > maxAge || age < 0
			}}, check: "maximum age", message: "handed out",
		},
	}
}
