package organic_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// One iteration at a time, without a loop: for tests of a validator, and for
// programs with a loop of their own.
func ExampleOrganicScorer_Iterate() {
	scorer, err := organic.New(organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(context.Context, organic.Sample[string]) (map[organic.UID]string, error) {
			return map[organic.UID]string{7: "Lima"}, nil
		},
		GenerateRewardsFunc: func(_ context.Context, _ organic.Sample[string], responses map[organic.UID]string, _ string) (organic.Rewards, error) {
			return organic.Rewards{7: float64(len(responses[7]))}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
		return
	}

	result, err := scorer.Iterate(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Sample.Origin, result.Responses, result.Rewards)

	_, err = scorer.Iterate(ctx)
	fmt.Println(errors.Is(err, organic.ErrEmpty), err)
	// Output:
	// organic map[7:Lima] map[7:4]
	// true organic: nothing to score
}

// The soft stop waits for what is in flight. When its ctx ends first it turns
// into the hard stop, and a second call waits until that has come to rest.
func ExampleOrganicScorer_Stop() {
	asked := make(chan struct{})
	scorer, err := organic.New(organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(ctx context.Context, _ organic.Sample[string]) (map[organic.UID]string, error) {
			close(asked)
			<-ctx.Done() // the miners never answer
			return nil, context.Cause(ctx)
		},
	})
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
		return
	}
	<-asked

	soft, cancel := context.WithTimeout(ctx, 10*time.Millisecond) // half a minute, say, in production
	defer cancel()
	err = scorer.Stop(soft)
	fmt.Println("soft:", err)
	if err != nil {
		fmt.Println("hard:", scorer.Stop(ctx))
	}
	fmt.Println("back in the queue:", scorer.Stats().Queued)
	// Output:
	// soft: context deadline exceeded
	// hard: <nil>
	// back in the queue: 1
}

// The keys are those of the Python original, and two more.
func ExampleResult_Logs() {
	result := organic.Result[string, string]{
		Sample:    organic.NewSample("What is the capital of Peru?"),
		Durations: organic.Durations{Query: 1200 * time.Millisecond, Responses: 1250 * time.Millisecond, Total: 1500 * time.Millisecond},
		QueueSize: 3,
	}
	logs := result.Logs()
	for _, key := range slices.Sorted(maps.Keys(logs)) {
		fmt.Println(key, logs[key])
	}
	// Output:
	// is_organic_sample true
	// organic_queue_len 3
	// organic_queue_size 3
	// organic_time_query 1.2
	// organic_time_reference 0
	// organic_time_responses 1.25
	// organic_time_rewards 0
	// organic_time_sample 0
	// organic_time_total 1.5
	// organic_time_weights 0
}
