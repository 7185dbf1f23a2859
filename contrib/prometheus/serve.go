package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/organic-scoring/organic"
	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// The times that Serve allows.
const (
	readTimeout  = 5 * time.Second // for the header of a request
	writeTimeout = time.Minute     // for an answer
	idleTimeout  = 2 * time.Minute // between two requests of a connection
	closeTimeout = 2 * time.Second // for scrapes under way when ctx ends
)

// Serve serves the metrics of the collectors at /metrics of a listener of their own, and nothing
// else. It returns nil when ctx has ended and the scrapes under way have too, or were cut off after
// 2 s, and closes the listener in any case. Collectors that cannot be registered together are an
// error; a nil listener or collector is [organic.ErrInvalidOption]. Programs that serve other pages
// on the same address use a registry and promhttp in its place.
//
// The metrics tell how much is asked: listen on a loopback address or a private network.
func Serve(ctx context.Context, listener net.Listener, collectors ...prom.Collector) error {
	if listener == nil {
		return fmt.Errorf("%w: prometheus: Serve: the listener must not be nil", organic.ErrInvalidOption)
	}
	registry, err := registryOf(collectors)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err // of the listener
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func registryOf(collectors []prom.Collector) (*prom.Registry, error) {
	registry := prom.NewRegistry()
	for i, collector := range collectors {
		if collector == nil {
			return nil, fmt.Errorf("%w: prometheus: Serve: collector %d is nil",
				organic.ErrInvalidOption, i+1)
		}
		if err := registry.Register(collector); err != nil {
			return nil, err
		}
	}
	return registry, nil
}
