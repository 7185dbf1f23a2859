package organic_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
)

// Validator asks its miners for capitals: prompts and answers are strings.
type Validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string] // the hooks that are not written here
}

var _ organic.Hooks[string, string] = (*Validator)(nil) // makes the compiler name the wrong hook

func (v *Validator) QueryMiners(ctx context.Context, sample organic.Sample[string]) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "Lima", 1: "Quito, I think"}, nil // ask your miners here
}

func (v *Validator) GenerateReference(ctx context.Context, sample organic.Sample[string]) (string, error) {
	return "Lima", nil // runs while the miners are asked
}

func (v *Validator) GenerateRewards(ctx context.Context, sample organic.Sample[string], responses map[organic.UID]string, reference string) (organic.Rewards, error) {
	rewards := make(organic.Rewards)
	for uid, answer := range responses {
		rewards[uid] = float64(strings.Count(answer, reference)) // compare as you like
	}
	return rewards, nil
}

func (v *Validator) SetWeights(ctx context.Context, sample organic.Sample[string], rewards organic.Rewards) error {
	fmt.Println(sample.Payload, rewards)
	return nil
}

// A whole validator: built, started, given a query, and stopped when that has
// been scored.
func Example() {
	v := &Validator{}
	scorer, err := organic.New(v, organic.WithTrigger(organic.Seconds{Frequency: time.Minute}))
	if err != nil {
		fmt.Println(err)
		return
	}
	v.OrganicScorer = scorer

	ctx := context.Background()
	if err := v.Start(ctx); err != nil { // the end of its ctx is the hard stop
		fmt.Println(err)
		return
	}
	if _, err := v.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
	}
	if err := v.Drain(ctx); err != nil { // nothing is queued, delayed or in flight
		fmt.Println(err)
	}
	if err := v.Stop(ctx); err != nil { // no hook runs, no goroutine is left
		fmt.Println(err)
	}
	fmt.Println(v.Stats().Scored, "scored")
	// Output:
	// What is the capital of Peru? map[0:1 1:0]
	// 1 scored
}
