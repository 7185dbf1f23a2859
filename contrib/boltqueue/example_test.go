package boltqueue_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/durable"
	"github.com/organic-scoring/organic/contrib/organictest"

	"github.com/organic-scoring/organic/contrib/boltqueue"
)

// A validator that keeps its samples in a file. What it has accepted before a
// restart is scored after it.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "boltqueue")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(folder, "queue.db")

	queue, err := boltqueue.Open(path, boltqueue.Config[string]{Capacity: 1000})
	if err != nil {
		log.Fatal(err)
	}
	if err := queue.Add(ctx, organic.NewSample("hello")); err != nil {
		log.Fatal(err)
	}
	if err := queue.Close(ctx); err != nil {
		log.Fatal(err)
	}

	// The process starts again.
	queue, err = boltqueue.Open(path, boltqueue.Config[string]{Capacity: 1000})
	if err != nil {
		log.Fatal(err)
	}
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(
			_ context.Context, sample organic.Sample[string], _ organic.Rewards,
		) error {
			fmt.Println("scored:", sample.Payload)
			return nil
		},
	}
	scorer, err := organic.New(hooks, organic.WithQueue(queue))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := scorer.Iterate(ctx); err != nil { // a program calls Start
		log.Fatal(err)
	}
	if err := scorer.Stop(ctx); err != nil { // the scorer first, then its queue
		log.Fatal(err)
	}
	if err := queue.Close(ctx); err != nil {
		log.Fatal(err)
	}
	_ = os.RemoveAll(folder)
	// Output:
	// scored: hello
}

// Dead letters are looked at, and put back when their cause is mended.
func ExampleQueue_DeadLetters() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "boltqueue")
	if err != nil {
		log.Fatal(err)
	}
	queue, err := boltqueue.Open(filepath.Join(folder, "queue.db"), boltqueue.Config[string]{})
	if err != nil {
		log.Fatal(err)
	}
	if err := queue.Add(ctx, organic.Sample[string]{ID: "7f3a", Payload: "hello"}); err != nil {
		log.Fatal(err)
	}
	lease, err := queue.Sample(ctx)
	if err != nil {
		log.Fatal(err)
	}
	verdict := organic.Verdict{
		Outcome: organic.OutcomeDead,
		Err:     fmt.Errorf("reference server is down"),
	}
	if err := lease.Settle(ctx, verdict); err != nil { // as the scorer does
		log.Fatal(err)
	}

	for letter, err := range queue.DeadLetters(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(letter.ID, letter.Cause, letter.Reason)
		if letter.Cause == durable.CauseDead {
			if err := queue.PutBack(ctx, letter.Number); err != nil {
				log.Fatal(err)
			}
		}
	}
	fmt.Println("waiting:", queue.Size())
	if err := queue.Close(ctx); err != nil {
		log.Fatal(err)
	}
	_ = os.RemoveAll(folder)
	// Output:
	// 7f3a dead reference server is down
	// waiting: 1
}
