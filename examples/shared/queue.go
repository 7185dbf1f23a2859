package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// options are what all processes open the queue with.
func options() []natsqueue.Option {
	return []natsqueue.Option{
		natsqueue.WithName("example"),
		// The example need not wait 30 s for the killed scorer's sample.
		natsqueue.WithAckWait(2 * time.Second),
	}
}

// open opens the queue, and returns what closes it and the connection.
func open(ctx context.Context, url string) (*natsqueue.Queue[string], func() error, error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	queue, err := natsqueue.New[string](ctx, js, options()...)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return queue, func() error { //nolint:contextcheck // it has a time of its own
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		defer conn.Close()
		return queue.Close(ctx)
	}, nil
}
