package axon

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"time"

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

type config struct {
	limits       Limits
	timeoutCap   time.Duration
	hotkeyRate   rateConfig
	addressRate  rateConfig
	allowed      *AllowList
	logger       *zap.Logger
	now          func() time.Time
	wrappedBytes bool
	uptimeNonces bool
}

type routeConfig struct {
	allowed      *AllowList
	methods      []string
	unhashedBody bool
	unaddressed  bool
	version1     bool
}

// uptimesPerHotkey is how many clients of one hotkey may send uptime nonces.
const uptimesPerHotkey = 100

type rateConfig struct {
	perSecond float64
	burst     int
}

// Limits bound what requests may cost. A field that is zero has its default.
type Limits struct {
	HeaderBytes int   // names and values of a request's header together; 16 KiB
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
	fill(&l.HeaderBytes, 16<<10)
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

// WithAllowList lets only hotkeys on the list in; the list may change at any
// time. A route's own list takes the place of the server's. Default:
// everybody who can sign.
func WithAllowList(list *AllowList) SharedOption { return allowListOption{list} }

type allowListOption struct{ list *AllowList }

func (o allowListOption) applyServer(cfg *config) error {
	cfg.allowed = o.list
	return o.check()
}

func (o allowListOption) applyRoute(cfg *routeConfig) error {
	cfg.allowed = o.list
	return o.check()
}

func (o allowListOption) check() error {
	if o.list == nil {
		return invalid("WithAllowList", "nil, must be a list; leave the option out to let everybody in")
	}
	return nil
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

// WithUptimeNonces takes requests of the SDK before 7.2, whose nonce is the
// sender's uptime and no date: it must be higher than the last one of the same
// hotkey and UUID. Such a request never grows stale. Whoever recorded it can
// send it again after the server has restarted, so ask your requesters to
// upgrade instead. Until the next restart a hotkey can use 100 UUIDs, and all
// together as many as [Limits] tracks; then new ones are refused.
func WithUptimeNonces() Option {
	return serverOption(func(cfg *config) error {
		cfg.uptimeNonces = true
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

// WithUnaddressed takes Epistula requests that name no receiver: whoever gets
// one can pass it on to any other server that takes such requests.
func WithUnaddressed() RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		cfg.unaddressed = true
		return nil
	})
}

// WithEpistulaV1 takes requests of Epistula's version 1 on a route, beside
// those of version 2.
func WithEpistulaV1() RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		cfg.version1 = true
		return nil
	})
}

// WithMethods sets the methods of an Epistula route. The method is not signed.
// Default: POST.
func WithMethods(methods ...string) RouteOption {
	return routeOption(func(cfg *routeConfig) error {
		for _, method := range methods {
			if !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, method) {
				return invalid("WithMethods", "%q, must be GET, POST, PUT, PATCH or DELETE", method)
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
