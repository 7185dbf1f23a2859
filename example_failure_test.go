package organic_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// A sample that fails comes back, and is given to the dead-letter function
// when it has no attempt left.
func ExampleWithRetry() {
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(_ context.Context, sample organic.Sample[string]) (map[organic.UID]string, error) {
			fmt.Println("attempt", sample.Attempt)
			return nil, errors.New("no miner can be reached")
		},
	}
	bury := func(_ context.Context, sample organic.Sample[string], cause error) error {
		fmt.Printf("buried %q: %v\n", sample.Payload, cause) // keep it in a file, say
		return nil
	}
	scorer, err := organic.New(hooks,
		organic.WithRetry(organic.RetryPolicy{Attempts: 2, Delay: time.Millisecond}),
		organic.WithDeadLetter(bury),
		organic.WithTrigger(organic.Seconds{Frequency: time.Millisecond}),
	)
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
	if err := scorer.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	if err := scorer.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// attempt 1
	// attempt 2
	// buried "What is the capital of Peru?": organic: query: no miner can be reached
}

// A hook that sees that a sample can never be scored gives it up at once,
// however many attempts are left.
func ExampleDiscard() {
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(_ context.Context, sample organic.Sample[string]) (map[organic.UID]string, error) {
			if sample.Payload == "" {
				return nil, organic.Discard(errors.New("empty prompt"))
			}
			return map[organic.UID]string{0: "Lima"}, nil
		},
	}
	scorer, err := organic.New(hooks)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := scorer.Enqueue(ctx, ""); err != nil {
		fmt.Println(err)
		return
	}
	_, err = scorer.Iterate(ctx)
	fmt.Println(err)
	fmt.Println(scorer.Stats().Discarded, "discarded")
	// Output:
	// organic: query: discard: empty prompt
	// 1 discarded
}

// A hook that cannot work now says when it can: the attempt does not count.
func ExampleRetryAfter() {
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(context.Context, organic.Sample[string], organic.Rewards) error {
			return organic.RetryAfter(12*time.Second, errors.New("weights were set in this block"))
		},
	}
	scorer, err := organic.New(hooks)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
		return
	}
	_, err = scorer.Iterate(ctx)
	fmt.Println(err)
	stats := scorer.Stats()
	fmt.Println(stats.Delayed, "delayed,", stats.Returned, "returned,", stats.Retried, "retried")
	// Output:
	// organic: weights: retry after 12s: weights were set in this block
	// 1 delayed, 1 returned, 0 retried
}
