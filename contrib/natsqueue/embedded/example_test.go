package embedded_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// A queue that outlives the process, on a server inside it.
func Example() {
	folder, err := os.MkdirTemp("", "organic")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	server, err := embedded.Start(folder, embedded.WithSyncAlways()) // a power cut loses nothing
	if err != nil {
		log.Fatal(err)
	}
	conn, err := server.Connect()
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		log.Fatal(err)
	}
	queue, err := natsqueue.New[string](ctx, js)
	if err != nil {
		log.Fatal(err)
	}
	if err := queue.Add(ctx, organic.NewSample("What is the capital of Peru?")); err != nil {
		log.Fatal(err)
	}
	fmt.Println("waiting:", queue.Size()) // a scorer takes it by organic.WithQueue(queue)

	if err := queue.Close(ctx); err != nil {
		log.Fatal(err)
	}
	conn.Close()
	if err := server.Stop(ctx); err != nil {
		log.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		log.Fatal(err)
	}
	// Output: waiting: 1
}
