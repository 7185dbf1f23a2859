package axon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

// ListenAndServe serves on a TCP address such as ":8091", the SDK's port,
// until ctx ends: see [Server.Serve].
func (s *Server) ListenAndServe(ctx context.Context, address string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("axon: %w", err)
	}
	return s.Serve(ctx, listener)
}

// Serve serves on a listener, and closes it in the end. For TLS give it one of
// [crypto/tls.NewListener]; a dendrite of the SDK speaks plain HTTP.
//
// When ctx ends, Serve takes no new connection, waits for the requests in
// flight as long as [Limits] says, cuts off what is left, and returns: nil
// after a clean stop, an error when something was cut off or the listener
// failed. The end of ctx does not cancel requests in flight. Stop the scorer
// first: its requests are then answered 503.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	limits := s.cfg.limits
	errorLog, err := zap.NewStdLogAt(s.cfg.logger, zap.DebugLevel)
	if err != nil {
		return fmt.Errorf("axon: %w", err)
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: limits.HeaderTime,
		WriteTimeout:      limits.WriteTime, // for what net/http answers by itself: our answers renew it
		IdleTimeout:       limits.IdleTime,
		MaxHeaderBytes:    limits.HeaderBytes,
		ErrorLog:          errorLog,
	}
	fresh := &freshConns{conns: make(map[net.Conn]struct{})}
	server.ConnState = fresh.note
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, limits.Connections)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("axon: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.StopTime)
	defer cancel()
	fresh.close()
	if err = server.Shutdown(grace); err != nil {
		err = fmt.Errorf("axon: requests were cut off at the stop: %w", errors.Join(err, server.Close()))
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("axon: %w", served))
	}
	return err
}

// freshConns are connections on which nothing has come yet. A stop closes
// them: Shutdown would wait for their first request, five seconds long.
type freshConns struct {
	mu      sync.Mutex // guards what follows
	conns   map[net.Conn]struct{}
	closing bool
}

// note follows the states of a connection, as [http.Server.ConnState].
func (f *freshConns) note(conn net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(f.conns, conn)
	case f.closing:
		_ = conn.Close()
	default:
		f.conns[conn] = struct{}{}
	}
}

// close closes those there are and those that still come.
func (f *freshConns) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closing = true
	for conn := range f.conns {
		_ = conn.Close()
	}
}
