package main

import (
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"

	"github.com/organic-scoring/organic/examples/internal/rouge"
)

// rewards judges the answers to one prompt, from 0 to 1. Every miner that was asked has a reward:
// an answer that failed, or was refused, is worth 0. Only answers that the validator itself cut
// short are left out.
func rewards(
	answers map[organic.UID]relay.Answer, reference relay.Answer, patience time.Duration,
) organic.Rewards {
	rewards, typical := make(organic.Rewards, len(answers)), median(answers)
	for uid, answer := range answers {
		if answer.Scorable() {
			rewards[uid] = quality(answer, reference) * (1 - lateness(answer, typical, patience))
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

// lateness grows from 0, where the first text that a reader sees came half the patience after the
// median of the round, to 1 where it came all the patience after it. What makes the machine slow
// delays all answers of a round, and so none of them.
func lateness(answer relay.Answer, typical, patience time.Duration) float64 {
	first, spoke := answer.FirstText()
	if !spoke {
		return 0
	}
	grace := patience / 2
	return min(max(float64(first-typical-grace)/float64(patience-grace), 0), 1)
}

// median returns the median time of the first text among the answers that have any.
func median(answers map[organic.UID]relay.Answer) time.Duration {
	var times []time.Duration
	for _, answer := range answers {
		if first, spoke := answer.FirstText(); spoke && answer.Ending == relay.Complete {
			times = append(times, first)
		}
	}
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[(len(times)-1)/2]
}
