// Package option has what constructors need to check their options.
package option

import (
	"fmt"
	"reflect"
)

// Invalid returns the error of an option, which wraps sentinel and says what
// would be right.
func Invalid(sentinel error, option, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", sentinel, option, fmt.Sprintf(format, args...))
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
