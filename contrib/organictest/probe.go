package organictest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

const (
	// pollEvery is the pause between two looks at something awaited.
	pollEvery = time.Millisecond
	// quietFor is how long the suite looks for something that must not happen.
	quietFor = 250 * time.Millisecond
)

// probe asks a queue under test: no call hangs the test, and what must hold
// for every answer is required of every answer. Its methods are for the
// test's own goroutine.
type probe struct {
	t      *testing.T
	queue  organic.Queue[string]
	traits QueueTraits
	start  time.Time // what the first sample has as Received
	made   int       // samples made so far
}

func newProbe(t *testing.T, queue organic.Queue[string], traits QueueTraits) *probe {
	t.Helper()
	require.NotNil(t, queue, "the constructor must return a queue")
	start := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	return &probe{t: t, queue: queue, traits: traits, start: start}
}

// samples makes n samples, each a millisecond younger than the one before.
func (p *probe) samples(n int) []organic.Sample[string] {
	made := make([]organic.Sample[string], n)
	for i := range made {
		made[i] = organic.NewSample(fmt.Sprintf("payload %d", p.made))
		made[i].Received = p.start.Add(time.Duration(p.made) * time.Millisecond)
		p.made++
	}
	return made
}

// added makes n samples that the queue has accepted.
func (p *probe) added(n int) []organic.Sample[string] {
	p.t.Helper()
	samples := p.samples(n)
	p.add(samples...)
	return samples
}

func (p *probe) add(samples ...organic.Sample[string]) {
	p.t.Helper()
	for _, sample := range samples {
		require.NoError(
			p.t, p.tryAdd(p.t.Context(), sample),
			"Add must accept a sample while the queue is not full, or drop an old one for it",
		)
	}
}

func (p *probe) tryAdd(ctx context.Context, sample organic.Sample[string]) error {
	p.t.Helper()
	return within(p, "Add", func() error { return p.queue.Add(ctx, sample) })
}

// trySample returns false when the queue has nothing to give, or gives an
// error because ctx has ended.
func (p *probe) trySample(ctx context.Context) (organic.Lease[string], bool) {
	p.t.Helper()
	type answer struct {
		lease organic.Lease[string]
		err   error
	}
	got := within(p, "Sample", func() answer {
		lease, err := p.queue.Sample(ctx)
		return answer{lease, err}
	})
	if errors.Is(got.err, organic.ErrEmpty) || got.err != nil && ctx.Err() != nil {
		return got.lease, false
	}
	require.NoError(p.t, got.err, "Sample must give a sample or ErrEmpty")
	require.NotEmpty(
		p.t, got.lease.Sample.ID,
		"Sample without error must give a sample, and an empty queue must answer ErrEmpty",
	)
	require.Equal(
		p.t, p.traits.Settles, got.lease.Settle != nil,
		"leases must carry Settle as QueueTraits.Settles says",
	)
	return got.lease, true
}

// take waits for a sample that must be there.
func (p *probe) take() organic.Lease[string] {
	p.t.Helper()
	var lease organic.Lease[string]
	p.eventually(
		p.traits.Patience,
		"a sample that was accepted, or came back, must be handed out: it is lost or late",
		func() bool {
			got, ok := p.trySample(p.t.Context())
			lease = got
			return ok
		},
	)
	return lease
}

func (p *probe) settle(lease organic.Lease[string], verdict organic.Verdict) {
	p.t.Helper()
	err := within(p, "Settle", func() error { return lease.Settle(p.t.Context(), verdict) })
	require.NoErrorf(p.t, err, "Settle(%v) must succeed", verdict.Outcome)
}

// finish is the end of a sample that was scored.
func (p *probe) finish(lease organic.Lease[string]) {
	p.t.Helper()
	if lease.Settle != nil {
		p.settle(lease, organic.Verdict{Outcome: organic.OutcomeScored})
	}
}

// drain requires that exactly these samples come out, in any order.
func (p *probe) drain(want []organic.Sample[string]) {
	p.t.Helper()
	waiting := make(map[string]bool, len(want))
	for _, sample := range want {
		waiting[sample.ID] = true
	}
	for range want {
		lease := p.take()
		first, known := waiting[lease.Sample.ID]
		require.Truef(
			p.t, known,
			"%q came out, which must not be in the queue: it was refused, or should have been dropped, "+
				"or is done",
			lease.Sample.Payload,
		)
		require.Truef(p.t, first, "%q was handed out twice", lease.Sample.Payload)
		waiting[lease.Sample.ID] = false
		p.finish(lease)
	}
	p.empty()
}

// empty requires that nothing is left.
func (p *probe) empty() {
	p.t.Helper()
	for range 3 {
		lease, ok := p.trySample(p.t.Context())
		require.Falsef(
			p.t, ok,
			"%q came out, which must not be in the queue: it was handed out twice, or kept too long, "+
				"or is done",
			lease.Sample.Payload,
		)
	}
	p.size(0)
}

// quiet requires that nothing comes out for a while.
func (p *probe) quiet(promise string) {
	p.t.Helper()
	for end := time.Now().Add(quietFor); time.Now().Before(end); pause() {
		_, ok := p.trySample(p.t.Context())
		require.False(p.t, ok, promise)
	}
}

// size requires that this many samples wait, at once or with patience.
func (p *probe) size(want int) {
	p.t.Helper()
	if !p.traits.SizeLags {
		require.Equal(
			p.t, want, within(p, "Size", p.queue.Size), "Size must be the number of samples waiting",
		)
		return
	}
	p.eventually(
		p.traits.Patience,
		fmt.Sprintf("Size must become the number of samples waiting, %d", want),
		func() bool {
			got := within(p, "Size", p.queue.Size)
			require.GreaterOrEqual(p.t, got, 0, "Size must never be negative")
			return got == want
		},
	)
}

// eventually requires that the condition comes true in time.
func (p *probe) eventually(patience time.Duration, promise string, condition func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !condition(); pause() {
		require.Truef(p.t, time.Now().Before(end), "%s (waited %v)", promise, patience)
	}
}

// within makes a call that must not hang. A call that does is left behind.
func within[T any](p *probe, call string, f func() T) T {
	p.t.Helper()
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case result := <-done:
		return result
	case <-time.After(p.traits.Patience):
		require.FailNowf(
			p.t, call+" hangs", "it must return without waiting for anything, and has not after %v",
			p.traits.Patience,
		)
		panic("unreachable")
	}
}

// pause lets others work before the next look.
func pause() { <-time.After(pollEvery) }
