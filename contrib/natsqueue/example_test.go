package natsqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// A front-end needs no scorer. It opens the queue once, and adds what comes in.
func Example_frontend() {
	url := os.Getenv("ORGANIC_EXAMPLE_NATS")
	if url == "" {
		fmt.Println("there is no server here")
		return
	}
	conn, err := nats.Connect(url, nats.MaxReconnects(-1), nats.FlusherTimeout(5*time.Second))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	queue, err := natsqueue.New[string](ctx, js)
	if err != nil {
		fmt.Println(err)
		return
	}
	switch err := queue.Add(ctx, organic.NewSample("What is the capital of Peru?")); {
	case errors.Is(err, organic.ErrFull):
		fmt.Println("come back later")
	case err != nil:
		fmt.Println(err) // it can be added again under the same ID
	default:
		fmt.Println("stored")
	}
	if err := queue.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: there is no server here
}
