package axon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/contrib/axon/internal/pyjson"
)

// Route is one path of a [Server]. It serves one scorer, which is connected by
// [organic.WithAxon], and is safe for concurrent use.
type Route struct {
	path      string
	name      string        // the class's name, or the path
	class     *pyjson.Class // nil without one
	cfg       routeConfig
	main      *protocol   // of a request without any mark
	protocols []*protocol // that the route accepts, in the order in which their marks are looked for
	handlers  atomic.Pointer[organic.Handlers]
}

var _ organic.Axon = (*Route)(nil)

// Route adds a route for requests that are signed by btauth/1, the protocol of
// the Bittensor SDK 11, on an exact path. [WithEpistula] and [WithEpistulaV1] add
// protocols of older callers, [WithBearer] adds API keys. Which one a request
// speaks is decided by its headers alone, and it is tried under no other.
//
// The path is compared with the path on the request line, before any decoding:
// write it percent-encoded where that is needed.
func (s *Server) Route(path string, opts ...RouteOption) (*Route, error) {
	route := &Route{path: path, name: path, main: btauth}
	errs := []error{checkPath(path), route.configure(s, opts)}
	if route.cfg.unhashedBody {
		errs = append(errs, invalid("Route",
			"%s has WithUnhashedBody, which is for Synapse: its bodies are always signed", path))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	route.cfg.btauth = true
	if route.cfg.methods == nil {
		route.cfg.methods = []string{http.MethodPost}
	}
	return s.add(route)
}

// checkPath refuses a path that cannot stand on a request line.
func checkPath(path string) error {
	decoded, err := url.PathUnescape(path)
	asSent := url.URL{Path: decoded, RawPath: path}
	if err != nil || !strings.HasPrefix(path, "/") || asSent.EscapedPath() != path {
		return invalid("Route",
			"path %q, must begin with a slash, be percent-encoded and have no query", path)
	}
	return nil
}

// Synapse adds the route of a synapse class: POST on /Name, as the dendrite of
// the SDK from 7.2 to 10 sends it. [WithBTAuth] and [WithBearer] add the other
// ways to sign. The class needs hashed fields, or [WithUnhashedBody]: without,
// the error is [ErrUnhashedRoute].
func (s *Server) Synapse(class Class, opts ...RouteOption) (*Route, error) {
	hashed, err := class.compile()
	route := &Route{path: "/" + class.Name, name: class.Name, class: hashed, main: dendrite}
	errs := []error{err, route.configure(s, opts)}
	if route.cfg.epistula || route.cfg.version1 || route.cfg.methods != nil {
		errs = append(errs, invalid("Synapse", "%s has an option that is only for Route", class.Name))
	}
	if route.cfg.unaddressed && !route.cfg.btauth {
		errs = append(errs, invalid("Synapse",
			"%s has WithUnaddressed without WithBTAuth; dendrites always name a receiver", class.Name))
	}
	if len(class.Hashed) == 0 && !route.cfg.unhashedBody {
		errs = append(errs, fmt.Errorf("%w: %s", ErrUnhashedRoute, class.Name))
	}
	if err = errors.Join(errs...); err != nil {
		return nil, err
	}
	route.cfg.methods = []string{http.MethodPost}
	return s.add(route)
}

func (r *Route) configure(s *Server, opts []RouteOption) error {
	r.cfg = routeConfig{allowed: s.cfg.allowed, schemes: s.cfg.schemes, target: s.cfg.target}
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
	for _, accepted := range []struct {
		protocol *protocol
		ok       bool
	}{
		{btauth, route.cfg.btauth},
		{epistula2, route.cfg.epistula},
		{epistula1, route.cfg.version1},
		{dendrite, route.class != nil},
		{bearer, route.cfg.bearer != nil},
	} {
		if accepted.ok {
			route.protocols = append(route.protocols, accepted.protocol)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.routes[route.path] != nil {
		return nil, fmt.Errorf("%w: %s", ErrRouteTaken, route.path)
	}
	s.routes[route.path] = route
	return route, nil
}

// Path is the route's path, as in [organic.Synapse.Path]: hooks of a scorer with
// several routes distinguish them by it.
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
