package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// readyFor is how long a server may take to start, with data to recover.
const readyFor = time.Minute

// ErrInUse is returned by Start for a folder that another server uses.
var ErrInUse = errors.New("embedded: folder is in use by another server")

// Server is a NATS server with JetStream in this process. It is safe for
// concurrent use.
type Server struct {
	nats    *server.Server
	token   string
	ended   chan struct{} // closed when the server has shut down
	release func() error
	stop    sync.Once
	err     error // of release; read after ended is closed
}

// Start starts a server that stores its data in a folder, which it makes, for
// its user alone, where there is none. All bad options are reported at once
// and wrap [organic.ErrInvalidOption]; a folder that is in use is [ErrInUse]
// (on Windows, Solaris and AIX take care yourself). The server logs nothing and does
// not care for signals. Stop it.
func Start(folder string, opts ...Option) (*Server, error) {
	cfg := &server.Options{
		ServerName: "organic", JetStream: true, StoreDir: folder,
		DontListen: true, NoSigs: true, NoLog: true,
		JetStreamMaxMemory: -1, JetStreamMaxStore: -1,
	}
	if err := configure(cfg, folder, opts); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	release, err := lock(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, err
	}
	s, err := run(cfg)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	s.release = release
	return s, nil
}

func configure(cfg *server.Options, folder string, opts []Option) error {
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

// run starts a configured server and waits until it is ready.
func run(cfg *server.Options) (*Server, error) {
	ns, err := server.NewServer(cfg)
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	ns.Start()
	if !ns.ReadyForConnections(readyFor) || !ns.JetStreamEnabled() {
		ns.Shutdown()
		ns.WaitForShutdown()
		return nil, errors.New("embedded: server does not start, its folder or address may not be usable")
	}
	return &Server{nats: ns, token: cfg.Authorization, ended: make(chan struct{})}, nil
}

// Connect connects to the server without a socket. The caller closes the
// connection before it stops the server. It may be told anything by options
// but where the server is.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	all := []nats.Option{nats.InProcessServer(s.nats), nats.MaxReconnects(-1)}
	if s.token != "" {
		all = append(all, nats.Token(s.token))
	}
	conn, err := nats.Connect("", append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("embedded: connect: %w", err)
	}
	return conn, nil
}

// URL is where other processes connect, or empty without [WithListen]. It does
// not hold the token.
func (s *Server) URL() string {
	if s.nats.Addr() == nil {
		return ""
	}
	return "nats://" + s.nats.Addr().String()
}

// Stop shuts the server down: it answers nobody any more, writes its files and
// closes them. What the system has not written through to the disk by then, a
// power cut soon after can still lose. Nil means that none of the server's
// goroutines is left. When ctx ends first, Stop returns its cause; the shutdown goes on,
// and Stop may be called again to wait for it.
func (s *Server) Stop(ctx context.Context) error {
	s.stop.Do(func() {
		go func() {
			defer close(s.ended)
			s.nats.Shutdown()
			s.nats.WaitForShutdown()
			s.err = s.release()
		}()
	})
	select {
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
