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
	config := weights.SaverConfig{Logger: v.logger}
	if v.saver, err = weights.OpenSaver(v.file("scores.json"), v.scores, config); err != nil {
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

// vector makes the weights that are sent.
func (v *Validator) vector(ctx context.Context) (weights.Vector, error) {
	subnet, err := v.client.Hyperparameters(ctx, v.netuid)
	if err != nil {
		return weights.Vector{}, err
	}
	return v.payable().Convert(weights.WithMinAllowed(int(subnet.MinAllowedWeights)))
}

// payable is the scores in which a copier has none while it is one, whatever it has earned before
// it was found.
type payable struct {
	scores *weights.Scores
	copies *copies
}

func (v *Validator) payable() payable { return payable{v.scores, v.copies} }

// Standings returns where the miners stand.
func (p payable) Standings() []weights.Standing {
	standings, copiers := p.scores.Standings(), p.copies.copiers()
	for i := range standings {
		if copiers[standings[i].Hotkey] != "" {
			standings[i].Score = 0
		}
	}
	return standings
}

// Convert makes weights of the standings.
func (p payable) Convert(opts ...weights.ConvertOption) (weights.Vector, error) {
	var uids []organic.UID
	var scores []float64
	for _, standing := range p.Standings() {
		uids, scores = append(uids, standing.UID), append(scores, standing.Score)
	}
	return weights.Convert(uids, scores, len(scores), append(opts, weights.WithZeroPadding())...)
}
