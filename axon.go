package organic

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/internal/lifecycle"
	"github.com/organic-scoring/organic/internal/slogzap"
	"github.com/organic-scoring/organic/internal/usercode"
)

// Axon is where organic queries come in: one route of a server that verifies
// requests and calls the [Handlers] it was given.
//
// [New] calls Attach once, after it has checked everything else. Attach must
// not block and must not call the handlers before it has returned. An error of
// it fails New, which then calls the detach functions of the axons that it has
// attached before; nothing else calls them. After detach the axon can be
// attached again. One axon serves one scorer: a second Attach fails.
//
// For each request the axon checks the signature itself, then calls Blacklist,
// Verify, Priority and Forward, in this order and from any goroutine, and
// stops at the first error. [RefusalOf] returns what the requester gets. The
// package contrib/axon is a ready implementation.
type Axon interface {
	Attach(handlers Handlers) (detach func(), err error)
}

// Handlers are the scorer's entry hooks as an axon calls them. All are set,
// safe for concurrent use, never panic, and while the scorer does not run answer
// with a refusal of status 503 (Priority with 0) without reaching a hook. Ctx is
// the request's: a requester who leaves cancels it.
type Handlers struct {
	// Open reports whether the scorer runs, so that an axon can answer 503
	// before it verifies a request, and need not remember it. It may have
	// changed when another handler is called.
	Open func() bool

	Blacklist func(ctx context.Context, synapse *Synapse) error
	Verify    func(ctx context.Context, synapse *Synapse) error
	Priority  func(ctx context.Context, synapse *Synapse) float64
	Forward   func(ctx context.Context, w http.ResponseWriter, synapse *Synapse) error
}

// Protocol names how a request was signed.
type Protocol string

// The protocols that are in use between validators, miners and users.
const (
	Bittensor  Protocol = "bittensor"  // dendrite and axon of the Bittensor SDK
	EpistulaV1 Protocol = "epistula/1" // Epistula with the envelope in the body
	EpistulaV2 Protocol = "epistula/2" // Epistula with headers over the raw body
	BTAuth1    Protocol = "btauth/1"   // signed HTTP of the Bittensor SDK 11
	Bearer     Protocol = "bearer"     // an API key in the Authorization header; not signed
)

// Synapse is one request at an axon. It holds another person's text: printed
// through fmt, zap, slog or encoding/json it shows name, path and size only. It
// is owned by the request; hooks must not change it and must not keep it.
type Synapse struct {
	Name     string   // the synapse's class name, or the route's path
	Path     string   // the URL path
	Protocol Protocol // how the request was signed

	// Requester is who sent the request: the SS58 address of the hotkey, or the
	// name that belongs to a bearer key. Use it as [Sample.Requester].
	Requester string
	Dendrite  Dendrite       // the sender as signed; zero for a bearer key
	Remote    netip.AddrPort // the peer of the connection, or the client behind a trusted proxy

	// Timeout is how long a dendrite says that it waits, zero if it does not say.
	// Other protocols have no such field: for btauth/1 and bearer keys it is the
	// server's own limit.
	Timeout time.Duration

	Header     http.Header // of the request, mostly unsigned, without a bearer key
	Body       []byte      // the body as received
	BodySigned bool        // the signature covers the body, or the hashed fields of its class
}

// Dendrite identifies the sender of a [Synapse].
type Dendrite struct {
	Hotkey  string // SS58 address
	UUID    string // the UUID of the client (Bittensor) or of the request (Epistula v2)
	Nonce   uint64 // Unix time in nanoseconds, or in milliseconds for Epistula v2
	Version int    // the SDK version of a dendrite (not signed), or the version of the protocol
}

// Format writes the synapse without header and body, whatever the verb for
// which fmt calls it.
func (s Synapse) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "synapse %s at %s (%s, %d bytes)", s.Name, s.Path, s.Protocol, len(s.Body))
}

