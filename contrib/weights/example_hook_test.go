package weights_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// Validator is a validator of a subnet with three miners.
type Validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string]

	scores *weights.Scores
	path   string // of the snapshot
}

var _ organic.Hooks[string, string] = (*Validator)(nil) // makes the compiler name the wrong hook

// QueryMiners asks the miners.
func (v *Validator) QueryMiners(context.Context, organic.Sample[string]) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "Lima", 1: "Quito, I think", 2: "Lima Lima"}, nil
}

// GenerateRewards compares the answers.
func (v *Validator) GenerateRewards(_ context.Context, _ organic.Sample[string], responses map[organic.UID]string, _ string) (organic.Rewards, error) {
	rewards := make(organic.Rewards)
	for uid, answer := range responses {
		rewards[uid] = float64(strings.Count(answer, "Lima"))
	}
	return rewards, nil
}

// SetWeights takes the rewards into the scores. It may be called again with
// the same sample: Update counts a sample once, and an error of Save then has
// lost nothing.
func (v *Validator) SetWeights(_ context.Context, sample organic.Sample[string], rewards organic.Rewards) error {
	if _, err := v.scores.Update(weights.RoundOf(sample), rewards); err != nil {
		return err
	}
	return v.scores.Save(v.path)
}

func newValidator(path string) (*Validator, error) {
	v := &Validator{path: path}
	var err error
	v.scores, err = weights.NewScores(weights.Hold(0.1), weights.WithGuards(weights.NoSelfDealing()))
	if err != nil {
		return nil, err
	}
	if err := v.scores.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // better to look at it than to begin anew
	}
	if err := v.scores.SetMetagraph(weights.Hotkeys("5Alice", "5Bob", "5Carol")); err != nil {
		return nil, err // call it again whenever the metagraph was fetched
	}
	v.OrganicScorer, err = organic.New(v)
	return v, err
}

// Convert makes what the setter sends.
func (v *Validator) Convert(context.Context) (weights.Vector, error) {
	return v.scores.Convert(weights.WithMinAllowed(2), weights.WithMaxWeight(0.8))
}

// Example_setWeightsHook is a whole validator: the hook that keeps the scores,
// and the setter that sends them beside the scorer.
func Example_setWeightsHook() {
	folder, err := os.MkdirTemp("", "validator")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	if err := validate(filepath.Join(folder, "scores.json")); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 1 scored: [0.1 0 0.2]
	// setting [0 2] [32768 65535]
}

// validate is what main does.
func validate(path string) error {
	v, err := newValidator(path)
	if err != nil {
		return err
	}
	chain := weights.ChainFunc(func(_ context.Context, vector weights.Vector) error {
		fmt.Println("setting", vector.UIDs, vector.Weights)
		return nil
	}) // or weights.NewHTTP, or a client of your own
	setter, err := weights.NewSetter(chain, v.Convert, weights.Interval{Every: 20 * time.Minute, RateLimit: 20 * time.Minute})
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(context.Background())
	var setting sync.WaitGroup
	setting.Go(func() { _ = setter.Run(ctx) })
	defer setting.Wait() // no goroutine is left
	defer cancel()
	if err := v.Start(context.Background()); err != nil {
		return err
	}

	if _, err := v.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		return err
	}
	if err := v.Drain(ctx); err != nil {
		return err
	}
	fmt.Println(v.Stats().Scored, "scored:", v.scores.Values())
	if err := setter.Set(ctx); err != nil { // now, and not in 20 minutes
		return err
	}

	return v.Stop(context.Background())
}
