package subtensor

import (
	"context"
	"encoding/json"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// The session's methods, for tests.

func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	return c.session.call(ctx, result, method, params...)
}

func (c *Client) Submit(ctx context.Context, result any, method string, params ...any) error {
	return c.session.submit(ctx, result, method, params...)
}

// ErrNotSent is in the error of a request that no node has received.
var ErrNotSent = errNotSent

// Subscription is a subscription of the session.
type Subscription struct{ *subscription }

func (s Subscription) Next(ctx context.Context) (json.RawMessage, error) { return s.next(ctx) }
func (s Subscription) Close()                                            { s.close() }

func (c *Client) Subscribe(
	ctx context.Context, subscribe, unsubscribe string,
) (Subscription, error) {
	u, err := c.session.subscribe(ctx, feed{subscribe, unsubscribe})
	return Subscription{u}, err
}

// View is a pinned block.
type View = view

func (c *Client) Best(ctx context.Context) (View, error)      { return c.session.best(ctx) }
func (c *Client) Finalized(ctx context.Context) (View, error) { return c.session.finalized(ctx) }

func (v View) Storage(ctx context.Context, keys ...[]byte) ([][]byte, error) {
	return v.storage(ctx, keys...)
}

func (v View) Keys(ctx context.Context, prefix []byte) ([][]byte, error) {
	return v.keys(ctx, prefix)
}

// ParseFrame parses a message of a node.
func ParseFrame(data []byte) (id uint64, result, failure, subscription string, err error) {
	f, err := parseFrame(data)
	if f.err != nil {
		failure = f.err.Error()
	}
	return f.id, string(f.result), failure, f.subscription, err
}

// Metadata returns the metadata of the runtime at the best block.
func (c *Client) Metadata(ctx context.Context) (*scale.Metadata, error) {
	s, err := c.best(ctx)
	return s.meta, err
}
