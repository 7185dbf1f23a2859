// Package random is the randomness of samples, picks and jitter: repeatable
// when a seed is given, lock-free when none is.
package random

import (
	"math/bits"
	"math/rand/v2"
	"sync"
)

// Source gives random numbers. The zero value draws from the process's global
// generator. It is safe for concurrent use and must not be copied once used.
type Source struct {
	mu  sync.Mutex // guards rng
	rng *rand.PCG  // nil: the global generator
}

// New returns a source that is repeatable if seed is not nil.
func New(seed *uint64) *Source {
	if seed == nil {
		return &Source{}
	}
	return &Source{rng: rand.NewPCG(*seed, *seed)}
}

// Uint64 returns 64 random bits.
func (s *Source) Uint64() uint64 {
	if s.rng == nil {
		return rand.Uint64()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Uint64()
}

// Float64 returns a number in [0, 1).
func (s *Source) Float64() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// IntN returns a number in [0, n). n must be above zero.
func (s *Source) IntN(n int) int { return Reduce(s.Uint64(), n) }

// Reduce maps 64 random bits to [0, n), with a bias below n/2⁶⁴.
func Reduce(random uint64, n int) int {
	high, _ := bits.Mul64(random, uint64(n)) //nolint:gosec // n is above zero
	return int(high)                         //nolint:gosec // below n
}
