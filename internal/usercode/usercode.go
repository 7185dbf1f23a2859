// Package usercode calls functions that users of the library supply. A panic,
// a runtime.Goexit and an error that panics when it is inspected become errors
// of the caller; they end neither the process nor the caller's goroutine.
package usercode

import "errors"

// Call calls fn in the caller's goroutine and returns its error. The value of a
// panic is passed to onPanic, whose result is returned. An error that panics
// when it is inspected, as a nil pointer in an error variable does, counts as a
// panic.
func Call(fn func() error, onPanic func(value any) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = onPanic(value)
		}
	}()
	err = fn()
	if err != nil {
		probe(err)
	}
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

// Inspect returns the result of fn, or the zero value if fn panics. It is for
// reading errors and other values whose methods are user code.
func Inspect[T any](fn func() T) (value T) {
	defer func() { _ = recover() }()
	return fn()
}

// As is errors.AsType for an error whose methods may panic.
func As[E error](err error) (E, bool) {
	type found struct {
		err E
		ok  bool
	}
	result := Inspect(func() found {
		e, ok := errors.AsType[E](err)
		return found{e, ok}
	})
	return result.err, result.ok
}

// Is is errors.Is for an error whose methods may panic.
func Is(err, target error) bool {
	return Inspect(func() bool { return errors.Is(err, target) })
}

// Text returns the text of an error whose Error method may panic.
func Text(err error) string { return Inspect(err.Error) }

// maxErrors bounds the tree of an error. A tree that contains itself has no end.
const maxErrors = 1000

// probe calls all methods by which an error is inspected, and panics if its tree
// is too large.
func probe(err error) {
	left := maxErrors
	probeTree(err, &left)
	_ = err.Error()
}

func probeTree(err error, left *int) {
	if *left--; *left < 0 {
		panic("the tree of the error is too large, or contains itself")
	}
	if e, ok := err.(interface{ Is(target error) bool }); ok {
		e.Is(errProbe)
	}
	if e, ok := err.(interface{ As(target any) bool }); ok {
		var target *probeError
		e.As(&target)
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			probeTree(inner, left)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if inner != nil {
				probeTree(inner, left)
			}
		}
	}
}

// probeError is in no error.
type probeError struct{}

func (*probeError) Error() string { return "" }

var errProbe = &probeError{}
