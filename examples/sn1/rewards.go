package main

import (
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"

	"github.com/organic-scoring/organic/examples/internal/rouge"
)

// copyPenalty is what an answer of a copier loses: as much as the best answer
// earns.
const copyPenalty = 1.0

// judge turns answers into rewards: the words that an answer shares with the
// reference, less a penalty for time and one for copying.
type judge struct {
	patience time.Duration // for the first word
	copies   *copies
}

// rewards judges the answers to one prompt, as far as the miners have ended them.
func (j judge) rewards(answers map[organic.UID]relay.Answer, reference relay.Answer) organic.Rewards {
	rewards, copiers := make(organic.Rewards, len(answers)), j.copies.copiers()
	for uid, answer := range answers {
		if !answer.Scorable() {
			continue // cut short, and not by the miner
		}
		rewards[uid] = quality(answer, reference) * (1 - j.lateness(answer))
		if copiers[uid] {
			rewards[uid] -= copyPenalty
		}
	}
	return rewards
}

// quality is the ROUGE of an answer. Half an answer is none.
func quality(answer, reference relay.Answer) float64 {
	if answer.Ending != relay.Complete {
		return 0
	}
	return rouge.F1(answer.Text(), reference.Text())
}

// lateness grows from 0, where the first word took half the patience, to 1
// where it took all of it. Long answers cost nothing.
func (j judge) lateness(answer relay.Answer) float64 {
	first, spoke := answer.FirstText()
	if !spoke {
		return 0
	}
	grace := j.patience / 2
	return min(max(float64(first-grace)/float64(j.patience-grace), 0), 1)
}
