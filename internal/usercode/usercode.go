// Package usercode calls functions that users of the library supply. A panic,
// a runtime.Goexit and an error that panics when it is inspected become errors
// of the caller; they end neither the process nor the caller's goroutine.
package usercode

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Call calls fn in the caller's goroutine and returns its error. The value of a
// panic is passed to onPanic, whose result is returned. An error that panics
// when it is inspected, as a nil pointer in an error variable does, counts as a
// panic.
func Call(fn func() error, onPanic func(value any) error) (err error) {
	defer Recover(&err, onPanic)
	return fn()
}

// Recover is what Call does, for a function that calls user code itself: it
// defers Recover with its own error.
func Recover(err *error, onPanic func(value any) error) {
	if value := recover(); value != nil {
		*err = onPanic(value)
		return
	}
	if *err != nil {
		*err = probed(*err, onPanic)
	}
}

// probed returns err, or the error of a panic when err is inspected.
func probed(err error, onPanic func(value any) error) (result error) {
	defer func() {
		if value := recover(); value != nil {
			result = onPanic(value)
		}
	}()
	probe(err)
	return err
}

// CallIsolated calls fn as Call does, but in a goroutine of its own, for which it
// waits. It returns onGoexit if fn leaves that goroutine by runtime.Goexit.
func CallIsolated(fn func() error, onPanic func(value any) error, onGoexit error) error {
	err := onGoexit
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = Call(fn, onPanic)
	}()
	<-ended
	return err
}

// CallAbandonable calls fn as CallIsolated does, but no longer waits for it when
// ctx has ended and patience is over: it then returns false. The gauge counts
// such calls until they return.
func CallAbandonable(
	ctx context.Context, patience time.Duration, gauge *atomic.Int64,
	fn func() error, onPanic func(value any) error, onGoexit error,
) (returned bool, err error) {
	call := &abandonable{err: onGoexit, returned: make(chan struct{}), gauge: gauge}
	go func() {
		defer call.end()
		call.err = Call(fn, onPanic)
	}()
	select {
	case <-call.returned:
		return true, call.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-call.returned:
	case <-timer.C:
		if call.abandon() {
			return false, nil
		}
	}
	return true, call.err
}

// abandonable is a call that may be abandoned.
type abandonable struct {
	err      error         // to be read once returned is closed
	returned chan struct{} // closed when the call has returned
	gauge    *atomic.Int64

	mu        sync.Mutex // guards the fields below, and the closing of returned
	ended     bool
	abandoned bool
}

func (c *abandonable) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	close(c.returned)
	if c.abandoned {
		c.gauge.Add(-1)
	}
}

// abandon returns false if the call has returned meanwhile.
func (c *abandonable) abandon() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.abandoned = true
	c.gauge.Add(1)
	return true
}

// Ignore calls fn and ignores a panic.
func Ignore(fn func()) {
	defer func() { _ = recover() }()
	fn()
}

// IgnoreIsolated calls fn in a goroutine of its own, for which it waits, and
// ignores a panic.
func IgnoreIsolated(fn func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Ignore(fn)
	}()
	<-ended
}

// Stepper has something to do in several steps.
type Stepper interface {
	// Step does what comes next and reports whether there is more. It notes its
	// progress before it calls user code.
	Step() (more bool)
}

// StepFunc makes a function a [Stepper].
type StepFunc func() (more bool)

// Step calls f.
func (f StepFunc) Step() (more bool) { return f() }

// Sequence calls Step until it returns false. If Step leaves its goroutine by
// runtime.Goexit, Sequence goes on with the next call in a new goroutine and
// waits for the end of the sequence before the first goroutine ends.
func Sequence(s Stepper) {
	more := true
	defer func() {
		if !more {
			return
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Sequence(s)
		}()
		<-ended
	}()
	for more {
		more = s.Step()
	}
}
