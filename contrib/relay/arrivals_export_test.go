package relay

import "math/rand/v2"

// Seed makes the gaps that are drawn the same in each run.
func (a *Arrivals) Seed(seed uint64) { a.random = rand.New(rand.NewPCG(seed, seed)) }