// LogValue gives slog the synapse without header and body.
func (s Synapse) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", s.Name),
		slog.String("path", s.Path),
		slog.String("protocol", string(s.Protocol)),
		slog.Int("size", len(s.Body)),
	)
}

// MarshalLogObject gives zap the synapse without header and body.
func (s Synapse) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return slogzap.AddGroup(enc, s.LogValue())
}

// MarshalJSON encodes what LogValue returns.
func (s Synapse) MarshalJSON() ([]byte, error) { return slogzap.JSON(s.LogValue()) }

// refusalError is the error of Refuse.
type refusalError struct {
	status  int
	message string
}

func (r *refusalError) Error() string {
	return fmt.Sprintf("organic: refused with status %d: %s", r.status, r.message)
}

// Refuse returns the error with which an entry hook turns a request down: the
// requester gets this HTTP status and this message and nothing else. A status
// that is no error (outside 400 to 599) becomes 500.
func Refuse(status int, message string) error {
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	return &refusalError{status: status, message: message}
}

func isRefusal(err error) bool {
	_, ok := usercode.As[*refusalError](err)
	return ok
}

// RefusalOf returns what an axon must answer for an error of its [Handlers]: the
// status and message given to [Refuse], or 500 and the status's own text for
// any other error, whose text is not the requester's to read.
func RefusalOf(err error) (status int, message string) {
	if r, ok := usercode.As[*refusalError](err); ok {
		return r.status, r.message
	}
	return http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)
}

// handlers returns the entry hooks as an axon calls them.
func (e *engine[S, R]) handlers() Handlers {
	return Handlers{
		Open: e.life.Running,
		Blacklist: func(ctx context.Context, synapse *Synapse) error {
			return e.enter(ctx, func(ctx context.Context) error { return e.hooks.Blacklist(ctx, synapse) })
		},
		Verify: func(ctx context.Context, synapse *Synapse) error {
			return e.enter(ctx, func(ctx context.Context) error { return e.hooks.Verify(ctx, synapse) })
		},
		Priority: func(ctx context.Context, synapse *Synapse) (priority float64) {
			_ = e.enter(ctx, func(ctx context.Context) error {
				priority = e.hooks.Priority(ctx, synapse)
				return nil
			})
			if math.IsNaN(priority) {
				return 0
			}
			return priority
		},
		Forward: func(ctx context.Context, w http.ResponseWriter, synapse *Synapse) error {
			return e.enter(ctx, func(ctx context.Context) error {
				return e.hooks.OnOrganicEntry(ctx, w, synapse)
			})
		},
	}
}

// enter calls an entry hook while the scorer runs. A stop waits for it.
func (e *engine[S, R]) enter(ctx context.Context, hook func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(orBackground(ctx))
	unit := &lifecycle.Unit{Cancel: cancel, Started: time.Now()}
	if err := e.life.AdmitRequest(unit); err != nil {
		cancel(nil)
		return Refuse(http.StatusServiceUnavailable, "not serving now")
	}
	err := goexits[StageEntry]
	defer func() { e.leave(ctx, unit, err) }() // also when the hook leaves by runtime.Goexit
	marked := e.caller.Mark(ctx)
	err = usercode.Call(func() error { return hook(marked) }, newPanicError)
	if err != nil {
		err = &StageError{Stage: StageEntry, Err: err}
	}
	return err
}

// leftByRequester reports whether an entry hook says no more than that its
// request has ended, which strangers can bring about at will.
func leftByRequester(ctx context.Context, err error) bool {
	return ctx.Err() != nil && usercode.IsEcho(ctx, err)
}

func (e *engine[S, R]) leave(ctx context.Context, unit *lifecycle.Unit, err error) {
	defer e.life.End(unit)
	if err != nil && !isRefusal(err) && !leftByRequester(ctx, err) {
		took := time.Since(unit.Started)
		e.reporter.report(Event{Kind: EventEntryFailed, Stage: StageEntry, Duration: took, Err: err})
	}
}
