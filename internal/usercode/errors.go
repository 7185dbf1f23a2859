package usercode

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/organic-scoring/organic/internal/option"
)

// Inspect returns the result of fn, or the zero value if fn panics. It is for
// reading errors and other values whose methods are user code.
func Inspect[T any](fn func() T) (value T) {
	defer func() { _ = recover() }()
	return fn()
}

// As is errors.AsType for an error whose methods may panic. An As method that
// returns true and has set nothing has found nothing.
func As[E error](err error) (E, bool) {
	type found struct {
		err E
		ok  bool
	}
	result := Inspect(func() found {
		e, ok := errors.AsType[E](err)
		return found{e, ok && !option.IsNil(e)}
	})
	return result.err, result.ok
}

// Is is errors.Is for an error whose methods may panic.
func Is(err, target error) bool {
	return Inspect(func() bool { return errors.Is(err, target) })
}

// Text returns the text of an error whose Error method may panic.
func Text(err error) string { return Inspect(err.Error) }

// IsSame reports whether two errors are the same value, and not nil.
func IsSame(err, other error) bool {
	return other != nil && err == other //nolint:errorlint // not a search of the tree
}

// IsEcho reports whether an error says no more than that ctx has ended: it is
// the error of ctx, its cause, or another one's cancellation. Of joined errors,
// all must. An error that panics when it is inspected is no echo.
func IsEcho(ctx context.Context, err error) bool {
	return Inspect(func() bool { return echoes(err, context.Cause(ctx), ctx.Err()) })
}

func echoes(err, cause, ended error) bool {
	if reflect.ValueOf(cause).Comparable() && err == cause { //nolint:errorlint // walks the tree
		return true
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() []error }:
		joined := e.Unwrap()
		other := func(err error) bool { return !echoes(err, cause, ended) }
		return len(joined) > 0 && !slices.ContainsFunc(joined, other)
	case interface{ Unwrap() error }:
		return echoes(e.Unwrap(), cause, ended)
	default:
		return errors.Is(err, context.Canceled) || err != nil && errors.Is(err, ended)
	}
}

// maxErrors bounds the tree of an error. A tree that contains itself has no end;
// one that joins what happened with each of the miners is large.
const maxErrors = 100_000

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
