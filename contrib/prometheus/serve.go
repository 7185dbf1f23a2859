package prometheus

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Serve serves the metrics of the collectors at /metrics of a listener of their own, and nothing
// else. It returns nil when ctx has ended, and closes the listener in any case. Collectors that
// cannot be registered together are an error. Programs that serve other pages on the same address
// use a registry and promhttp in its place.
//
// Metrics show how much is asked: listen on a loopback address or a private network.
func Serve(ctx context.Context, listener net.Listener, collectors ...prom.Collector) error {
	registry := prom.NewRegistry()
	for _, collector := range collectors {
		if err := registry.Register(collector); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
