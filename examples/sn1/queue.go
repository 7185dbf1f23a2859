package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic/contrib/boltqueue"
	"github.com/organic-scoring/organic/contrib/natsqueue"
)

// openQueue opens the file in the folder of the state or, for several processes, the queue on a
// NATS server.
func (v *Validator) openQueue(ctx context.Context) error {
	if v.settings.queue != "" {
		return v.openNATS(ctx)
	}
	file, err := boltqueue.Open(v.file("queue.db"), boltqueue.Config[Prompt]{})
	if err != nil {
		return err
	}
	v.queue, v.closers = file, append(v.closers, file.Close)
	return nil
}

func (v *Validator) openNATS(ctx context.Context) error {
	conn, err := nats.Connect(v.settings.queue, nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("-queue: %w", err)
	}
	v.closers = append(v.closers, func(context.Context) error { conn.Close(); return nil })
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	shared, err := natsqueue.New[Prompt](ctx, js, natsqueue.WithName("sn1"))
	if err != nil {
		return err
	}
	v.queue, v.closers = shared, append(v.closers, shared.Close)
	return nil
}
