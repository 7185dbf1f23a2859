package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/natsqueue"
	"github.com/organic-scoring/organic/contrib/natsqueue/embedded"
)

// The values of -queue: in memory, on a NATS server in this process with a
// folder, or the URL of a NATS server that several processes share.
const (
	queueMemory   = "memory"
	queueEmbedded = "embedded:"
	queueNATS     = "nats://"
)

// ackWait is after what time a sample is another's that a dead process, or an
// embedded server at its stop, has had in its hands.
const ackWait = 3 * time.Second

// store is the queue of a validator, and how it is closed when the scorer has
// stopped.
type store struct {
	queue   organic.Queue[Prompt]
	forgets bool // what is in it when it is closed
	close   func(ctx context.Context) error
}

// openQueue opens the queue that the flag names. One in memory is saved in the
// folder, the others save themselves.
func openQueue(ctx context.Context, name, folder string) (*store, error) {
	if name == queueMemory {
		return openMemory(ctx, folder)
	}
	if strings.HasPrefix(name, queueNATS) {
		conn, err := nats.Connect(name, nats.MaxReconnects(-1))
		if err != nil {
			return nil, fmt.Errorf("-queue: %w", err)
		}
		return openJetStream(ctx, conn, func(context.Context) error { return nil })
	}
	server, err := embedded.Start(strings.TrimPrefix(name, queueEmbedded))
	if err != nil {
		return nil, err
	}
	conn, err := server.Connect()
	if err != nil {
		return nil, errors.Join(err, server.Stop(ctx))
	}
	return openJetStream(ctx, conn, server.Stop)
}

// openJetStream opens the queue on a connection. Stop is called when the
// connection is closed.
func openJetStream(ctx context.Context, conn *nats.Conn, stop func(context.Context) error) (*store, error) {
	failed := func(err error) error {
		conn.Close()
		return errors.Join(err, stop(context.WithoutCancel(ctx)))
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, failed(err)
	}
	queue, err := natsqueue.New[Prompt](ctx, js, natsqueue.WithName("sn1"), natsqueue.WithAckWait(ackWait))
	if err != nil {
		return nil, failed(err)
	}
	return &store{queue: queue, close: func(ctx context.Context) error {
		return failed(queue.Close(ctx))
	}}, nil
}
