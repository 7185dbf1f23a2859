package main

import (
	"math"
	"slices"
	"sync"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// tallyMemory is how many samples are remembered, in order not to be counted
// again.
const tallyMemory = 100_000

// tally counts what each miner has answered and got. It is safe for concurrent
// use.
type tally struct {
	mu     sync.Mutex // guards what follows
	seen   map[string]struct{}
	scored [2]int     // samples, by origin
	miners []standing // by UID
}

// standing is the count of one miner.
type standing struct {
	answers int // that were whole
	rewards [2]mean
	quality [2]mean // before penalties
}

func newTally(miners int) *tally {
	return &tally{seen: make(map[string]struct{}), miners: make([]standing, miners)}
}

// add takes in a result, and tells whether it is the first of this sample.
func (t *tally) add(result *organic.Result[Prompt, relay.Answer]) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, again := t.seen[result.Sample.ID]; again {
		return false
	}
	if len(t.seen) >= tallyMemory {
		clear(t.seen)
	}
	t.seen[result.Sample.ID] = struct{}{}
	origin := result.Sample.Origin
	t.scored[origin]++
	for uid, reward := range result.Rewards {
		if int(uid) >= len(t.miners) {
			continue // of a sample that another run with more miners has left
		}
		answer := result.Responses[uid]
		s := &t.miners[uid]
		if answer.Ending == relay.Complete {
			s.answers++
		}
		s.rewards[origin].add(reward)
		s.quality[origin].add(quality(answer, result.Reference))
	}
	return true
}

// samples returns how many samples were scored.
func (t *tally) samples(origin organic.Origin) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.scored[origin]
}

// all returns a copy, by UID.
func (t *tally) all() []standing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.miners)
}

// mean is the mean of numbers.
type mean struct {
	count int
	sum   float64
}

func (m *mean) add(value float64) {
	m.count++
	m.sum += value
}

// value is NaN where there were no numbers.
func (m *mean) value() float64 {
	if m.count == 0 {
		return math.NaN()
	}
	return m.sum / float64(m.count)
}
