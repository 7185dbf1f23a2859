package embedded

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/organic-scoring/organic"
)

// Option configures a [Server]. Of two of the same kind the last one wins.
type Option interface {
	apply(cfg *config) error
}

type config struct {
	server.Options
	logger      *slog.Logger
	acceptsLoss bool
}

type optionFunc func(cfg *config) error

func (f optionFunc) apply(cfg *config) error { return f(cfg) }

func invalid(what, must string) error {
	return fmt.Errorf("embedded: %w: %s: %s", organic.ErrInvalidOption, what, must)
}

// WithSyncAlways writes each sample through to the disk before it is accepted.
// A power cut then loses nothing that was accepted. It costs a factor of ten
// in speed, some 0.4 ms per sample on a fast disk.
func WithSyncAlways() Option {
	return optionFunc(func(cfg *config) error { cfg.SyncAlways = true; return nil })
}

// WithSyncInterval sets how often files are written through to the disk, every
// 2 minutes by default. A power cut loses what was accepted since the last
// time. A second costs little.
func WithSyncInterval(interval time.Duration) Option {
	return optionFunc(func(cfg *config) error {
		if interval <= 0 {
			return invalid(fmt.Sprintf("WithSyncInterval(%v)", interval), "must be above 0")
		}
		cfg.SyncInterval = interval
		return nil
	})
}

// WithListen opens a socket for other processes at an address such as
// "127.0.0.1:4222"; port 0 takes a free one, see [Server.URL]. Who can reach
// it can read and write all samples, so that an address that is not of the
// machine itself (127.0.0.1, ::1, localhost) needs [WithToken] too. The
// connection is not encrypted.
func WithListen(address string) Option {
	return optionFunc(func(cfg *config) error {
		host, port, err := net.SplitHostPort(address)
		number, numberErr := strconv.ParseUint(port, 10, 16)
		if err != nil || numberErr != nil || host == "" {
			return invalid(fmt.Sprintf("WithListen(%q)", address), "must be an address of host and port")
		}
		cfg.DontListen, cfg.Host, cfg.Port = false, host, int(number)
		if number == 0 {
			cfg.Port = server.RANDOM_PORT
		}
		return nil
	})
}

// WithToken asks clients on the socket for a token: nats.Token(token). A
// connection of [Server.Connect] has it.
func WithToken(token string) Option {
	return optionFunc(func(cfg *config) error {
		if token == "" {
			return invalid("WithToken", "token is empty")
		}
		cfg.Authorization = token
		return nil
	})
}

// WithMaxStorage bounds the folder, in bytes. By default the server takes up
// to three quarters of what is free on the disk when it starts.
func WithMaxStorage(bytes int64) Option {
	return optionFunc(func(cfg *config) error {
		if bytes < 1 {
			return invalid(fmt.Sprintf("WithMaxStorage(%d)", bytes), "must be above 0")
		}
		cfg.JetStreamMaxStore = bytes
		return nil
	})
}

// WithLogger logs what the server reports: its notices as Info, warnings and
// errors. By default it logs nothing. No payload is logged.
func WithLogger(logger *slog.Logger) Option {
	return optionFunc(func(cfg *config) error {
		if logger == nil {
			return invalid("WithLogger", "logger is nil")
		}
		cfg.logger = logger
		return nil
	})
}

// WithAcceptLoss lets Start go on with what is left when data is missing, and
// logs the [ErrCorrupt] that it returns otherwise. The loss is reported once.
func WithAcceptLoss() Option {
	return optionFunc(func(cfg *config) error { cfg.acceptsLoss = true; return nil })
}

// isLocal reports whether only this machine can reach a host.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
