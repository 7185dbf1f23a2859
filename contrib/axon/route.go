package axon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/contrib/axon/internal/pyjson"
)

// Route is one path of a [Server]; it takes one scorer, by
// [organic.WithAxon]. It is safe for concurrent use.
type Route struct {
	path     string
	name     string        // the class's name, or the path
	class    *pyjson.Class // nil for Epistula
	cfg      routeConfig
	handlers atomic.Pointer[organic.Handlers]
}

var _ organic.Axon = (*Route)(nil)

// Bittensor adds the route of a synapse class: POST on /Name, as dendrites of
// the SDK send it. The class needs hashed fields, or [WithUnhashedBody]:
// without, the error is [ErrUnhashedRoute].
func (s *Server) Bittensor(class Class, opts ...RouteOption) (*Route, error) {
	hashed, err := class.compile()
	if err != nil {
		return nil, err
	}
	route := &Route{path: "/" + class.Name, name: class.Name, class: hashed}
	if err := route.configure(s, opts); err != nil {
		return nil, err
	}
	switch {
	case route.cfg.unaddressed, route.cfg.version1, route.cfg.methods != nil:
		return nil, invalid("Bittensor", "%s has an option that is Epistula's", class.Name)
	case len(class.Hashed) == 0 && !route.cfg.unhashedBody:
		return nil, fmt.Errorf("%w: %s", ErrUnhashedRoute, class.Name)
	}
	route.cfg.methods = []string{http.MethodPost}
	return s.add(route)
}

// Epistula adds a route for requests that are signed by Epistula version 2, on
// an exact path.
func (s *Server) Epistula(path string, opts ...RouteOption) (*Route, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, invalid("Epistula", "path %q, must begin with a slash", path)
	}
	route := &Route{path: path, name: path}
	if err := route.configure(s, opts); err != nil {
		return nil, err
	}
	if route.cfg.unhashedBody {
		return nil, invalid("Epistula", "has WithUnhashedBody; its bodies are always signed")
	}
	if route.cfg.methods == nil {
		route.cfg.methods = []string{http.MethodPost}
	}
	return s.add(route)
}

func (r *Route) configure(s *Server, opts []RouteOption) error {
	r.cfg = routeConfig{allowed: s.cfg.allowed}
	var errs []error
	for _, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid(r.path, "an option is nil"))
			continue
		}
		errs = append(errs, opt.applyRoute(&r.cfg))
	}
	return errors.Join(errs...)
}

func (s *Server) add(route *Route) (*Route, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.routes[route.path] != nil {
		return nil, fmt.Errorf("%w: %s", ErrRouteTaken, route.path)
	}
	s.routes[route.path] = route
	return route, nil
}

// Path is the route's path, as in [organic.Synapse.Path]: what tells the routes
// of one scorer apart in its hooks.
func (r *Route) Path() string { return r.path }

// Attach connects the route to a scorer; [organic.New] calls it. Without a
// scorer, requests are answered 503. A miner or another program without a
// scorer may attach handlers of its own: Forward must be set, the others may
// be nil. A second Attach fails with [ErrAttached].
func (r *Route) Attach(handlers organic.Handlers) (detach func(), err error) {
	if handlers.Forward == nil {
		return nil, invalid("Attach", "Forward is nil")
	}
	if handlers.Open == nil {
		handlers.Open = func() bool { return true }
	}
	if handlers.Blacklist == nil {
		handlers.Blacklist = accept
	}
	if handlers.Verify == nil {
		handlers.Verify = accept
	}
	if handlers.Priority == nil {
		handlers.Priority = func(context.Context, *organic.Synapse) float64 { return 0 }
	}
	if !r.handlers.CompareAndSwap(nil, &handlers) {
		return nil, fmt.Errorf("%w: %s", ErrAttached, r.name)
	}
	return func() { r.handlers.CompareAndSwap(&handlers, nil) }, nil
}

func accept(context.Context, *organic.Synapse) error { return nil }

// steps returns the checks for a request with this header.
func (r *Route) steps(header http.Header) []step {
	switch {
	case r.class != nil:
		return bittensorSteps
	case r.cfg.version1 && speaksVersion1(header):
		return epistula1Steps
	}
	return epistula2Steps
}

// signsBody tells whether the signature covers the body, or the hashed fields
// of it.
func (r *Route) signsBody() bool { return !r.cfg.unhashedBody }

// priorityOf makes a number of every priority, for an order needs one.
func priorityOf(priority float64) float64 {
	if math.IsNaN(priority) {
		return 0
	}
	return priority
}
