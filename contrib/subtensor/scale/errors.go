package scale

import (
	"errors"
	"fmt"
)

// Errors that a caller can act on; compare with errors.Is.
var (
	// ErrVersion is returned by Parse for metadata of a version other than 15 and 16.
	ErrVersion = errors.New("scale: unsupported metadata version")
	// ErrMalformed is returned for bytes that are not what the metadata describes, and for metadata
	// that is damaged.
	ErrMalformed = errors.New("scale: malformed input")
	// ErrType is returned when a Go value does not fit the type that the metadata declares.
	ErrType = errors.New("scale: types do not match")
	// ErrExtension is returned by Payload for a signed extension that is unknown and has content:
	// signing without it would give a bad signature, or agree to something unknown.
	ErrExtension = errors.New("scale: unknown signed extension")
	// ErrNotFound is what every [NotFoundError] wraps.
	ErrNotFound = errors.New("scale: not in the metadata")
)

// NotFoundError is returned when the metadata has no item of a name: the runtime is older or newer
// than the code that asks. It wraps [ErrNotFound].
type NotFoundError struct {
	Kind string // "pallet", "storage item", "call", "constant", "runtime API", "field", …
	Name string // "SubtensorModule.LastEpochBlock"
}

// Error names the missing item.
func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%v: %s %s", ErrNotFound, e.Kind, e.Name)
}

// Unwrap returns ErrNotFound.
func (e *NotFoundError) Unwrap() error { return ErrNotFound }

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrType, fmt.Sprintf(format, args...))
}
