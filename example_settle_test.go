package organic_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// Jobs is a queue that stands on a channel of jobs and settles each of them.
type Jobs struct {
	waiting chan organic.Sample[string]
}

var _ organic.Queue[string] = (*Jobs)(nil)

func (q *Jobs) Add(_ context.Context, sample organic.Sample[string]) error {
	select {
	case q.waiting <- sample:
		return nil
	default:
		return organic.ErrFull
	}
}

func (q *Jobs) Sample(context.Context) (organic.Lease[string], error) {
	select {
	case sample := <-q.waiting:
		settle := func(_ context.Context, verdict organic.Verdict) error {
			fmt.Println(sample.ID, verdict.Outcome, verdict.Delay)
			return nil // one that is to be retried is put back after the delay
		}
		return organic.Lease[string]{Sample: sample, Settle: settle}, nil
	default:
		return organic.Lease[string]{}, organic.ErrEmpty
	}
}

func (q *Jobs) Size() int { return len(q.waiting) }

// A queue of your own that keeps a sample until it knows the verdict gives its
// leases a Settle. Hold it to its contract by organictest.TestQueue.
func ExampleLease() {
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(
			_ context.Context, sample organic.Sample[string],
		) (map[organic.UID]string, error) {
			if sample.Payload == "busy" {
				return nil, organic.RetryAfter(time.Minute, errors.New("miners are busy"))
			}
			return map[organic.UID]string{0: "Lima"}, nil
		},
	}
	scorer, err := organic.New(hooks,
		organic.WithQueue(&Jobs{waiting: make(chan organic.Sample[string], 10)}))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, sample := range []organic.Sample[string]{{ID: "q-1"}, {ID: "q-2", Payload: "busy"}} {
		if _, err := scorer.EnqueueSample(ctx, sample); err != nil {
			fmt.Println(err)
		}
		_, err := scorer.Iterate(ctx)
		fmt.Println(err)
	}
	// Output:
	// q-1 scored 0s
	// <nil>
	// q-2 return 1m0s
	// organic: query: retry after 1m0s: miners are busy
}

// What hooks find out beside the rewards goes to later hooks and into the
// result.
func ExampleAnnotate() {
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(
			ctx context.Context, _ organic.Sample[string],
		) (map[organic.UID]string, error) {
			organic.Annotate(ctx, "model", "large")
			return map[organic.UID]string{0: "Lima"}, nil
		},
		LogResultsFunc: func(_ context.Context, result *organic.Result[string, string]) error {
			fmt.Println(result.Annotations, result.Logs()["model"])
			return nil
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
	}
	if _, err := scorer.Iterate(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// map[model:large] large
}

// A stage that fails is tried again with the same input before the iteration
// fails, and a timeout ends the ctx of each call.
func ExampleWithStage() {
	tries := 0
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(context.Context, organic.Sample[string], organic.Rewards) error {
			if tries++; tries == 1 {
				return errors.New("connection reset")
			}
			return nil
		},
	}
	scorer, err := organic.New(hooks, organic.WithStage(organic.StageWeights, organic.StagePolicy{
		Timeout: time.Minute, Tries: 5, Backoff: time.Millisecond,
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
	}
	_, err = scorer.Iterate(ctx)
	fmt.Println(err, tries)
	// Output:
	// <nil> 2
}

// While the scorer is paused it takes queries in and starts nothing.
func ExampleOrganicScorer_Pause() {
	scorer, err := organic.New(organictest.HookFuncs[string, string]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	scorer.Pause()
	if err := scorer.Start(ctx); err != nil {
		fmt.Println(err)
	}
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(scorer.Stats().Paused, scorer.Stats().Queued)
	scorer.Resume()
	if err := scorer.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(scorer.Stats().Paused, scorer.Stats().Queued)
	if err := scorer.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// true 1
	// false 0
}
