package organictest_test

import (
	"context"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

func brokenDelivery() []broken {
	return []broken{
		{
			name: "loses every 100th", plan: random, check: "nothing lost", message: "lost or late",
			bend: func(b *bent) {
				b.add = func(ctx context.Context, s organic.Sample[string]) error {
					if b.every(100) {
						return nil
					}
					return b.fullQueue.Add(ctx, s)
				}
				b.size = func() int { return 0 }
			},
		},
		{
			name: "hands one out twice", plan: random, check: "nothing lost", message: "handed out twice",
			bend: handTwice,
		},
		{
			name: "hands the last out twice", plan: random, check: "concurrent",
			message: "one consumer, once", bend: handTwice,
		},
		{
			name: "loses some under load", plan: random, check: "concurrent", message: "some are lost",
			bend: func(b *bent) {
				b.alter(func(*organic.Sample[string]) {
					if b.every(100) {
						_, _ = b.fullQueue.Sample(context.Background())
					}
				})
			},
		},
		{
			name: "blocks on empty", plan: random, check: "empty", message: "Sample hangs",
			bend: func(b *bent) {
				b.sample = func(ctx context.Context) (organic.Lease[string], error) {
					<-ctx.Done()
					return organic.Lease[string]{}, ctx.Err()
				}
			},
		},
		{
			name: "waits a little on empty", plan: random, check: "empty", message: "at once",
			bend: func(b *bent) {
				b.sample = func(ctx context.Context) (organic.Lease[string], error) {
					lease, err := b.fullQueue.Sample(ctx)
					if err != nil {
						<-time.After(100 * time.Millisecond)
					}
					return lease, err
				}
			},
		},
		{
			name: "gives nothing without an error", plan: random, check: "empty",
			message: "must answer ErrEmpty", bend: func(b *bent) {
				b.sample = func(ctx context.Context) (organic.Lease[string], error) {
					lease, _ := b.fullQueue.Sample(ctx)
					return lease, nil
				}
			},
		},
		{
			name: "has an error of its own for empty", plan: random, check: "empty",
			message: "a sample or ErrEmpty", bend: func(b *bent) {
				b.sample = func(context.Context) (organic.Lease[string], error) {
					return organic.Lease[string]{},
						errOwn
				}
			},
		},
	}
}

func brokenSamples() []broken {
	sample := func(change func(*organic.Sample[string])) func(*bent) {
		return func(b *bent) { b.alter(change) }
	}
	return []broken{
		{
			name: "renames", plan: random, check: "whole", message: "the ID must",
			bend: sample(func(s *organic.Sample[string]) { s.ID = strings.ToUpper(s.ID) }),
		},
		{
			name: "cuts payloads", plan: random, check: "whole", message: "the payload must",
			bend: sample(func(s *organic.Sample[string]) {
				s.Payload = s.Payload[:min(len(s.Payload),
					1000)]
			}),
		},
		{
			name: "forgets the origin", plan: random, check: "whole", message: "the Origin must",
			bend: sample(func(s *organic.Sample[string]) { s.Origin = organic.Organic }),
		},
		{
			name: "forgets the source", plan: random, check: "whole", message: "the Source must",
			bend: sample(func(s *organic.Sample[string]) { s.Source = "" }),
		},
		{
			name: "forgets the requester", plan: random, check: "whole", message: "the Requester must",
			bend: sample(func(s *organic.Sample[string]) { s.Requester = "" }),
		},
		{
			name: "rounds times", plan: random, check: "whole", message: "Received must",
			bend: sample(func(s *organic.Sample[string]) { s.Received = s.Received.Truncate(time.Second) }),
		},
		{
			name: "forgets the attempt", plan: random, check: "put back", message: "Attempt must",
			bend: sample(func(s *organic.Sample[string]) { s.Attempt = min(s.Attempt, 1) }),
		},
		{
			name: "counts from zero", plan: random, check: "whole", message: "Attempt must",
			bend: sample(func(s *organic.Sample[string]) { s.Attempt-- }),
		},
		{
			name: "takes no sample back", plan: random, check: "put back", message: "Add must accept",
			bend: func(b *bent) {
				b.add = func(ctx context.Context, s organic.Sample[string]) error {
					if s.Attempt > 1 {
						return errOwn
					}
					return b.fullQueue.Add(ctx, s)
				}
			},
		},
	}
}

func brokenContexts() []broken {
	return []broken{
		{
			name: "hangs when ctx has ended", plan: random, check: "ended context of Sample",
			message: "Sample hangs", bend: func(b *bent) {
				b.sample = func(ctx context.Context) (organic.Lease[string], error) {
					if ctx.Err() != nil {
						select {}
					}
					return b.fullQueue.Sample(ctx)
				}
			},
		},
		{
			name: "loses what it took when ctx has ended", plan: random, check: "ended context of Sample",
			message: "lost or late", bend: func(b *bent) {
				b.sample = func(ctx context.Context) (organic.Lease[string], error) {
					lease, err := b.fullQueue.Sample(ctx)
					if ctx.Err() != nil {
						return organic.Lease[string]{}, ctx.Err()
					}
					return lease, err
				}
			},
		},
		{
			name: "adds and denies it", plan: random, check: "ended context of Add",
			message: "must not be in the queue", bend: func(b *bent) {
				b.add = func(ctx context.Context, s organic.Sample[string]) error {
					_ = b.fullQueue.Add(ctx, s)
					return ctx.Err()
				}
			},
		},
		{
			name: "does not add and denies it", plan: random, check: "ended context of Add",
			message: "lost or late", bend: func(b *bent) {
				b.add = func(ctx context.Context, s organic.Sample[string]) error {
					var err error
					if ctx.Err() == nil {
						err = b.fullQueue.Add(ctx, s)
					}
					return err
				}
			},
		},
	}
}

func brokenSizes() []broken {
	return []broken{
		{
			name: "counts one too many", plan: random, check: "size", message: "Size must be",
			bend: func(b *bent) { b.size = func() int { return b.fullQueue.Size() + 1 } },
		},
		{
			name: "never counts down", plan: random,
			traits: func(q *organictest.QueueTraits) { q.SizeLags = true }, check: "size", message: "Size must become", bend: func(b *bent) {
				b.size = func() int { return max(b.fullQueue.Size(), 3) }
			},
		},
		{
			name: "has a negative size under load", plan: random, check: "concurrent",
			message: "must never be negative", bend: func(b *bent) { b.size = func() int { return -1 } },
		},
	}
}

// handTwice puts every 50th sample back in secret.
func handTwice(b *bent) {
	b.alter(func(s *organic.Sample[string]) {
		if s.ID != "" && b.every(50) {
			_ = b.fullQueue.Add(context.Background(), *s)
		}
	})
}
