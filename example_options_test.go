package organic_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// Two datasets, of which one is picked three times as often, give a third of
// the samples even while organic ones wait, and all of them afterwards.
func ExampleWithSynth() {
	trivia, err := organic.NewSliceDataset([]string{"Is water wet?", "Are bananas berries?"}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	sums := organic.SynthFunc[string](func(context.Context) (string, error) { return "What is 2 + 2?", nil })
	scorer, err := organic.New(organictest.HookFuncs[string, string]{},
		organic.WithSynth(organic.Named("trivia", 3, trivia), organic.Named("sums", 1, sums)),
		organic.WithSynthRatio(1.0/3),
		organic.WithSeed(8), // the same picks in each run
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for range 3 {
		if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
			fmt.Println(err)
		}
	}
	for range 8 {
		result, err := scorer.Iterate(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v %q\n", result.Sample.Origin, result.Sample.Source)
	}
	// Output:
	// synthetic "trivia"
	// organic ""
	// organic ""
	// organic ""
	// synthetic "trivia"
	// synthetic "trivia"
	// synthetic "trivia"
	// synthetic "sums"
}

// An observer that writes events as lines of slog. No event holds a payload;
// the kind says which fields are set.
func ExampleWithObserver() {
	withoutTime := func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return attr
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	observe := func(e organic.Event) {
		switch {
		case e.Kind == organic.EventStageDone, e.Kind == organic.EventStageFailed: // five per iteration
		case e.Err != nil:
			logger.Warn(e.Kind.String(), "id", e.ID, "attempt", e.Attempt, "err", e.Err)
		default:
			logger.Info(e.Kind.String(), "id", e.ID, "attempt", e.Attempt)
		}
	}
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(_ context.Context, sample organic.Sample[string]) (map[organic.UID]string, error) {
			if sample.ID == "q-2" {
				return nil, errors.New("no miner can be reached")
			}
			return map[organic.UID]string{0: "Lima"}, nil
		},
	}
	scorer, err := organic.New(hooks, organic.WithObserver(observe))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, id := range []string{"q-1", "q-2"} {
		if _, err := scorer.EnqueueSample(ctx, organic.Sample[string]{ID: id, Payload: "What is the capital of Peru?"}); err != nil {
			fmt.Println(err)
		}
		_, _ = scorer.Iterate(ctx) // the observer is told of its error
	}
	// Output:
	// level=INFO msg=accepted id=q-1 attempt=1
	// level=INFO msg=started id=q-1 attempt=1
	// level=INFO msg=scored id=q-1 attempt=1
	// level=INFO msg=accepted id=q-2 attempt=1
	// level=INFO msg=started id=q-2 attempt=1
	// level=WARN msg=failed id=q-2 attempt=1 err="organic: query: no miner can be reached"
	// level=WARN msg=retried id=q-2 attempt=1 err="organic: query: no miner can be reached"
}
