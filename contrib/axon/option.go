package axon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/organic-scoring/organic/contrib/keys"
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

// Limits bound what requests may cost. A field that is zero has its default.
type Limits struct {
	HeaderBytes int   // names and values of a request's header together; 32 KiB
	HeaderLines int   // lines of a request's header; 100
	BodyBytes   int64 // a request's body; 1 MiB

	Connections int           // open at once, a quarter of them from one address, for [Server.Serve]; 4 096
	HeaderTime  time.Duration // for a header to arrive, for [Server.Serve]; 5 s
	BodyTime    time.Duration // for a body to arrive; 10 s
	WriteTime   time.Duration // for a client to take one piece of a streamed answer, where the hook sets no write deadline; 30 s
	IdleTime    time.Duration // a connection between two requests, for [Server.Serve]; 2 min
	StopTime    time.Duration // for requests to end after [Server.Serve]'s ctx has; 30 s

	Reading   int           // bodies above 64 KiB being read and checked at once, a quarter of them from one address; 256
	Verifying int           // signatures being verified at once; GOMAXPROCS
	Serving   int           // requests in the scorer's Forward at once; 64
	Waiting   int           // verified requests that wait for their turn to be served, and as many in the hooks before; 256
	Wait      time.Duration // the longest wait, also of requesters who would wait longer; 12 s

	ReplaysPerHotkey int // requests of one hotkey that are remembered; 10 000
	Replays          int // requests that are remembered in all, about 200 bytes each; 100 000
	Tracked          int // addresses, and proven hotkeys, whose keys and rates are remembered; 10 000
}

func (l Limits) withDefaults() Limits {
	fill(&l.HeaderBytes, 32<<10)
	fill(&l.HeaderLines, 100)
	fill(&l.BodyBytes, 1<<20)
	fill(&l.Connections, 4096)
	fill(&l.HeaderTime, 5*time.Second)
	fill(&l.BodyTime, 10*time.Second)
	fill(&l.WriteTime, 30*time.Second)
	fill(&l.IdleTime, 2*time.Minute)
	fill(&l.StopTime, 30*time.Second)
	fill(&l.Reading, 256)
	fill(&l.Verifying, runtime.GOMAXPROCS(0))
	fill(&l.Serving, 64)
	fill(&l.Waiting, 256)
	fill(&l.Wait, 12*time.Second)
	fill(&l.ReplaysPerHotkey, 10_000)
	fill(&l.Replays, 100_000)
	fill(&l.Tracked, 10_000)
	return l
}

func fill[N int | int64 | time.Duration](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}

func (l Limits) check() error {
	var errs []error
	positive := func(name string, value int64) {
		if value < 0 {
			errs = append(errs, invalid("WithLimits", "%s is %d, must be positive or zero for the default", name, value))
		}
	}
	positive("HeaderBytes", int64(l.HeaderBytes))
	positive("HeaderLines", int64(l.HeaderLines))
	positive("BodyBytes", l.BodyBytes)
	positive("Connections", int64(l.Connections))
	positive("HeaderTime", int64(l.HeaderTime))
	positive("BodyTime", int64(l.BodyTime))
	positive("WriteTime", int64(l.WriteTime))
	positive("IdleTime", int64(l.IdleTime))
	positive("StopTime", int64(l.StopTime))
	positive("Reading", int64(l.Reading))
	positive("Verifying", int64(l.Verifying))
	positive("Serving", int64(l.Serving))
	positive("Waiting", int64(l.Waiting))
	positive("Wait", int64(l.Wait))
	positive("ReplaysPerHotkey", int64(l.ReplaysPerHotkey))
	positive("Replays", int64(l.Replays))
	positive("Tracked", int64(l.Tracked))
	return errors.Join(errs...)
}

// WithLimits sets the limits.
func WithLimits(limits Limits) Option {
	return serverOption(func(cfg *config) error {
		cfg.limits = limits.withDefaults()
		return limits.check()
	})
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
// that reach the dear checks. Behind a reverse proxy all requests have its
// address; an infinite rate is none. Default: 100 per second, 200 at once.
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
				return invalid("WithAllowList", "nil, must be a list; leave the option out to accept every hotkey")
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
			return invalid("WithFreshness", "(%v, %v), must be above zero and at least zero, and at most a minute", past, ahead)
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
				return invalid("WithSchemes", "nil, must be a function; leave the option out for sr25519")
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
				return invalid("WithTarget", "nil, must be a function; leave the option out for the request line")
			}
			return nil
		},
		server: func(cfg *config) { cfg.target = target },
		route:  func(cfg *routeConfig) { cfg.target = target },
	}
}

// WithBTAuth accepts btauth/1 on the route of a synapse class too, so that
// callers can migrate one by one. A [Server.Route] accepts it always.
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
// then no signature covers the body, anybody on the way can replace it, and
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
		for _, method := range methods {
			if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, method) {
				return invalid("WithMethods", "%q, must be GET, HEAD, POST, PUT, PATCH or DELETE", method)
			}
		}
		if len(methods) == 0 {
			return invalid("WithMethods", "no method, must be one at least")
		}
		cfg.methods = slices.Clone(methods)
		return nil
	})
}

// invalid is the error for an option's value.
func invalid(option, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalidOption, option, fmt.Sprintf(format, args...))
}
