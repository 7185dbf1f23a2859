package weights_test

import (
	"context"
	"fmt"
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
	saver  *weights.Saver
}

var _ organic.Hooks[string, string] = (*Validator)(nil) // makes the compiler name the wrong hook

// QueryMiners asks the miners.
func (v *Validator) QueryMiners(
	context.Context, organic.Sample[string],
) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "Lima", 1: "Quito, I think", 2: "Lima Lima"}, nil
}

// GenerateRewards compares the answers.
func (v *Validator) GenerateRewards(
	_ context.Context, _ organic.Sample[string], responses map[organic.UID]string, _ string,
) (organic.Rewards, error) {
	rewards := make(organic.Rewards)
	for uid, answer := range responses {
		rewards[uid] = float64(strings.Count(answer, "Lima"))
	}
	return rewards, nil
}

// SetWeights counts the rewards. It may be called again with the same sample: Update counts a sample
// once. The saver saves at its interval.
func (v *Validator) SetWeights(
	_ context.Context, sample organic.Sample[string], rewards organic.Rewards,
) error {
	_, err := v.scores.Update(weights.RoundOf(sample), rewards)
	return err
}

func newValidator(path string) (*Validator, error) {
	v := &Validator{}
	var err error
	v.scores, err = weights.NewScores(weights.Hold(0.1), weights.Between(0, 2))
	if err != nil {
		return nil, err
	}
	v.saver, err = weights.OpenSaver(path, v.scores, weights.SaverConfig{})
	if err != nil {
		return nil, err // the file has to be looked at
	}
	if err := v.scores.SetMetagraph(weights.Hotkeys("5Alice", "5Bob", "5Carol")); err != nil {
		return nil, err // call it again whenever the metagraph was read
	}
	v.OrganicScorer, err = organic.New(v)
	return v, err
}

// Convert makes what the setter sends.
func (v *Validator) Convert(context.Context) (weights.Vector, error) {
	return v.scores.Convert(weights.WithMinAllowed(2), weights.WithMaxWeight(0.8))
}

// Example_setWeightsHook is a whole validator: the hook that counts rewards, the saver, and the setter
// beside the scorer.
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
	// 1 scored: [0.01 0.00 0.02]
	// setting [0 2] [32768 65535]
}

// validate is what main does.
func validate(path string) error {
	v, err := newValidator(path)
	if err != nil {
		return err
	}
	defer v.saver.Close()
	chain := weights.ChainFunc(func(_ context.Context, vector weights.Vector) error {
		fmt.Println("setting", vector.UIDs, vector.Weights)
		return nil
	}) // or the client of contrib/subtensor
	setter, err := weights.NewSetter(chain, v.Convert, weights.Interval{Every: 20 * time.Minute},
		weights.WithSaver(v.saver), weights.WithWarmUp(v.scores, 0.9, 5, 6*time.Hour))
	if err != nil {
		return err
	}

	ctx, cancel := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { _ = setter.Run(ctx) })
	background.Go(func() { _ = v.saver.Run(ctx) })
	defer background.Wait() // no goroutine is left
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
	fmt.Printf("%d scored: %.2f\n", v.Stats().Scored, v.scores.Values())
	if _, err := setter.Set(ctx); err != nil { // now, without the warm-up
		return err
	}
	return v.Stop(context.Background())
}
