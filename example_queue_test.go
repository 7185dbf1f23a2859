package organic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// A small queue that serves in order, and refuses samples instead of dropping
// the oldest.
func ExampleNewMemoryQueue() {
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{Capacity: 2, Order: organic.OrderFIFO, Refuse: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, prompt := range []string{"first", "second", "third"} {
		err := queue.Add(ctx, organic.NewSample(prompt))
		fmt.Println(prompt, errors.Is(err, organic.ErrFull))
	}
	for queue.Size() > 0 {
		lease, err := queue.Sample(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("out:", lease.Sample.Payload)
	}
	_, err = queue.Sample(ctx)
	fmt.Println(err)
	// Output:
	// first false
	// second false
	// third true
	// out: first
	// out: second
	// organic: nothing to score
}

// What waits in memory is saved when a program stops, and enqueued again, with
// IDs, times and attempts, when it starts.
func ExampleMemoryQueue_TakeAll() {
	ctx := context.Background()
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, sample := range []organic.Sample[string]{{ID: "q-1", Payload: "Peru?", Attempt: 1}, {ID: "q-2", Payload: "Chile?", Attempt: 2}} {
		if err := queue.Add(ctx, sample); err != nil {
			fmt.Println(err)
		}
	}
	saved, err := json.Marshal(queue.TakeAll()) // after Stop has returned nil
	if err != nil {
		fmt.Println(err)
		return
	}

	scorer, err := organic.New(organictest.HookFuncs[string, string]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var samples []organic.Sample[string]
	if err := json.Unmarshal(saved, &samples); err != nil {
		fmt.Println(err)
		return
	}
	for _, sample := range samples {
		if _, err := scorer.EnqueueSample(ctx, sample); err != nil {
			fmt.Println(err)
		}
		fmt.Println(sample) // prints without the payload
	}
	fmt.Println(queue.Size(), "left,", scorer.Stats().Queued, "queued")
	// Output:
	// sample q-1 (organic, attempt 1)
	// sample q-2 (organic, attempt 2)
	// 0 left, 2 queued
}
