package organic_test

import (
	"context"
	"fmt"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// A validator that counts blocks instead of seconds.
func ExampleSteps() {
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(_ context.Context, sample organic.Sample[string], _ organic.Rewards) error {
			fmt.Println("scored:", sample.Payload)
			return nil
		},
	}
	trigger := organic.Steps{Frequency: 4}
	scorer, err := organic.New(hooks, organic.WithTrigger(trigger))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := scorer.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
	}

	fmt.Println("threshold:", trigger.Threshold(scorer.Stats().Queued))
	for block := 101; block <= 103; block++ { // your subscription to the chain
		fmt.Println("block", block)
		scorer.IncrementStep()
	}
	if err := scorer.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	if err := scorer.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// threshold: 3
	// block 101
	// block 102
	// block 103
	// scored: What is the capital of Peru?
}

// The more samples wait, the fewer steps lie between two iterations.
func ExampleSteps_Threshold() {
	trigger := organic.Steps{Frequency: 100, Min: 10, ScalingFactor: 0.5}
	for _, queued := range []int{0, 1, 20, 45, 1000} {
		fmt.Println(queued, "queued:", trigger.Threshold(queued), "steps")
	}
	// Output:
	// 0 queued: 100 steps
	// 1 queued: 98 steps
	// 20 queued: 60 steps
	// 45 queued: 10 steps
	// 1000 queued: 10 steps
}

// The more samples wait, the shorter is the time between two iterations. Min
// and ScalingFactor are 2 s and 5 here.
func ExampleSeconds_Wait() {
	trigger := organic.Seconds{Frequency: 15 * time.Second}
	for _, queued := range []int{0, 1, 20, 65, 1000} {
		fmt.Println(queued, "queued:", trigger.Wait(queued))
	}
	// Output:
	// 0 queued: 15s
	// 1 queued: 14.8s
	// 20 queued: 11s
	// 65 queued: 2s
	// 1000 queued: 2s
}
