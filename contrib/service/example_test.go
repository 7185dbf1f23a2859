package service_test

import (
	"context"
	"fmt"
	"log"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/service"
)

// The end of ctx, which is a signal in a program, lets the scorer finish what is in flight before
// the rest stops.
func ExampleRun() {
	signalled, stop := context.WithCancel(context.Background())
	scorer, err := organic.New(organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(_ context.Context, sample organic.Sample[string], _ organic.Rewards) error {
			stop()
			fmt.Println("scored:", sample.Payload)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ask := func(ctx context.Context) error {
		if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
			return err
		}
		<-ctx.Done()
		fmt.Println("the scorer has stopped")
		return nil
	}
	err = service.Run(signalled, scorer, service.Config{Beside: []func(context.Context) error{ask}})
	fmt.Println(err)
	// Output:
	// scored: What is the capital of Peru?
	// the scorer has stopped
	// <nil>
}
