package axon

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/organic-scoring/organic/contrib/keys"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/organic-scoring/organic/contrib/axon/internal/fair"
	"github.com/organic-scoring/organic/contrib/axon/internal/gate"
	"github.com/organic-scoring/organic/contrib/axon/internal/replay"
)

// Server is an axon: it takes signed requests for one hotkey on any number of
// routes, verifies them, and passes them to the scorers that are attached to
// the routes. It is an [http.Handler], to be mounted on any mux, or serves by
// itself: see [Server.ListenAndServe].
//
// All routes share one memory of what was taken, one waiting line and the same
// limits. A Server is safe for concurrent use.
type Server struct {
	cfg           config
	address       string // our own hotkey
	started       time.Time
	largestWindow time.Duration

	senders   senders
	addresses buckets[netip.Prefix]
	parties   buckets[party]
	replays   *replay.Memory
	reading   *fair.Pool[netip.Prefix, *upload] // large bodies that are being read and checked
	verifying chan struct{}                     // an element for each signature that is being verified
	guarding  *fair.Pool[string, *answer]       // verified requests in the hooks before the gate
	gate      *gate.Gate
	counts    counters

	mu     sync.RWMutex // guards routes
	routes map[string]*Route
}

// New returns the axon of a hotkey: requests have to be signed for it. All
// that is wrong with the options is reported at once.
//
// A new server refuses what was signed before it was made, since a server before
// it may have taken that already; and when the clock is set back it refuses,
// as stale, until the clock has caught up. So let the clock be right before the
// server is made.
func New(hotkey keys.Hotkey, opts ...Option) (*Server, error) {
	cfg := config{
		limits:      Limits{}.withDefaults(),
		timeoutCap:  12 * time.Second,
		past:        10 * time.Second,
		ahead:       2 * time.Second,
		hotkeyRate:  rateConfig{100, 200},
		addressRate: rateConfig{100, 200},
		logger:      zap.NewNop(),
		now:         time.Now,
	}
	var errs []error
	if hotkey == (keys.Hotkey{}) {
		errs = append(errs, invalid("New", "the hotkey is all zero, must be the validator's own"))
	}
	for _, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid("New", "an option is nil"))
			continue
		}
		errs = append(errs, opt.applyServer(&cfg))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return build(hotkey, cfg)
}

func build(hotkey keys.Hotkey, cfg config) (*Server, error) {
	limits := cfg.limits
	proven, err1 := lru.New[string, sender](limits.Tracked)
	addresses, err2 := lru.New[netip.Prefix, *rate.Limiter](limits.Tracked)
	parties, err3 := lru.New[party, *rate.Limiter](limits.Tracked)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return &Server{
		cfg:     cfg,
		address: hotkey.String(),
		started: cfg.now().Truncate(time.Millisecond), // Epistula's stamps are no finer
		largestWindow: max(
			dendriteWindow+cfg.timeoutCap, epistula2Window, epistula1Window, cfg.past+cfg.ahead),
		senders:   senders{proven},
		addresses: buckets[netip.Prefix]{cfg.addressRate.limit(), cfg.addressRate.burst, addresses},
		parties:   buckets[party]{cfg.hotkeyRate.limit(), cfg.hotkeyRate.burst, parties},
		replays:   replay.New(limits.ReplaysPerHotkey, limits.Replays),
		reading:   fair.New[netip.Prefix](limits.Reading, readingGrace, (*upload).interrupt),
		verifying: make(chan struct{}, limits.Verifying),
		guarding:  fair.New[string](limits.Waiting, 0, (*answer).evict),
		gate:      gate.New(limits.Serving, limits.Waiting),
		routes:    make(map[string]*Route),
	}, nil
}

// ServeHTTP answers one request: see the package comment for the checks and
// their order.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := &answer{writer: w, request: r, limits: &s.cfg.limits, began: time.Now()}
	if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
		// There may have been a length beside the chunks, which net/http has removed: a
		// proxy that went by it takes what follows for something else than we do.
		w.Header().Set(connection, "close")
	}
	answer.boundBody()
	answer.restDeadline()
	returned := false
	defer func() {
		if !returned { // a hook has left by http.ErrAbortHandler or runtime.Goexit
			s.counts.refused(ReasonFailed)
		}
	}()
	no := s.serve(answer, r)
	returned = true
	if no != nil {
		s.refuse(answer, r, no)
		return
	}
	if answer.broken {
		panic(http.ErrAbortHandler) // the client has left, or must not take this for the whole
	}
}

// serve takes a request as far as it comes. Panics of functions of the validator's are
// contained.
func (s *Server) serve(answer *answer, r *http.Request) (no *refusal) {
	defer s.contain(r, &no)
	route, no := s.route(r)
	if no != nil {
		answer.legacy = !btauth.spokenBy(r.Header)
		if route != nil {
			answer.writer.Header().Set("Allow", strings.Join(route.cfg.methods, ", "))
		}
		return no
	}
	protocol := route.protocol(r.Header)
	answer.legacy = protocol.isLegacy()
	if protocol == dendrite {
		answer.name = route.name
	}
	handlers := route.handlers.Load()
	if handlers == nil || !handlers.Open() {
		return closed
	}
	synapse, no := s.verify(answer, route, protocol)
	if no != nil {
		return no
	}
	s.counts.verified.Add(1)
	conn := connOf(r)
	conn.pin()
	defer conn.unpin()
	if protocol == dendrite {
		answer.class = route.class
	}
	return s.enter(answer, r, handlers, synapse)
}

func (s *Server) route(r *http.Request) (*Route, *refusal) {
	s.mu.RLock()
	route := s.routes[rawPath(r.URL)]
	s.mu.RUnlock()
	switch {
	case route == nil, r.URL.Scheme != "" && r.URL.Host == "": // x:/path is no target
		return nil, noRoute
	case !slices.Contains(route.cfg.methods, r.Method):
		return route, noMethod
	}
	return route, nil
}

// rawPath is the path before decoding.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// refuse answers a refusal. It breaks the connection when an answer is on its
// way already, which is the only way left for the client to see it.
func (s *Server) refuse(answer *answer, r *http.Request, no *refusal) {
	s.counts.refused(no.reason)
	s.log("refused", r, no.reason)
	if answer.sent {
		panic(http.ErrAbortHandler)
	}
	answer.refuse(no)
}

func (s *Server) log(message string, r *http.Request, reason Reason) {
	if entry := s.cfg.logger.Check(zap.DebugLevel, message); entry != nil {
		entry.Write(zap.String("reason", string(reason)), zap.String("remote", r.RemoteAddr))
	}
}
