package subtensor

import (
	"context"
	"errors"
	"sync"

	"github.com/organic-scoring/organic/contrib/keys"
)

// Client is a connection to the chain. It keeps itself connected: a lost
// connection is made again, to the next endpoint of the network. Create it with
// [Dial] and call Close. Safe for concurrent use.
type Client struct {
	session  *session
	runtimes runtimes

	mu      sync.Mutex // guards senders
	senders map[keys.Hotkey]chan struct{}
}

// Dial connects to the first endpoint of the network that works, and checks
// that it serves the right chain. It fails when every endpoint has failed once;
// the error then has all the reasons. All that is wrong with network and options
// is reported at once and wraps [organic.ErrInvalidOption]. ctx bounds Dial
// alone.
func Dial(ctx context.Context, network Network, options ...Option) (*Client, error) {
	var cfg config
	problems := []error{network.check()}
	for _, option := range options {
		if option == nil {
			problems = append(problems, invalid("Option", "is nil"))
			continue
		}
		problems = append(problems, option.apply(&cfg))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	s, err := openSession(ctx, network, cfg.dialer)
	if err != nil {
		return nil, err
	}
	return &Client{session: s, senders: make(map[keys.Hotkey]chan struct{})}, nil
}

// Close ends the connection and waits until no goroutine is left. Calls in
// flight return [ErrClosed]. Closing twice is harmless.
func (c *Client) Close() { c.session.close() }

// Stats returns how the connection is.
func (c *Client) Stats() Stats { return *c.session.status.Load() }

// acquire waits until no other extrinsic of the key is on its way: two of them could be included
// both, or one could make the other invalid. The caller must call release.
func (c *Client) acquire(ctx context.Context, key keys.Hotkey) (release func(), err error) {
	c.mu.Lock()
	sender, ok := c.senders[key]
	if !ok {
		sender = make(chan struct{}, 1)
		c.senders[key] = sender
	}
	c.mu.Unlock()
	select {
	case sender <- struct{}{}:
		return func() { <-sender }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
