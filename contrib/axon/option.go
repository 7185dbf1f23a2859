package axon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Option configures a [Server]. The last one of a kind wins.
type Option interface {
	applyServer(cfg *config) error
}

// RouteOption configures one [Route].
type RouteOption interface {
	applyRoute(cfg *routeConfig) error
}

// SharedOption is an Option for a server, which then holds for its routes, and
// a RouteOption for one route.
type SharedOption interface {
	Option
	RouteOption
}

type serverOption func(cfg *config) error

func (o serverOption) applyServer(cfg *config) error { return o(cfg) }

type routeOption func(cfg *routeConfig) error

func (o routeOption) applyRoute(cfg *routeConfig) error { return o(cfg) }

// sharedOption sets one value in either configuration.
type sharedOption struct {
	check  func() error
	server func(cfg *config)
	route  func(cfg *routeConfig)
}

func (o sharedOption) applyServer(cfg *config) error {
	o.server(cfg)
	return o.check()
}

func (o sharedOption) applyRoute(cfg *routeConfig) error {
	o.route(cfg)
	return o.check()
}

type config struct {
	limits       Limits
	timeoutCap   time.Duration
	hotkeyRate   rateConfig
	addressRate  rateConfig
	proxies      proxies
	allowed      *AllowList
	logger       *zap.Logger
	now          func() time.Time
	past, ahead  time.Duration // the window of btauth/1
	schemes      func(hotkey keys.Hotkey) keys.Scheme
	target       func(r *http.Request) string
	wrappedBytes bool
}

type routeConfig struct {
	allowed      *AllowList
	methods      []string
	schemes      func(hotkey keys.Hotkey) keys.Scheme
	target       func(r *http.Request) string
	bearer       func(ctx context.Context, token string) (string, error)
	btauth       bool
	epistula     bool
	version1     bool
	unhashedBody bool
	unaddressed  bool
}

type rateConfig struct {
	perSecond float64
	burst     int
}

// WithTimeoutCap sets how much of the timeout that a dendrite claims may widen
// the window of time in which its request is fresh: a request is fresh for 4 s
// plus its timeout, up to this cap. The claim is not signed. Default: 12 s, at
// most a minute.
func WithTimeoutCap(limit time.Duration) Option {
	return serverOption(func(cfg *config) error {
		if limit < 0 || limit > time.Minute {
			return invalid("WithTimeoutCap", "%v, must be from 0 to a minute", limit)
		}
		cfg.timeoutCap = limit
		return nil
	})
}

// WithHotkeyRate limits each hotkey to so many verified requests per second,
// and burst in one go. Default: 100 per second, 200 at once.
func WithHotkeyRate(perSecond float64, burst int) Option {
	return serverOption(func(cfg *config) error {
		cfg.hotkeyRate = rateConfig{perSecond, burst}
		return cfg.hotkeyRate.check("WithHotkeyRate")
	})
}

// WithAddressRate limits each address (an IPv4 address, or the first half of
// an IPv6 one) to so many requests per second and burst in one go, of those
// that reach the expensive checks. Behind a reverse proxy all requests have its
// address: see [WithTrustedProxies]. An infinite rate is none. Default: 100 per
// second, 200 at once.
func WithAddressRate(perSecond float64, burst int) Option {
	return serverOption(func(cfg *config) error {
		cfg.addressRate = rateConfig{perSecond, burst}
		return cfg.addressRate.check("WithAddressRate")
	})
}

func (r rateConfig) check(option string) error {
	if math.IsNaN(r.perSecond) || r.perSecond <= 0 || r.burst < 1 {
		return invalid(option, "(%v, %d), must be above zero and at least 1", r.perSecond, r.burst)
	}
	return nil
}

// limit is the rate as package rate takes it: its infinity is the largest
// number, and with a real one it would compute what is no number.
func (r rateConfig) limit() rate.Limit { return min(rate.Limit(r.perSecond), rate.Inf) }

// WithAllowList accepts only hotkeys on the list, which may change at any time.
// The list of a route replaces that of the server. Default: every hotkey.
func WithAllowList(list *AllowList) SharedOption {
	return sharedOption{
		check: func() error {
			if list == nil {
				return invalid("WithAllowList", "nil, must be a list; omit the option to accept all")
			}
			return nil
		},
		server: func(cfg *config) { cfg.allowed = list },
		route:  func(cfg *routeConfig) { cfg.allowed = list },
	}
}

// WithLogger sets where refusals are logged, at debug level and with the
// reason, since at a higher level strangers could fill the log. What a
// request carries is never logged. Default: nowhere.
func WithLogger(logger *zap.Logger) Option {
	return serverOption(func(cfg *config) error {
		if logger == nil {
			return invalid("WithLogger", "nil, must be a logger; leave the option out for none")
		}
		cfg.logger = logger.Named("axon")
		return nil
	})
}

