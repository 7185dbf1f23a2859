package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// readyFor is how long a server may take to start, with data to recover.
	readyFor = time.Minute
	// readyPoll is how often it is looked at meanwhile.
	readyPoll = 100 * time.Millisecond
)

// ErrInUse is returned by Start for a folder that another server uses.
var ErrInUse = errors.New("embedded: folder is in use by another server")

// Server is a NATS server with JetStream in this process. It is safe for
// concurrent use.
type Server struct {
	nats   *server.Server
	auth   nats.Option // of its clients, or nil
	quiet  *config     // of a server that no client can reach
	ledger *ledger
	unlock func() error

	stop  sync.Once
	ended chan struct{} // closed when the server has shut down
	err   error         // of the shutdown; read after ended is closed
}

// Start starts a server that stores its data in a folder. It creates the folder
// for its user alone if there is none. The caller stops the server.
//
// The error names all bad options and wraps [organic.ErrInvalidOption]. It is
// [ErrInUse] for a folder that is in use (on Windows, Solaris and AIX nothing
// detects that) and [ErrCorrupt] if data is missing that was stored. A port that
// is in use is reported at once. Start reads all messages, which takes about 40
// µs for each. The server does not handle signals.
func Start(folder string, opts ...Option) (*Server, error) {
	cfg := &config{Options: server.Options{
		ServerName: "organic", JetStream: true, StoreDir: folder,
		DontListen: true, NoSigs: true, JetStreamMaxMemory: -1, JetStreamMaxStore: -1,
	}, logger: slog.New(slog.DiscardHandler)}
	if err := configure(cfg, folder, opts); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	unlock, err := lock(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, fmt.Errorf("embedded: start in %s: %w", folder, err)
	}
	s, err := runChecked(cfg, folder)
	if err != nil {
		return nil, fmt.Errorf("embedded: start in %s: %w", folder, errors.Join(err, unlock()))
	}
	s.unlock = unlock
	s.ledger.start(s.nats)
	return s, nil
}

// runChecked starts a server whose data is complete. It checks the data while
// no client can change it.
func runChecked(cfg *config, folder string) (*Server, error) {
	if err := probe(cfg); err != nil {
		return nil, err
	}
	quiet := *cfg
	quiet.DontListen = true
	s, err := run(&quiet)
	if err != nil {
		return nil, err
	}
	s.quiet = &quiet
	s.ledger, err = s.check(cfg, folder)
	if err == nil && cfg.DontListen && !s.ledger.removed {
		return s, nil
	}
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	if err != nil {
		return nil, err
	}
	again, err := run(cfg)
	if err != nil {
		return nil, err
	}
	again.quiet, again.ledger = s.quiet, s.ledger
	return again, nil
}

// probe reports an address that cannot be listened at.
func probe(cfg *config) error {
	if cfg.DontListen {
		return nil
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(max(cfg.Port, 0))))
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	return listener.Close()
}

func configure(cfg *config, folder string, opts []Option) error {
	var errs []error
	if folder == "" {
		errs = append(errs, invalid("Start", "folder is empty"))
	}
	for i, opt := range opts {
		if value := reflect.ValueOf(opt); !value.IsValid() || value.IsNil() {
			errs = append(errs, invalid("Start", fmt.Sprintf("option %d is nil", i+1)))
			continue
		}
		errs = append(errs, opt.apply(cfg))
	}
	if !cfg.DontListen && !isLocal(cfg.Host) && cfg.Authorization == "" {
		errs = append(errs, invalid("WithListen", "an address that others can reach needs WithToken"))
	}
	return errors.Join(errs...)
}

