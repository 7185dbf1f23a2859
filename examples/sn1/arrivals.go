package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	recentArrivals = 512 // of users, that are remembered
	meanRun        = 16  // gaps that are drawn in a row, on average, so that bursts stay bursts
	enoughArrivals = 16  // below which gaps are drawn from an exponential distribution
)

// arrivals draws the times of synthetic queries from the recent distribution of users' queries:
// runs of gaps as they were, joined at random (a stationary block bootstrap; Politis and Romano
// 1994). So synthetic queries have the gaps, the bursts and the rate of users' queries, and go on
// at that rate when users stop. It is safe for concurrent use.
type arrivals struct {
	path string        // where the gaps outlive a restart
	idle time.Duration // the longest gap, and the mean before users have come

	mu     sync.Mutex // guards what follows
	random *rand.Rand
	gaps   []time.Duration // a ring
	oldest int             // of the ring, once it is full
	last   time.Time
	at     int // of the next gap to draw
}

func openArrivals(path string, idle time.Duration, seed uint64) (*arrivals, error) {
	a := &arrivals{path: path, idle: idle, random: newRandom(seed, 3)}
	err := readState(path, &a.gaps)
	a.gaps = a.gaps[:min(len(a.gaps), recentArrivals)]
	return a, err
}

// save writes the gaps, the oldest first.
func (a *arrivals) save() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return writeState(a.path, slices.Concat(a.gaps[a.oldest:], a.gaps[:a.oldest]))
}

// saw takes in that a user's query goes to the miners now.
func (a *arrivals) saw(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := a.last
	a.last = now
	if last.IsZero() {
		return
	}
	gap := min(max(now.Sub(last), 0), a.idle)
	if len(a.gaps) < recentArrivals {
		a.gaps = append(a.gaps, gap)
		return
	}
	a.gaps[a.oldest] = gap
	a.oldest = (a.oldest + 1) % recentArrivals
}

// next draws the time from one synthetic query to the next.
func (a *arrivals) next() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.gaps) < enoughArrivals {
		return min(time.Duration(a.random.ExpFloat64()*float64(a.idle)), 4*a.idle)
	}
	if a.random.IntN(meanRun) == 0 {
		a.at = a.random.IntN(len(a.gaps))
	}
	a.at = (a.at + 1) % len(a.gaps)
	return a.gaps[a.at]
}
