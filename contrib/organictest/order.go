package organictest

import (
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
)

// checkOrder: samples come out in the promised order.
func checkOrder(s suite) {
	if s.traits.Order == organic.OrderRandom {
		checkUniform(s)
		return
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

// chiSquare measures how far counts are from an even distribution.
func chiSquare(counts []int, draws int) float64 {
	want := float64(draws) / float64(len(counts))
	sum := 0.0
	for _, count := range counts {
		sum += (float64(count) - want) * (float64(count) - want) / want
	}
	return sum
}
