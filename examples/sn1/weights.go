package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/organic-scoring/organic/contrib/weights"
)

// window is how many rewards of each origin make a miner's score.
const window = 256

// newScores returns the scores of the last run, where there are any. Organic
// rewards count as long as synthetic ones bear them out, as no single user
// decides and nobody asks his own miner.
func (v *Validator) newScores() error {
	var err error
	v.scores, err = weights.NewScores(weights.Window(window, 0),
		weights.WithGuards(weights.AboveSynthetic(0.5), weights.MaxRequesterShare(0.5), weights.NoSelfDealing()))
	if err != nil {
		return err
	}
	if v.cfg.state != "" {
		if err := v.scores.Load(v.scoresFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return v.scores.SetMetagraph(v.metagraph)
}

func (v *Validator) scoresFile() string { return filepath.Join(v.cfg.state, "scores.json") }

func (v *Validator) saveScores() error {
	if v.cfg.state == "" {
		return nil
	}
	return v.scores.Save(v.scoresFile())
}

// newSetter sets the weights now and then. The chain is the history of this
// program: a validator on the chain has [weights.NewHTTP] there, or a client
// of its own.
func (v *Validator) newSetter() error {
	var err error
	source := func(context.Context) (weights.Vector, error) { return v.scores.Convert() }
	v.setter, err = weights.NewSetter(weights.ChainFunc(v.history.SetWeights), source, weights.Interval{Every: v.cfg.weights},
		weights.WithBackoff(v.cfg.weights, v.cfg.weights), weights.WithLogger(v.logger))
	return err
}

// setWeights sets them once more at the end. That nobody has earned anything
// yet is no failure.
func (v *Validator) setWeights(ctx context.Context) error {
	err := v.setter.Set(ctx)
	if errors.Is(err, weights.ErrNoScores) {
		return nil
	}
	return err
}
