package main

import (
	"context"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/relay/copies"
	"github.com/organic-scoring/organic/contrib/weights"

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

const (
	window = 256           // how many rewards of each origin make a miner's score
	warmUp = 6 * time.Hour // after which the first weights are set in any case
)

// openScores opens the scores of the last run and the memory of copies. The default guards limit
// what organic queries can do to a score; a copier has none while it is one, whatever it has earned
// before it was found.
func (v *Validator) openScores(context.Context) (err error) {
	if v.copies, err = copies.New(copies.Config{}); err != nil {
		return err
	}
	if err = v.remember("copies.json", v.copies); err != nil {
		return err
	}
	v.scores, err = weights.NewScores(weights.Window(window, 0), weights.Between(0, 1),
		weights.WithExcluded(v.copies.Hotkeys), weights.WithLogger(v.logger))
	if err != nil {
		return err
	}
	config := weights.SaverConfig{Logger: v.logger}
	if v.saver, err = weights.OpenSaver(v.file("scores.json"), v.scores, config); err != nil {
		return err
	}
	v.closers = append(v.closers, func(context.Context) error { return v.saver.Close() })
	v.setter, err = weights.NewSetter(v.chain, v.chain.Source(v.scores), v.schedule,
		weights.WithSaver(v.saver), weights.WithLogger(v.logger),
		weights.WithRefresh(v.readMetagraph), weights.WithWarmUp(v.scores, 0.5, 5, warmUp))
	return err
}
