package organictest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// checkEmpty: an empty queue returns ErrEmpty at once, however often it is asked.
func checkEmpty(s suite) {
	p := s.probe(10)
	fastest := s.traits.Patience
	for range 5 {
		began := time.Now()
		p.empty()
		fastest = min(fastest, time.Since(began))
	}
	require.Less(
		s.t, fastest, s.traits.Patience/5,
		"Sample of an empty queue must answer ErrEmpty at once, not wait for a sample to arrive",
	)
	p.drain(p.added(1))
}

// checkWhole: what comes out is what went in.
func checkWhole(s suite) {
	p := s.probe(10)
	zone := time.FixedZone("elsewhere", 5*3600+1800)
	tests := []organic.Sample[string]{
		{Payload: "plain"},
		{Payload: ""},
		{Payload: "two\nlines, \"quotes\", back\\slash, Zürich, 東京, 🙂"},
		{Payload: strings.Repeat("0123456789abcdef", 4<<10)},
		{Payload: "organic", Requester: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"},
		{Payload: "synthetic", Origin: organic.Synthetic, Source: "dataset of a name with spaces"},
		{Payload: "long ago", Received: time.Date(2001, 2, 3, 4, 5, 6, 789_012_000, zone)},
	}
	for _, want := range tests {
		blank := p.samples(1)[0]
		want.ID, want.Attempt = blank.ID, 1
		if want.Received.IsZero() {
			want.Received = blank.Received
		}
		p.add(want)
		lease := p.take()
		requireSame(s.t, want, lease.Sample)
		p.finish(lease)
	}
	p.empty()
}

// requireSame compares all that a queue must keep.
func requireSame(t *testing.T, want, got organic.Sample[string]) {
	t.Helper()
	require.Equal(t, want.ID, got.ID, "the ID must come back as it was")
	require.Equal(t, want.Payload, got.Payload, "the payload must come back as it was")
	require.Equal(t, want.Origin, got.Origin, "the Origin must come back as it was")
	require.Equal(t, want.Source, got.Source, "the Source must come back as it was")
	require.Equal(t, want.Requester, got.Requester, "the Requester must come back as it was")
	require.Truef(
		t, want.Received.Equal(got.Received), "Received must come back as it was: have %v, want %v",
		got.Received, want.Received,
	)
	require.Equal(
		t, want.Attempt, got.Attempt,
		"Attempt must be 1 at the first delivery; without Settle it must come back as it was",
	)
}

// checkNothingLost: as many out as in, none of them twice.
func checkNothingLost(s suite) {
	p := s.probe(500)
	p.drain(p.added(500))
	p.drain(p.added(20))
}

// checkDuplicates: the same ID is one sample.
func checkDuplicates(s suite) {
	p := s.probe(10)
	samples := p.added(3)
	for _, again := range []organic.Sample[string]{samples[1], samples[1], samples[0]} {
		err := p.tryAdd(p.t.Context(), again)
		require.ErrorIs(p.t, err, organic.ErrDuplicate, "Add of an ID that waits already")
	}
	p.size(3)
	p.drain(samples)
}

// checkPutBack: without Settle a sample is put back by Add, older and with its
// attempt counted.
func checkPutBack(s suite) {
	p := s.probe(10)
	sample := p.samples(1)[0]
	sample.Received = sample.Received.Add(-time.Hour)
	p.add(sample)
	for attempt := 2; attempt <= 4; attempt++ {
		again := p.take().Sample
		again.Attempt = attempt
		p.add(again)
		lease := p.take()
		requireSame(s.t, again, lease.Sample)
		p.add(lease.Sample)
	}
	p.drain([]organic.Sample[string]{sample})
}

// checkEndedSample: a ctx that has ended neither hangs Sample nor loses what
// it did not give.
func checkEndedSample(s suite) {
	for _, ctx := range endedContexts(s.t) {
		p := s.probe(20)
		_, ok := p.trySample(ctx)
		require.False(s.t, ok, "an empty queue must answer ErrEmpty or the ctx's error")

		left := make(map[string]organic.Sample[string])
		for _, sample := range p.added(20) {
			left[sample.ID] = sample
		}
		for range 10 {
			if lease, ok := p.trySample(ctx); ok {
				delete(left, lease.Sample.ID)
				p.finish(lease)
			}
		}
		rest := make([]organic.Sample[string], 0, len(left))
		for _, sample := range left {
			rest = append(rest, sample)
		}
		p.drain(rest)
	}
}

// checkEndedAdd: with a ctx that has ended, what Add said is what is so.
func checkEndedAdd(s suite) {
	for _, ctx := range endedContexts(s.t) {
		p := s.probe(20)
		accepted := p.added(3)
		for _, sample := range p.samples(10) {
			if p.tryAdd(ctx, sample) == nil {
				accepted = append(accepted, sample)
			}
		}
		p.drain(accepted)
	}
}

func endedContexts(t *testing.T) []context.Context {
	t.Helper()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Hour))
	t.Cleanup(cancel)
	return []context.Context{cancelled, late}
}
