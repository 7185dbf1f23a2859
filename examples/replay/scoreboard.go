package main

import (
	"math"
	"slices"
	"sync"

	"github.com/organic-scoring/organic"
)

// scoreboard keeps what each miner was rewarded. It is safe for concurrent
// use, as hooks are called concurrently.
type scoreboard struct {
	mu     sync.Mutex // guards what follows
	scored map[string]struct{}
	scores []score // by UID
}

func newScoreboard(miners int) *scoreboard {
	return &scoreboard{scored: make(map[string]struct{}), scores: make([]score, miners)}
}

// add takes in the rewards of a sample. Samples are delivered at least once,
// so the ID decides: rewards of a sample that was counted before change
// nothing.
func (b *scoreboard) add(id string, rewards organic.Rewards) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, again := b.scored[id]; again {
		return
	}
	b.scored[id] = struct{}{}
	for uid, reward := range rewards {
		b.scores[uid].add(reward)
	}
}

// samples is how many samples were counted.
func (b *scoreboard) samples() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.scored)
}

// all returns a copy of the scores, by UID.
func (b *scoreboard) all() []score {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.scores)
}

// score is what one miner was rewarded.
type score struct {
	count int

	// The sum of all rewards is sum + lost. Neumaier's summation keeps what
	// rounding loses, so that the mean hardly depends on the order.
	sum, lost float64
}

func (s *score) add(reward float64) {
	s.count++
	sum := s.sum + reward
	if math.Abs(s.sum) >= math.Abs(reward) {
		s.lost += (s.sum - sum) + reward
	} else {
		s.lost += (reward - sum) + s.sum
	}
	s.sum = sum
}

// mean is NaN for a miner that was never rewarded.
func (s *score) mean() float64 { return (s.sum + s.lost) / float64(s.count) }
