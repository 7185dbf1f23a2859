package subtensor

import (
	"context"
	"fmt"
	"net"

	"github.com/organic-scoring/organic"
)

// Option configures a [Client]. The last one of a kind wins.
type Option interface {
	apply(cfg *config) error
}

type optionFunc func(cfg *config) error

func (o optionFunc) apply(cfg *config) error { return o(cfg) }

type config struct {
	dialer Dialer
}

// Dialer opens a network connection, as [net.Dialer.DialContext] does. The client speaks WebSocket
// over it, inside TLS for a wss endpoint. It must be safe for concurrent use.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// WithDialer sets how connections are opened, for a node that is reached
// through something other than TCP. Tests give the dialer of a fake node in the
// same process, so that no socket is used and time can be simulated. By default
// connections are TCP, through the proxy that the environment names, if any;
// with this option the environment is not looked at.
func WithDialer(dialer Dialer) Option {
	return optionFunc(func(cfg *config) error {
		if dialer == nil {
			return invalid("WithDialer", "is nil: must be a function")
		}
		cfg.dialer = dialer
		return nil
	})
}

// invalid returns an error for a parameter or option that cannot be used.
func invalid(what, format string, args ...any) error {
	problem := fmt.Sprintf(format, args...)
	return fmt.Errorf("%w: subtensor: %s %s", organic.ErrInvalidOption, what, problem)
}
