package axon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"go.uber.org/zap"
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
// When ctx ends, or the listener fails, Serve takes no new connection, waits for
// the requests in flight as long as [Limits] says, cuts off what is left, and
// returns: nil after a clean stop, an error when something was cut off or the
// listener failed. The end of ctx does not cancel requests in flight. The scorer
// may be stopped before, and answers 503 then, or after.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	limits := s.cfg.limits
	errorLog, err := zap.NewStdLogAt(s.cfg.logger, zap.DebugLevel)
	if err != nil {
		return fmt.Errorf("axon: %w", err)
	}
	open := newConns(limits.Connections)
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: limits.HeaderTime,
		WriteTimeout:      limits.WriteTime, // for what net/http answers by itself: our answers renew it
		IdleTimeout:       limits.IdleTime,
		// What is somewhat too large gets our own answer.
		MaxHeaderBytes: 2 * min(limits.HeaderBytes, largestNumber),
		ErrorLog:       errorLog,
		ConnContext:    open.admit,
		ConnState:      open.note,
		// net/http's own answer to OPTIONS * waits for the body without end.
		DisableGeneralOptionsHandler: true,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	var failed error
	select {
	case failed = <-ended:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), limits.StopTime)
	defer cancel()
	open.closeFresh()
	if err = server.Shutdown(grace); err != nil {
		err = fmt.Errorf("axon: requests were cut off at the stop: %w", errors.Join(err, server.Close()))
	}
	if failed == nil {
		failed = <-ended
	}
	if !errors.Is(failed, http.ErrServerClosed) {
		err = errors.Join(fmt.Errorf("axon: %w", failed), err)
	}
	return err
}
