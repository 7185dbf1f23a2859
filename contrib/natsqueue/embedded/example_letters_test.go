package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"

	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// Samples that were given up are kept, with the reason, and can be put back.
func ExampleServer() {
	folder, err := os.MkdirTemp("", "organic")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	server, err := embedded.Start(folder)
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
	for _, id := range []string{"7f3a", "7f3a"} {
		err := queue.Add(ctx, organic.Sample[string]{ID: id, Payload: "Peru?"})
		fmt.Println("duplicate:", errors.Is(err, organic.ErrDuplicate))
	}
	lease, err := queue.Sample(ctx)
	for errors.Is(err, organic.ErrEmpty) { // it is on its way to this process
		lease, err = queue.Sample(ctx)
	}
	if err != nil {
		log.Fatal(err)
	}
	verdict := organic.Verdict{Outcome: organic.OutcomeDiscarded, Err: errors.New("empty prompt")}
	if err := lease.Settle(ctx, verdict); err != nil { // as the scorer does
		log.Fatal(err)
	}
	for letter, err := range queue.DeadLetters(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(letter.ID, letter.Cause, letter.Reason)
		fmt.Println(queue.PutBack(ctx, letter.Number))
	}

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
	// Output:
	// duplicate: false
	// duplicate: true
	// 7f3a discarded empty prompt
	// <nil>
}
