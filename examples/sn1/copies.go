package main

import (
	"hash/maphash"
	"strings"
	"sync"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
)

// When two miners count as one that copies and one that is copied. Models give
// the same short answer to one prompt now and then, and several say nothing, so
// it takes several prompts, and different ones.
const (
	copyPrompts = 6       // that both have answered with words
	copyShare   = 0.8     // of these with the same words
	copyMemory  = 100_000 // prompts that are remembered, in order not to be counted again
)

// copies remembers which miners answer alike. Of two that do, the one that
// begins to speak later is the copier: nobody can send what has not been
// said. It is safe for concurrent use.
type copies struct {
	seed maphash.Seed

	mu    sync.Mutex          // guards what follows
	seen  map[uint64]struct{} // hashes of prompts
	pairs map[[2]organic.UID]*pair
}

// pair is what is known of two miners, the first of the lower UID.
type pair struct {
	both        int // prompts that both have answered
	same        int // with the same words
	firstBehind int // in which the first was the later one
}

func newCopies() *copies {
	return &copies{seed: maphash.MakeSeed(), seen: make(map[uint64]struct{}), pairs: make(map[[2]organic.UID]*pair)}
}

// see takes in the answers to one prompt, where it is a new one.
func (c *copies) see(prompt string, answers map[organic.UID]relay.Answer) {
	texts := make(map[organic.UID]string, len(answers))
	for uid, answer := range answers {
		if text := strings.TrimSpace(answer.Text()); text != "" && answer.Ending == relay.Complete {
			texts[uid] = text
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	hash := maphash.String(c.seed, prompt)
	if _, again := c.seen[hash]; again {
		return
	}
	if len(c.seen) >= copyMemory {
		clear(c.seen)
	}
	c.seen[hash] = struct{}{}
	for a := range texts {
		for b := range texts {
			if a < b {
				c.pair(a, b).see(texts[a] == texts[b], answers[a], answers[b])
			}
		}
	}
}

// pair is called with the lock held.
func (c *copies) pair(a, b organic.UID) *pair {
	key := [2]organic.UID{a, b}
	if c.pairs[key] == nil {
		c.pairs[key] = new(pair)
	}
	return c.pairs[key]
}

func (p *pair) see(same bool, first, second relay.Answer) {
	p.both++
	if !same {
		return
	}
	p.same++
	began, _ := first.FirstText()
	otherBegan, _ := second.FirstText()
	if first.Started+began > second.Started+otherBegan {
		p.firstBehind++
	}
}

// copiers returns the miners that copy another, by all that was seen so far. It
// looks at every pair, so it is called once for all answers to a prompt.
func (c *copies) copiers() map[organic.UID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	copiers := make(map[organic.UID]bool)
	for key, p := range c.pairs {
		switch {
		case p.both < copyPrompts || float64(p.same) < copyShare*float64(p.both):
		case 2*p.firstBehind > p.same:
			copiers[key[0]] = true
		default:
			copiers[key[1]] = true
		}
	}
	return copiers
}