// run starts a configured server and waits until it is ready, or has reported
// what keeps it from that.
func run(cfg *config) (*Server, error) {
	ns, err := server.NewServer(&cfg.Options)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	log := &logger{to: cfg.logger, fatal: make(chan string, 1)}
	ns.SetLoggerV2(log, false, false, false)
	ns.Start()
	if err := awaitReady(ns, log.fatal); err != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
		return nil, fmt.Errorf("embedded: server does not start: %w", err)
	}
	s := &Server{nats: ns, ended: make(chan struct{})}
	if cfg.Authorization != "" {
		s.auth = nats.Token(cfg.Authorization)
	}
	return s, nil
}

// awaitReady waits until a server has started, or has reported what keeps it
// from that.
func awaitReady(ns *server.Server, fatal <-chan string) error {
	for end := time.Now().Add(readyFor); time.Now().Before(end); {
		ready := ns.ReadyForConnections(readyPoll)
		select {
		case reason := <-fatal:
			return errors.New(reason)
		default:
		}
		switch {
		case ready && ns.JetStreamEnabled():
			return nil
		case ready:
			return errors.New("it has no JetStream")
		}
	}
	return fmt.Errorf("it is not ready after %v", readyFor)
}

// logger passes on what the server logs. It implements server.Logger.
type logger struct {
	to    *slog.Logger
	fatal chan string // the first error that the server cannot live with
}

// Noticef logs as Info.
func (l *logger) Noticef(format string, args ...any) { l.to.Info(fmt.Sprintf(format, args...)) }

// Warnf logs as Warn.
func (l *logger) Warnf(format string, args ...any) { l.to.Warn(fmt.Sprintf(format, args...)) }

// Errorf logs as Error.
func (l *logger) Errorf(format string, args ...any) { l.to.Error(fmt.Sprintf(format, args...)) }

// Debugf logs as Debug.
func (l *logger) Debugf(format string, args ...any) { l.to.Debug(fmt.Sprintf(format, args...)) }

// Tracef logs nothing: traces contain payloads.
func (l *logger) Tracef(string, ...any) {}

// Fatalf logs as Error and fails Start.
func (l *logger) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.to.Error(text)
	select {
	case l.fatal <- text:
	default:
	}
}

// Connect connects to the server without a socket. The caller closes the
// connection before it stops the server. Options may configure all but where
// the server is.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	all := []nats.Option{nats.InProcessServer(s.nats), nats.MaxReconnects(-1)}
	if s.auth != nil {
		all = append(all, s.auth)
	}
	conn, err := nats.Connect("", append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("embedded: connect: %w", err)
	}
	return conn, nil
}

// URL is where other processes connect, or empty without [WithListen]. It does
// not contain the token.
func (s *Server) URL() string {
	if s.nats.Addr() == nil {
		return ""
	}
	return "nats://" + s.nats.Addr().String()
}

// Format writes the folder of the server, whatever the verb: it does not print
// the token.
func (s *Server) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "NATS server in %s", s.quiet.StoreDir)
}

// Stop shuts the server down: it answers no request any more, writes its files
// and closes them. What the system has not written through to the disk by then,
// a power cut soon after can still lose. Nil means that none of the server's
// goroutines is left. If ctx ends first, Stop returns its cause; the shutdown
// goes on, and Stop may be called again to wait for it.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		go func() {
			defer close(s.ended)
			s.err = errors.Join(s.shutDown(), s.unlock())
		}()
	})
	select {
	case <-s.ended:
	case <-ctx.Done():
		select {
		case <-s.ended:
		default:
			return context.Cause(ctx)
		}
	}
	return s.err
}

// shutDown ends the server and closes the ledger. What clients can change until
// the end is counted afterwards, by a server without clients.
func (s *Server) shutDown() error {
	final, err := s.ledger.close(s.nats)
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
	if err != nil || final {
		return err
	}
	quiet := *s.quiet
	quiet.logger = slog.New(slog.DiscardHandler)
	again, err := run(&quiet)
	if err != nil {
		return err
	}
	err = s.ledger.save(again.nats, true)
	again.nats.Shutdown()
	again.nats.WaitForShutdown()
	return err
}
