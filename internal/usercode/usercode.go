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

// Sequence calls step until it returns false. If step leaves its goroutine by
// runtime.Goexit, Sequence goes on with the next call in a new goroutine and
// waits for the end of the sequence before the first goroutine ends. So each
// step must note its progress before it calls user code.
func Sequence(step func() (more bool)) {
	more := true
	defer func() {
		if !more {
			return
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Sequence(step)
		}()
		<-ended
	}()
	for more {
		more = step()
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

// target is in no error, so that looking for it visits every error of a tree.
type target struct{}

func (*target) Error() string { return "" }

// probe calls all methods of an error by which it is inspected.
func probe(err error) {
	_ = err.Error()
	_ = errors.Is(err, (*target)(nil))
	_, _ = errors.AsType[*target](err)
}
