// Package hookctx is the ctx of a hook: it says who calls the hook, carries the
// annotations of an iteration, and may have a deadline that costs a timer only
// if the hook waits for it.
package hookctx

import (
	"context"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Caller is who calls hooks. It is known by its address.
type Caller struct{ _ byte }

// Has reports whether ctx is one that the caller has given to user code.
func (c *Caller) Has(ctx context.Context) bool { return ctx.Value(c) != nil }

// Mark returns a ctx for user code that does not belong to an iteration: it
// carries no annotations.
func (c *Caller) Mark(ctx context.Context) context.Context {
	return &Context{Context: ctx, caller: c, annotations: annotations{frozen: true}}
}

// Context is the ctx of the hooks of one iteration. It must not be copied once
// it is in use.
type Context struct {
	context.Context //nolint:containedctx // is a ctx itself

	caller      *Caller
	annotations annotations
}

// New returns the ctx of the hooks of an iteration.
func New(ctx context.Context, caller *Caller) Context {
	return Context{Context: ctx, caller: caller}
}

// Value finds the caller, the annotations, and what else is in the ctx.
func (c *Context) Value(key any) any {
	switch key {
	case c.caller:
		return c.caller
	case annotationsKey{}:
		return &c.annotations
	default:
		return c.Context.Value(key)
	}
}

// Format writes no annotation, whatever the verb: they are the hook's.
func (c *Context) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "ctx of a hook") }

type annotationsKey struct{}

// annotations belong to one iteration.
type annotations struct {
	mu     sync.Mutex // guards the fields below
	values map[string]any
	frozen bool
}

// Annotate adds a value to the annotations that ctx carries. It does nothing if
// there are none, or once they are frozen.
func Annotate(ctx context.Context, key string, value any) {
	a, ok := ctx.Value(annotationsKey{}).(*annotations)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.frozen {
		return
	}
	if a.values == nil {
		a.values = make(map[string]any)
	}
	a.values[key] = value
}

// Annotations returns a copy of the annotations that ctx carries, or nil.
func Annotations(ctx context.Context) map[string]any {
	a, ok := ctx.Value(annotationsKey{}).(*annotations)
	if !ok {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.values)
}

// Freeze ends the annotating and returns the annotations.
func (c *Context) Freeze() map[string]any {
	a := &c.annotations
	a.mu.Lock()
	defer a.mu.Unlock()
	a.frozen = true
	return maps.Clone(a.values)
}

// Timed is the ctx of a hook with a deadline. It starts a timer only if the hook
// asks for Done, or derives another ctx from it.
type Timed struct {
	*Context

	deadline time.Time // zero: none
	once     sync.Once
	started  atomic.Pointer[cancellable] // nil until Done is called
}

type cancellable struct {
	context.Context //nolint:containedctx // is a ctx itself

	cancel context.CancelFunc
}

// WithDeadline returns a ctx that ends at a deadline, if that is not zero, and
// at the latest when End is called.
func WithDeadline(ctx *Context, deadline time.Time) *Timed {
	return &Timed{Context: ctx, deadline: deadline}
}

// Deadline returns the earlier of this deadline and that of the hook's ctx.
func (t *Timed) Deadline() (time.Time, bool) {
	outer, ok := t.Context.Deadline()
	if t.deadline.IsZero() || ok && outer.Before(t.deadline) {
		return outer, ok
	}
	return t.deadline, true
}

// Done starts the timer.
func (t *Timed) Done() <-chan struct{} { return t.start().Done() }

// Err starts no timer as long as the deadline has not passed.
func (t *Timed) Err() error {
	over := !t.deadline.IsZero() && !time.Now().Before(t.deadline)
	if t.started.Load() == nil && t.Context.Err() == nil && !over {
		return nil
	}
	return t.start().Err()
}

// Value lets the context package find the ctx whose Done channel this one has.
func (t *Timed) Value(key any) any {
	if started := t.started.Load(); started != nil {
		return started.Value(key)
	}
	return t.Context.Value(key)
}

func (t *Timed) start() *cancellable {
	t.once.Do(func() {
		started := &cancellable{}
		if t.deadline.IsZero() {
			started.Context, started.cancel = context.WithCancel(t.Context)
		} else {
			started.Context, started.cancel = context.WithDeadline(t.Context, t.deadline)
		}
		t.started.Store(started)
	})
	return t.started.Load()
}

// ended is what a ctx becomes whose hook has returned without using it.
var ended = func() *cancellable {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &cancellable{Context: ctx, cancel: cancel}
}()

// End ends the ctx and releases the timer, once the hook has returned.
func (t *Timed) End() {
	t.once.Do(func() { t.started.Store(ended) })
	t.started.Load().cancel()
}
