package boltqueue_test

import (
	"slices"
	"time"
)

// stopwatch keeps the durations of the rounds of a benchmark.
type stopwatch struct{ rounds []time.Duration }

func (s *stopwatch) time(f func()) {
	began := time.Now()
	f()
	s.rounds = append(s.rounds, time.Since(began))
}

// median returns the median round in nanoseconds.
func (s *stopwatch) median() float64 {
	if len(s.rounds) == 0 {
		return 0
	}
	slices.Sort(s.rounds)
	return float64(s.rounds[len(s.rounds)/2])
}