// WithClock sets the clock by which requests are fresh, for tests with
// recorded requests. It must be safe for concurrent use. Default: time.Now.
func WithClock(now func() time.Time) Option {
	return serverOption(func(cfg *config) error {
		if now == nil {
			return invalid("WithClock", "nil, must be a function")
		}
		cfg.now = now
		return nil
	})
}

// WithWrappedBytes takes signatures over <Bytes>message</Bytes> too, as wallets
// in browsers make them. A forged signature then costs two verifications.
func WithWrappedBytes() Option {
	return serverOption(func(cfg *config) error {
		cfg.wrappedBytes = true
		return nil
	})
}

// WithFreshness sets how old a request by btauth/1 may be, and how far ahead of
// our clock. Both are at most a minute, and the age is not zero. Default: 10 s
// and 2 s, as the SDK has them.
func WithFreshness(past, ahead time.Duration) Option {
	return serverOption(func(cfg *config) error {
		if past <= 0 || past > time.Minute || ahead < 0 || ahead > time.Minute {
			return invalid("WithFreshness",
				"(%v, %v), must be above zero and at least zero, and at most a minute", past, ahead)
		}
		cfg.past, cfg.ahead = past, ahead
		return nil
	})
}

// WithSchemes sets the signature scheme of each sender by btauth/1, such as
// [keys.Ed25519] for some: signatures are verified under that scheme only,
// whatever the request says. Take it from your own list or from the chain. The
// function is called for each request, from any goroutine, before the sender is
// proven; it must be quick. Default: [keys.SR25519] for all, and requests that
// name another scheme are refused.
func WithSchemes(scheme func(hotkey keys.Hotkey) keys.Scheme) SharedOption {
	return sharedOption{
		check: func() error {
			if scheme == nil {
				return invalid("WithSchemes", "nil, must be a function; omit the option for sr25519")
			}
			return nil
		},
		server: func(cfg *config) { cfg.schemes = scheme },
		route:  func(cfg *routeConfig) { cfg.schemes = scheme },
	}
}

// WithTarget sets how the request target that a caller signed by btauth/1 is
// found, for servers behind a proxy that rewrites paths: path and query, percent
// encoded, as the caller sent them. Default: as they are on the request line.
func WithTarget(target func(r *http.Request) string) SharedOption {
	return sharedOption{
		check: func() error {
			if target == nil {
				return invalid("WithTarget", "nil, must be a function; omit the option for the request line")
			}
			return nil
		},
		server: func(cfg *config) { cfg.target = target },
		route:  func(cfg *routeConfig) { cfg.target = target },
	}
}

// WithBTAuth accepts btauth/1 on the route of a synapse class too, so that
// callers can migrate one by one. Such a request signs its whole body, which is
// not checked against the class. A [Server.Route] always accepts btauth/1.
func WithBTAuth() RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		cfg.btauth = true
		return nil
	})
}

// WithEpistula accepts requests of Epistula version 2 on a route, from callers
// that have not migrated to btauth/1.
func WithEpistula() RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		cfg.epistula = true
		return nil
	})
}

// WithUnhashedBody takes a Bittensor route whose class has no hashed fields:
// then no signature covers the body, it can be replaced in transit, and
// [organic.Synapse.BodySigned] is false.
func WithUnhashedBody() RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		cfg.unhashedBody = true
		return nil
	})
}

// WithUnaddressed accepts requests by btauth/1 and Epistula that name no receiver.
// Their receiver can pass them on to any other server that accepts them.
func WithUnaddressed() RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		cfg.unaddressed = true
		return nil
	})
}

// WithEpistulaV1 accepts requests of Epistula version 1 on a route. It does not
// imply version 2.
func WithEpistulaV1() RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		cfg.version1 = true
		return nil
	})
}

// WithMethods sets the methods of a [Server.Route]. btauth/1 signs the method,
// Epistula does not. Default: POST.
func WithMethods(methods ...string) RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		var errs []error
		for _, method := range methods {
			switch method {
			case http.MethodGet, http.MethodHead, http.MethodPost,
				http.MethodPut, http.MethodPatch, http.MethodDelete:
			default:
				errs = append(errs, invalid(
					"WithMethods", "%q, must be GET, HEAD, POST, PUT, PATCH or DELETE", method))
			}
		}
		if len(methods) == 0 {
			errs = append(errs, invalid("WithMethods", "no method, must be one at least"))
		}
		cfg.methods = slices.Clone(methods)
		return errors.Join(errs...)
	})
}

// invalid is the error for an option's value.
func invalid(option, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalidOption, option, fmt.Sprintf(format, args...))
}
