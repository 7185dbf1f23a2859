package organictest

import (
	"fmt"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
)

const (
	// ranks is how many samples wait while a random order is looked at.
	ranks = 50
	// chiSquareLimit is what chi-square with 49 degrees of freedom exceeds
	// with a probability of 1e-9.
	chiSquareLimit = 134
	// parties is how many requesters have samples while a fair order is looked at.
	parties = 10
	// partiesLimit is what chi-square with 9 degrees of freedom exceeds with a
	// probability of 1e-9.
	partiesLimit = 61
)

// checkOrder: samples come out in the promised order.
func checkOrder(s suite) {
	switch s.traits.Order {
	case organic.OrderRandom:
		checkUniform(s)
		return
	case organic.OrderFair:
		checkFair(s)
		return
	default:
	}
	p := s.probe(100)
	var waiting []organic.Sample[string]
	rounds := []struct{ in, out int }{{10, 4}, {1, 1}, {20, 13}, {2, 15}, {30, 25}, {0, 5}}
	for _, round := range rounds {
		waiting = append(waiting, p.added(round.in)...)
		for range round.out {
			next := 0
			if s.traits.Order == organic.OrderNewest {
				next = len(waiting) - 1
			}
			lease := p.take()
			require.Equalf(
				s.t, waiting[next].Payload, lease.Sample.Payload, "samples must come out in the order %v",
				s.traits.Order,
			)
			p.finish(lease)
			waiting = slices.Delete(waiting, next, next+1)
		}
	}
	p.empty()
}

// checkUniform: each waiting sample is drawn with the same probability, the
// oldest and the newest too, while samples come and go.
func checkUniform(s suite) {
	p := s.probe(2 * ranks)
	var counts [ranks]int
	waiting := p.added(ranks)
	for range s.traits.Draws {
		lease := p.take()
		rank := slices.IndexFunc(
			waiting, func(s organic.Sample[string]) bool { return s.ID == lease.Sample.ID },
		)
		require.GreaterOrEqualf(s.t, rank, 0, "%q was handed out twice", lease.Sample.Payload)
		counts[rank]++
		p.finish(lease)
		waiting = append(slices.Delete(waiting, rank, rank+1), p.added(1)...)
	}
	got := chiSquare(counts[:], s.traits.Draws)
	require.Lessf(
		s.t, got, float64(chiSquareLimit),
		"each waiting sample must be drawn with the same probability: chi-square of %d draws; "+
			"by age, oldest first: %v",
		s.traits.Draws, counts,
	)
	p.drain(waiting)
}

// checkFair: each requester is drawn with the same probability, however many
// samples it has, and gives its oldest sample.
func checkFair(s suite) {
	p := s.probe(2 * ranks)
	var counts [parties]int
	waiting := make([][]organic.Sample[string], parties)
	for party := range waiting {
		for range party + 1 {
			waiting[party] = append(waiting[party], p.addedOf(party))
		}
	}
	for range s.traits.Draws {
		lease := p.take()
		party := slices.IndexFunc(waiting, func(of []organic.Sample[string]) bool {
			return of[0].ID == lease.Sample.ID
		})
		require.GreaterOrEqualf(
			s.t, party, 0, "%q came out, which is not the oldest sample of its requester",
			lease.Sample.Payload,
		)
		counts[party]++
		p.finish(lease)
		waiting[party] = append(waiting[party][1:], p.addedOf(party))
	}
	require.Lessf(
		s.t, chiSquare(counts[:], s.traits.Draws), float64(partiesLimit),
		"each requester must be drawn with the same probability: %d draws, by how many samples "+
			"the requester has: %v",
		s.traits.Draws, counts,
	)
	p.drain(slices.Concat(waiting...))
}

// checkFairBound: a full queue drops the oldest sample of the requester who has
// most.
func checkFairBound(s suite) {
	const capacity = 8
	p := s.probe(capacity)
	w := p.watch()
	kept := []organic.Sample[string]{p.addedOf(0), p.addedOf(1)}
	var most []organic.Sample[string]
	for range 2 * capacity {
		most = append(most, p.addedOf(2))
	}
	dropped := len(most) + len(kept) - capacity
	p.drain(append(kept, most[dropped:]...))
	w.requireDropped(most[:dropped], organic.DroppedFull)
}

// addedOf adds a sample of a requester.
func (p *probe) addedOf(party int) organic.Sample[string] {
	p.t.Helper()
	sample := p.samples(1)[0]
	sample.Requester = fmt.Sprintf("requester %d", party)
	p.add(sample)
	return sample
}

// chiSquare measures how far counts are from an even distribution.
func chiSquare(counts []int, draws int) float64 {
	want := float64(draws) / float64(len(counts))
	sum := 0.0
	for _, count := range counts {
		sum += (float64(count) - want) * (float64(count) - want) / want
	}
	return sum
}
