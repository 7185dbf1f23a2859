package organictest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

var errVerdict = errors.New("organictest: why a sample failed")

// checkSettledForGood: what is scored, dead or discarded is gone.
func checkSettledForGood(s suite) {
	p := s.probe(10)
	for _, outcome := range []organic.Outcome{
		organic.OutcomeScored, organic.OutcomeDead, organic.OutcomeDiscarded,
	} {
		verdict := organic.Verdict{Outcome: outcome}
		if outcome != organic.OutcomeScored {
			verdict.Err = errVerdict
		}
		p.added(1)
		p.settle(p.take(), verdict)
		p.quiet("a sample that is scored, dead or discarded must never be handed out again")
	}
	p.empty()
}

// checkRetry: a sample whose attempt failed comes back after its delay and not
// before, with deliveries counted, and does not hold others up.
func checkRetry(s suite) {
	p := s.probe(10)
	want := p.added(1)[0]
	for attempt := 1; attempt <= 3; attempt++ {
		lease := p.take()
		requireAgain(s.t, want, lease.Sample, attempt)
		p.settle(lease, organic.Verdict{Outcome: organic.OutcomeRetry, Err: errVerdict})
	}
	lease := p.take()
	due := time.Now().Add(quietFor)
	p.settle(lease, organic.Verdict{Outcome: organic.OutcomeRetry, Delay: quietFor, Err: errVerdict})
	p.takeOther(want, due)
	lease = p.takeFrom(due)
	requireAgain(s.t, want, lease.Sample, 5)
	p.finish(lease)
	p.empty()
}

// checkRetries: each of several samples has a delay and a count of failures of
// its own.
func checkRetries(s suite) {
	p := s.probe(10)
	attempts := make(map[string]int)
	for _, sample := range p.added(3) {
		attempts[sample.ID] = 1
	}
	leases := []organic.Lease[string]{p.take(), p.take(), p.take()}
	for _, lease := range leases[:2] {
		p.settle(lease, organic.Verdict{Outcome: organic.OutcomeRetry, Delay: quietFor, Err: errVerdict})
		attempts[lease.Sample.ID]++
	}
	p.settle(leases[2], organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	for range leases {
		lease := p.take()
		require.Equal(
			s.t, attempts[lease.Sample.ID], lease.Sample.Attempt,
			"the failures of each sample must be counted by themselves",
		)
		delete(attempts, lease.Sample.ID)
		p.finish(lease)
	}
	require.Empty(s.t, attempts, "each of several samples must come back after its own delay")
	p.empty()
}

// takeOther adds a sample and takes it while a delayed one waits.
func (p *probe) takeOther(delayed organic.Sample[string], due time.Time) {
	p.t.Helper()
	other := p.added(1)[0]
	asked := time.Now()
	lease := p.take()
	if lease.Sample.ID == delayed.ID && due.Sub(asked) < quietFor/2 {
		p.t.Skip("this machine is too slow now to see whether a delay is kept")
	}
	require.Equal(
		p.t, other.ID, lease.Sample.ID,
		"a delayed sample must neither be handed out before its delay is over nor hold others up",
	)
	p.finish(lease)
}

// takeFrom takes a delayed sample, which must not come before it is due.
func (p *probe) takeFrom(due time.Time) organic.Lease[string] {
	p.t.Helper()
	var lease organic.Lease[string]
	p.eventually(
		quietFor+p.traits.Patience,
		"a sample must come back when its delay is over: it is lost or late",
		func() bool {
			got, ok := p.trySample(p.t.Context())
			lease = got
			return ok
		},
	)
	require.False(
		p.t, time.Now().Before(due), "a delayed sample must not be handed out before its delay is over",
	)
	return lease
}

// requireAgain compares a sample with a later delivery of it.
func requireAgain(t *testing.T, want, got organic.Sample[string], attempt int) {
	t.Helper()
	require.Equalf(
		t, attempt, got.Attempt, "with Settle, Attempt must be 1 plus the number of failures",
	)
	want.Attempt = attempt
	requireSame(t, want, got)
}

// checkReturn: a sample that was interrupted comes back, at once or after a
// delay, and its Attempt is what it was.
func checkReturn(s suite) {
	p := s.probe(10)
	want := p.added(1)[0]
	p.settle(p.take(), organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	lease := p.take()
	requireAgain(s.t, want, lease.Sample, 1)

	due := time.Now().Add(quietFor)
	p.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Delay: quietFor, Err: errVerdict})
	lease = p.takeFrom(due)
	require.Equal(s.t, want.ID, lease.Sample.ID, "a returned sample must come back after its delay")
	requireAgain(s.t, want, lease.Sample, 1)
	p.finish(lease)
	p.empty()
}

// checkLease: a sample is one consumer's until it is settled.
func checkLease(s suite) {
	p := s.probe(10)
	samples := p.added(3)
	leases := []organic.Lease[string]{p.take(), p.take(), p.take()}
	p.quiet("a leased sample must not be handed to another consumer before it is settled")
	p.size(0)
	for _, lease := range leases {
		p.settle(lease, organic.Verdict{Outcome: organic.OutcomeReturn, Err: errVerdict})
	}
	p.drain(samples)
}

// checkSettledAfterDrop: a sample that the bound has dropped while it was
// leased can be settled all the same, without harm to the others.
func checkSettledAfterDrop(s suite) {
	for _, outcome := range []organic.Outcome{
		organic.OutcomeScored, organic.OutcomeRetry, organic.OutcomeReturn, organic.OutcomeDead,
	} {
		p := s.probe(3)
		w := p.watch()
		p.added(3)
		lease := p.take()
		for _, sample := range p.samples(6) {
			if err := p.tryAdd(s.t.Context(), sample); err != nil {
				require.ErrorIs(s.t, err, organic.ErrFull, "a full queue drops, or refuses with ErrFull")
			}
		}
		p.settle(lease, organic.Verdict{Outcome: outcome, Err: errVerdict})
		gone := outcome == organic.OutcomeScored || outcome == organic.OutcomeDead
		if back := p.requireInOrder(3, lease.Sample.ID, gone); !back && !gone {
			w.requireMayDrop(lease.Sample.ID)
		}
	}
}

// requireInOrder takes what is left in a queue with one settled lease: at most
// one sample beyond the bound, the one that came back; none twice; and then
// the queue goes on. It reports whether that sample came back.
func (p *probe) requireInOrder(capacity int, leased string, gone bool) (back bool) {
	p.t.Helper()
	const forGood = "a sample that was settled for good must never be handed out again, dropped or not"
	seen := make(map[string]bool)
	note := func(lease organic.Lease[string]) {
		require.False(p.t, gone && lease.Sample.ID == leased, forGood)
		require.Falsef(p.t, seen[lease.Sample.ID], "%q was handed out twice", lease.Sample.Payload)
		seen[lease.Sample.ID] = true
		p.finish(lease)
	}
	for lease, ok := p.trySample(p.t.Context()); ok; lease, ok = p.trySample(p.t.Context()) {
		note(lease)
	}
	for last := p.added(1)[0]; !seen[last.ID]; {
		note(p.take())
	}
	require.LessOrEqual(p.t, len(seen), capacity+2, "the queue must keep its bound")
	if gone {
		p.quiet(forGood)
	}
	return seen[leased]
}
