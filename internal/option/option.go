// Package option has what constructors need to check their options.
package option

import (
	"errors"
	"fmt"
	"reflect"
)

// Invalid returns the error of an option, which wraps sentinel and says what
// would be right.
func Invalid(sentinel error, option, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", sentinel, option, fmt.Sprintf(format, args...))
}

// Problems collects all that is wrong with an option.
type Problems []string

// Add adds a problem.
func (p *Problems) Add(format string, args ...any) {
	*p = append(*p, fmt.Sprintf(format, args...))
}

// If adds a problem if something is wrong.
func (p *Problems) If(wrong bool, format string, args ...any) {
	if wrong {
		p.Add(format, args...)
	}
}

// InvalidAll returns the errors of an option, joined, or nil if it has no problem.
func InvalidAll(sentinel error, option string, problems Problems) error {
	errs := make([]error, len(problems))
	for i, problem := range problems {
		errs[i] = Invalid(sentinel, option, "%s", problem)
	}
	return errors.Join(errs...)
}

// IsNil reports whether an interface holds nothing, or a nil pointer, map,
// function, channel or slice.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	switch value := reflect.ValueOf(v); value.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice, reflect.Interface:
		return value.IsNil()
	default:
		return false
	}
}
