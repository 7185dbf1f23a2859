package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/boltqueue"
	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// queue is where samples wait, and how it is closed once the scorer has stopped.
type queue struct {
	queue organic.Queue[Prompt]
	close func(ctx context.Context) error
}

// openQueue opens the file in the folder of the state or, for several processes, the queue on a
// NATS server.
func (v *Validator) openQueue(ctx context.Context) (err error) {
	if v.settings.queue != "" {
		v.queue, err = openNATS(ctx, v.settings.queue)
		return err
	}
	file, err := boltqueue.Open(v.file("queue.db"), boltqueue.Config[Prompt]{})
	if err != nil {
		return err
	}
	v.queue = &queue{queue: file, close: file.Close}
	return nil
}

func openNATS(ctx context.Context, url string) (*queue, error) {
	conn, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("-queue: %w", err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	shared, err := natsqueue.New[Prompt](ctx, js, natsqueue.WithName("sn1"))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &queue{queue: shared, close: func(ctx context.Context) error {
		defer conn.Close()
		return errors.Join(shared.Close(ctx))
	}}, nil
}
