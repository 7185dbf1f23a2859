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

// checkSize: Size is exact when nothing is under way.
func checkSize(s suite) {
	p := s.probe(10)
	p.size(0)
	for n := 1; n <= 5; n++ {
		p.added(1)
		p.size(n)
	}
	for n := 4; n >= 0; n-- {
		lease := p.take()
		p.size(n)
		p.finish(lease)
		p.size(n)
	}
	p.empty()
	p.size(0)
}

// checkConcurrent: two producers and two consumers, and someone who asks for
// the size all the time.
func checkConcurrent(s suite) {
	const each = 200
	p := s.probe(2 * each)
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	c := &crowd{
		queue: p.queue, patience: p.traits.Patience, want: 2 * each, seen: make(map[string]int),
	}

	c.sizer.Go(func() { c.watchSize(ctx) })
	for range 2 {
		samples := p.samples(each)
		c.workers.Go(func() { c.produce(ctx, samples) })
		c.workers.Go(func() { c.consume(ctx) })
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.workers.Wait()
		cancel()
		c.sizer.Wait()
	}()
	c.requireProgress(s.t, ended)
	require.NoError(
		s.t, errors.Join(c.errs...),
		"Add, Sample, Settle and Size must work from many goroutines at once",
	)
	for id, times := range c.seen {
		require.Equalf(s.t, 1, times, "sample %s must be handed out to one consumer, once", id)
	}
	require.Len(s.t, c.seen, c.want, "every sample must be handed out: some are lost")
	p.empty()
}

// crowd is producers and consumers of one queue.
type crowd struct {
	queue    organic.Queue[string]
	patience time.Duration
	want     int
	workers  sync.WaitGroup
	sizer    sync.WaitGroup

	mu   sync.Mutex // guards seen, got and errs
	seen map[string]int
	got  int
	errs []error
}

func (c *crowd) produce(ctx context.Context, samples []organic.Sample[string]) {
	for _, sample := range samples {
		if err := c.queue.Add(ctx, sample); err != nil {
			c.fail(fmt.Errorf("add: %w", err))
		}
	}
}

// consume takes samples until all have been seen, or none has come for long.
func (c *crowd) consume(ctx context.Context) {
	for last := time.Now(); c.count() < c.want && time.Since(last) < c.patience; {
		lease, err := c.queue.Sample(ctx)
		switch {
		case errors.Is(err, organic.ErrEmpty):
			pause()
			continue
		case err != nil:
			c.fail(fmt.Errorf("sample: %w", err))
			return
		}
		last = time.Now()
		c.note(lease.Sample.ID)
		if lease.Settle != nil {
			c.workers.Go(func() { c.score(ctx, lease) })
		}
	}
}

// score settles a lease from a goroutine that has not taken it.
func (c *crowd) score(ctx context.Context, lease organic.Lease[string]) {
	if err := lease.Settle(ctx, organic.Verdict{Outcome: organic.OutcomeScored}); err != nil {
		c.fail(fmt.Errorf("settle: %w", err))
	}
}

func (c *crowd) watchSize(ctx context.Context) {
	for ctx.Err() == nil {
		if size := c.queue.Size(); size < 0 {
			c.fail(fmt.Errorf("size is %d, must never be negative", size))
			return
		}
		pause()
	}
}

func (c *crowd) note(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[id]++
	c.got++
}

func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

// requireProgress waits for the end as long as samples keep coming.
func (c *crowd) requireProgress(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	for before := -1; ; {
		select {
		case <-ended:
			return
		case <-time.After(2 * c.patience):
			now := c.count()
			require.NotEqual(
				t, before, now, "a call of Add, Sample, Settle or Size from several goroutines hangs",
			)
			before = now
		}
	}
}
