package main

import (
	"errors"
	"math/rand/v2"
	"sync"
)

// errFault is the failure that -fail makes happen.
var errFault = errors.New("failed at random")

// faults makes a share of calls fail. It is safe for concurrent use.
type faults struct {
	share float64

	mu     sync.Mutex // guards random
	random *rand.Rand
}

func newFaults(share float64, seed uint64) *faults {
	return &faults{share: share, random: rand.New(rand.NewPCG(seed, 1))}
}

// strike returns errFault for the share of the calls, and nil for the others.
func (f *faults) strike() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.random.Float64() < f.share {
		return errFault
	}
	return nil
}
