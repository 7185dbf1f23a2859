package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/organic-scoring/organic/contrib/weights"
)

// window is how many rewards of each origin make a miner's score.
const window = 256

// newScores makes the scores, and takes up those of the last run, where there are any. Rewards are
// from 0 to 1. Organic ones count within the default guards, but in a wider band: users ask for
// minutes here, and not for weeks.
func (v *Validator) newScores() error {
	guards := append(weights.DefaultGuards(), weights.AroundSynthetic(0.5, 0.25), weights.RampUp(1, 0))
	var err error
	v.scores, err = weights.NewScores(weights.Window(window, 0), weights.Between(0, 1),
		weights.WithGuards(guards...), weights.WithLogger(v.logger))
	if err != nil {
		return err
	}
	if v.cfg.state != "" && v.cfg.role != roleFrontend {
		path := filepath.Join(v.cfg.state, "scores.json")
		v.saver, err = weights.OpenSaver(path, v.scores, weights.SaverConfig{Logger: v.logger})
		if err != nil {
			return err
		}
	}
	return v.scores.SetMetagraph(v.metagraph)
}

// saveScores saves what the scores have counted, before the sample is settled.
func (v *Validator) saveScores() error {
	if v.saver == nil {
		return nil
	}
	return v.saver.Save()
}

// closeScores saves for the last time.
func (v *Validator) closeScores() error {
	if v.saver == nil {
		return nil
	}
	return v.saver.Close()
}

// newSetter sets the weights now and then. The chain is the history of this program: a validator
// on the chain has the client of contrib/subtensor there.
func (v *Validator) newSetter() error {
	source := func(context.Context) (weights.Vector, error) { return v.scores.Convert() }
	opts := []weights.SetterOption{
		weights.WithBackoff(v.cfg.weights, v.cfg.weights), weights.WithLogger(v.logger),
	}
	if v.saver != nil {
		opts = append(opts, weights.WithSaver(v.saver))
	}
	var err error
	v.setter, err = weights.NewSetter(weights.ChainFunc(v.history.SetWeights), source,
		weights.Interval{Every: v.cfg.weights}, opts...)
	return err
}

// setWeights sets them once more at the end. That no miner has earned anything yet is no failure.
func (v *Validator) setWeights(ctx context.Context) error {
	_, err := v.setter.Set(ctx)
	if errors.Is(err, weights.ErrNoScores) {
		return nil
	}
	return err
}
