package pyjson

import "errors"

// ErrBody says that a body cannot be hashed. What wraps it names the class's
// field and the fault, never any text of the body.
var ErrBody = errors.New("axon: bad body")

// faultError is what is wrong with a JSON text.
type faultError string

func (f faultError) Error() string { return string(f) }

const (
	errDepth     = faultError("nested too deep")
	errUTF8      = faultError("not valid UTF-8")
	errSyntax    = faultError("not valid JSON")
	errSurrogate = faultError("half a surrogate pair")
	errObject    = faultError("not a JSON object")
	errDoubled   = faultError("a key comes twice")
	errCase      = faultError("a key differs from a field's name by case only")
	errMissing   = faultError("missing")
	errType      = faultError("not of the declared type")
	errNumber    = faultError("a number is too long")
	errRange     = faultError("a number is beyond a double's range")
	errLong      = faultError("its Python text is too long")
)
