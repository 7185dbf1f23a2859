package main

import (
	"context"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// window is how many rewards of each origin make a miner's score.
const window = 256

// warmUp is after what time weights are set in any case, before the chain takes the validator for
// inactive.
const warmUp = 6 * time.Hour

// openScores opens the scores of the last run and the memory of copies. The default guards limit
// what organic queries can do to a score.
func (v *Validator) openScores(context.Context) (err error) {
	v.scores, err = weights.NewScores(weights.Window(window, 0), weights.Between(0, 1),
		weights.WithLogger(v.logger))
	if err != nil {
		return err
	}
	if v.saver, err = weights.OpenSaver(v.file("scores.json"), v.scores, weights.SaverConfig{Logger: v.logger}); err != nil {
		return err
	}
	v.closers = append(v.closers, func(context.Context) error { return v.saver.Close() })
	if v.copies, err = openCopies(v.file("copies.json"), v.logger); err != nil {
		return err
	}
	v.closers = append(v.closers, func(context.Context) error { return v.copies.save() })
	v.setter, err = weights.NewSetter(v.chain, v.vector, v.schedule, weights.WithSaver(v.saver),
		weights.WithLogger(v.logger), weights.WithRefresh(v.readMetagraph),
		weights.WithWarmUp(v.scores, 0.5, 5, warmUp))
	return err
}

// vector makes weights of the scores. A copier gets nothing while it is one, whatever it has
// earned before it was found.
func (v *Validator) vector(ctx context.Context) (weights.Vector, error) {
	subnet, err := v.client.Hyperparameters(ctx, v.netuid)
	if err != nil {
		return weights.Vector{}, err
	}
	copiers := v.copies.copiers()
	var uids []organic.UID
	var scores []float64
	for _, standing := range v.scores.Standings() {
		score := standing.Score
		if copiers[standing.Hotkey] != "" {
			score = 0
		}
		uids, scores = append(uids, standing.UID), append(scores, score)
	}
	return weights.Convert(uids, scores, len(scores),
		weights.WithZeroPadding(), weights.WithMinAllowed(int(subnet.MinAllowedWeights)))
}
