package organictest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/organic-scoring/organic"
)

var errAttached = errors.New("organictest: axon is attached already")

// Axon is a fake [organic.Axon]: requests come from [Axon.Ask] instead of a
// socket, and no signature is checked. The zero value is ready for one
// scorer. It is safe for concurrent use and must not be copied.
type Axon struct {
	// AttachErr, when not nil, is what Attach answers. Set it before use.
	AttachErr error

	mu       sync.Mutex // guards handlers and attached
	handlers organic.Handlers
	attached bool
}

var _ organic.Axon = (*Axon)(nil)

// Attach keeps the handlers. As with a real axon, a second one is refused.
func (a *Axon) Attach(handlers organic.Handlers) (detach func(), err error) {
	if a.AttachErr != nil {
		return nil, a.AttachErr
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.attached {
		return nil, errAttached
	}
	if handlers.Open == nil {
		handlers.Open = func() bool { return true }
	}
	a.handlers, a.attached = handlers, true
	return a.detach, nil
}

func (a *Axon) detach() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handlers, a.attached = organic.Handlers{}, false
}

// Handlers returns what was attached, to be called one by one. Its functions
// are nil as long as no scorer is attached.
func (a *Axon) Handlers() organic.Handlers {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.handlers
}

// Ask passes a request to the scorer as a real axon does: Blacklist, Verify,
// Priority, Forward, up to the first error, which [organic.RefusalOf] puts
// into a status and a text. It returns what the requester gets. When Forward
// fails with bytes out already, these stand, as far as they got. Without a
// scorer the answer is 503.
//
// Ask returns when Forward has; ctx is the request's, and its end a requester
// who has left. Several requests may run at once.
func (a *Axon) Ask(ctx context.Context, synapse *organic.Synapse) (status int, body []byte) {
	answer := &answer{recorder: httptest.NewRecorder()}
	if err := a.serve(ctx, answer, synapse); err != nil && !answer.begun {
		status, message := organic.RefusalOf(err)
		return status, []byte(message)
	}
	return answer.recorder.Code, answer.recorder.Body.Bytes()
}

func (a *Axon) serve(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	handlers := a.Handlers()
	if handlers.Forward == nil {
		return organic.Refuse(http.StatusServiceUnavailable, "no scorer is attached")
	}
	if err := handlers.Blacklist(ctx, synapse); err != nil {
		return err
	}
	if err := handlers.Verify(ctx, synapse); err != nil {
		return err
	}
	handlers.Priority(ctx, synapse)
	return handlers.Forward(ctx, w, synapse)
}

// answer records a response and whether it has begun.
type answer struct {
	recorder *httptest.ResponseRecorder
	begun    bool
}

// Header is the answer's.
func (a *answer) Header() http.Header { return a.recorder.Header() }

// WriteHeader begins the answer.
func (a *answer) WriteHeader(status int) {
	if status < http.StatusOK {
		return // informational: the answer is still to come
	}
	a.begun = true
	a.recorder.WriteHeader(status)
}

// Write begins the answer, or goes on with it.
func (a *answer) Write(data []byte) (int, error) {
	a.begun = true
	return a.recorder.Write(data)
}

// WriteString makes io.WriteString as fast as with a real response.
func (a *answer) WriteString(text string) (int, error) {
	a.begun = true
	return io.WriteString(a.recorder, text)
}

// Flush lets a hook stream.
func (a *answer) Flush() {
	a.begun = true
	a.recorder.Flush()
}
