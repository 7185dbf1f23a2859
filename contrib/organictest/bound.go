package organictest

import (
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

// checkBound: at the capacity happens what the queue promises.
func checkBound(s suite) {
	const capacity, more = 8, 5
	p := s.probe(capacity)
	w := p.watch()
	samples := p.added(capacity)
	p.size(capacity)
	switch s.traits.Bound {
	case DropsOldest:
		samples = append(samples, p.added(more)...)
		p.size(capacity)
		p.drain(samples[more:])
		w.requireDropped(samples[:more], organic.DroppedFull)
	case Refuses:
		checkRefusal(p, samples, more)
		w.requireDropped(nil, organic.DroppedFull)
	case Unbounded:
		samples = append(samples, p.added(10*capacity)...)
		p.size(len(samples))
		p.drain(samples)
		w.requireDropped(nil, organic.DroppedFull)
	}
}

// checkRefusal: a full queue is not changed by what it refuses, and takes
// samples again when it is not full.
func checkRefusal(p *probe, waiting []organic.Sample[string], more int) {
	p.t.Helper()
	for _, sample := range p.samples(more) {
		require.ErrorIs(
			p.t, p.tryAdd(p.t.Context(), sample), organic.ErrFull, "a full queue must refuse with ErrFull",
		)
	}
	p.size(len(waiting))
	lease := p.take()
	p.finish(lease)
	for i := range waiting {
		if waiting[i].ID == lease.Sample.ID {
			waiting[i] = p.samples(1)[0]
			p.add(waiting[i])
		}
	}
	p.drain(waiting)
}

// checkPutBackTooOld: a sample that is older than all in a full queue is
// itself the oldest.
func checkPutBackTooOld(s suite) {
	p := s.probe(4)
	w := p.watch()
	old := p.samples(1)
	young := p.added(4)
	p.add(old...)
	p.size(4)
	p.drain(young)
	w.requireDropped(old, organic.DroppedFull)
}

// checkMaximumAge: each sample is judged by its own Received, whatever the
// others' and whatever the unit.
func checkMaximumAge(s suite) {
	p := newProbe(s.t, s.traits.NewAged(s.t, time.Hour), s.traits)
	w := p.watch()
	var stale, fresh []organic.Sample[string]
	for _, age := range []time.Duration{
		61 * time.Minute, 59 * time.Minute, 1000 * time.Hour, 0, 2 * time.Hour, -time.Minute,
	} {
		sample := p.samples(1)[0]
		sample.Received = time.Now().Add(-age).Truncate(time.Microsecond)
		if age > time.Hour {
			stale = append(stale, sample)
		} else {
			fresh = append(fresh, sample)
		}
		p.add(sample)
	}
	p.drain(fresh)
	w.requireDropped(stale, organic.DroppedExpired)
}

// checkExpiry: a sample that grows too old while it waits is not handed out.
func checkExpiry(s suite) {
	p := newProbe(s.t, s.traits.NewAged(s.t, time.Hour), s.traits)
	w := p.watch()
	samples := p.samples(1)
	samples[0].Received = time.Now().Add(100*time.Millisecond - time.Hour).Truncate(time.Microsecond)
	p.add(samples...)
	<-time.After(time.Until(samples[0].Received.Add(time.Hour + quietFor/5)))
	_, ok := p.trySample(s.t.Context())
	require.False(s.t, ok, "a sample older than the maximum age must not be handed out")
	p.empty()
	w.requireDropped(samples, organic.DroppedExpired)
}
