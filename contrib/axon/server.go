package axon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/organic-scoring/organic/contrib/axon/internal/gate"
	"github.com/organic-scoring/organic/contrib/axon/internal/replay"
)

// Server is an axon: it takes signed requests for one hotkey on any number of
// routes, verifies them, and passes them to the scorers that are attached to
// the routes. It is an [http.Handler], to be mounted on any mux, or serves by
// itself: see [Server.ListenAndServe].
//
// All routes share one memory of what was taken, one waiting room and the same
// limits. A Server is safe for concurrent use.
type Server struct {
	cfg           config
	address       string // our own hotkey
	started       time.Time
	largestWindow time.Duration

	senders   senders
	addresses buckets[netip.Prefix]
	hotkeys   buckets[keys.Hotkey]
	replays   *replay.Memory
	uptimes   *replay.Counters
	reading   *places       // for bodies that are being read and checked
	verifying chan struct{} // a place for each signature that is being verified
	guarding  chan struct{} // a place for each verified request in the hooks before the gate
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
	hotkeys, err3 := lru.New[keys.Hotkey, *rate.Limiter](limits.Tracked)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return &Server{
		cfg:           cfg,
		address:       hotkey.String(),
		started:       cfg.now().Truncate(time.Millisecond), // Epistula's stamps are no finer
		largestWindow: max(bittensorWindow+cfg.timeoutCap, epistula2Window, epistula1Window),
		senders:       senders{proven},
		addresses:     buckets[netip.Prefix]{cfg.addressRate.limit(), cfg.addressRate.burst, addresses},
		hotkeys:       buckets[keys.Hotkey]{cfg.hotkeyRate.limit(), cfg.hotkeyRate.burst, hotkeys},
		replays:       replay.New(limits.ReplaysPerHotkey, limits.Replays),
		uptimes:       replay.NewCounters(uptimesPerHotkey, limits.Tracked),
		reading:       newPlaces(limits.Reading),
		verifying:     make(chan struct{}, limits.Verifying),
		guarding:      make(chan struct{}, limits.Waiting),
		gate:          gate.New(limits.Serving, limits.Waiting),
		routes:        make(map[string]*Route),
	}, nil
}

// ServeHTTP answers one request: see the package comment for the checks and
// their order.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := &answer{writer: w, request: r, limits: &s.cfg.limits, began: time.Now()}
	s.boundBody(answer)
	answer.restDeadline()
	if no := s.serve(answer, r); no != nil {
		s.refuse(answer, r, no)
		return
	}
	s.counts.served.Add(1)
	if err := answer.end(); err != nil {
		panic(http.ErrAbortHandler) // the client has left, or must not take this for the whole
	}
}

// boundBody gives the body its time to arrive, be it wanted or not: net/http
// reads what is left of a body before it sends an answer, and would wait for it
// without end.
func (s *Server) boundBody(answer *answer) {
	if body := answer.request.Body; body == nil || body == http.NoBody {
		return
	}
	deadline := answer.began.Add(s.cfg.limits.BodyTime)
	_ = http.NewResponseController(answer.writer).SetReadDeadline(deadline) // a writer without deadlines has its own
}

// serve takes a request as far as it comes.
func (s *Server) serve(answer *answer, r *http.Request) *refusal {
	route, no := s.route(r)
	if no != nil {
		if route != nil {
			answer.writer.Header().Set("Allow", strings.Join(route.cfg.methods, ", "))
		}
		return no
	}
	if route.class != nil {
		answer.name = route.name
	}
	handlers := route.handlers.Load()
	if handlers == nil || !handlers.Open() {
		return closed
	}
	synapse, no := s.verify(answer.writer, r, route)
	if no != nil {
		return no
	}
	s.counts.verified.Add(1)
	answer.class = route.class
	return s.enter(answer, r, handlers, synapse)
}

func (s *Server) route(r *http.Request) (*Route, *refusal) {
	s.mu.RLock()
	route := s.routes[r.URL.Path]
	s.mu.RUnlock()
	switch {
	case route == nil:
		return nil, noRoute
	case !slices.Contains(route.cfg.methods, r.Method):
		return route, noMethod
	}
	return route, nil
}

// enter calls the hooks for a verified request, when its turn has come.
func (s *Server) enter(answer *answer, r *http.Request, handlers *organic.Handlers, synapse *organic.Synapse) (no *refusal) {
	defer s.contain(r, &no)
	ctx := r.Context()
	priority, no := s.guard(ctx, handlers, synapse)
	if no != nil {
		return no
	}
	wait := s.cfg.limits.Wait
	if synapse.Timeout > 0 {
		wait = min(wait, synapse.Timeout)
	}
	err := s.gate.Enter(ctx, priority, wait-time.Since(answer.began))
	switch {
	case errors.Is(err, gate.ErrFull):
		return tooManyWait
	case errors.Is(err, gate.ErrTimeout):
		return waitedEnough
	case err != nil:
		return gone
	}
	defer s.gate.Leave()
	err = handlers.Forward(ctx, answer, synapse)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return gone
	}
	return refusalOf(err, handlers)
}

// guard calls the hooks that come before the gate.
func (s *Server) guard(ctx context.Context, handlers *organic.Handlers, synapse *organic.Synapse) (priority float64, no *refusal) {
	select {
	case s.guarding <- struct{}{}:
		defer func() { <-s.guarding }()
	default:
		return 0, tooManyWait
	}
	if err := handlers.Blacklist(ctx, synapse); err != nil {
		return 0, refusalOf(err, handlers)
	}
	if err := handlers.Verify(ctx, synapse); err != nil {
		return 0, refusalOf(err, handlers)
	}
	return priorityOf(handlers.Priority(ctx, synapse)), nil
}

// refusalOf is what a requester gets for the error of a handler.
func refusalOf(err error, handlers *organic.Handlers) *refusal {
	status, message := organic.RefusalOf(err)
	switch {
	case status == http.StatusInternalServerError && message == http.StatusText(status):
		return failed
	case status == http.StatusServiceUnavailable && !handlers.Open():
		return closed // the scorer has stopped meanwhile
	}
	return newRefusal(ReasonHook, status, message)
}

// contain makes a failure of a panic in handlers that are no scorer's; those
// contain their own.
func (s *Server) contain(r *http.Request, no **refusal) {
	value := recover()
	switch value {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(value)
	}
	s.cfg.logger.Error("handler panicked", zap.String("type", fmt.Sprintf("%T", value)), zap.String("path", r.URL.Path), zap.Stack("stack"))
	*no = failed
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
