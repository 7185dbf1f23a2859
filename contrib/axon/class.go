package axon

import (
	"github.com/organic-scoring/organic/contrib/axon/internal/pyjson"
)

// ErrBadBody says that the body of a request to a [Class] cannot be hashed: it
// is no JSON object, lacks a hashed field, has one twice, holds a value that is
// not of the declared type, or one that Python and Go would read differently.
// The text of an error that wraps it names the class's field and the fault, and
// has no part of the body.
var ErrBadBody = pyjson.ErrBody

// ErrBadClass says that a [Class] contradicts itself or the rules of [Class]
// and [Field].
var ErrBadClass = pyjson.ErrClass

// Class describes a synapse class of the Bittensor SDK, as far as its body
// hash and its headers need it. The signature of a request covers the values of
// the hashed fields and nothing else of the body. It does not cover their types
// either: null, "None" and an [Any] that is one of them have the same text, as
// have 3 and "3". So state the type of every hashed field; strings are safest.
//
// Some Python types cannot be expressed, because JSON does not carry what
// Python's str prints: a dict whose keys are not str (str prints {1: 'a'}, JSON
// has "1"), an Enum or a (str, Enum) (str prints the member, as Color.RED), and
// date, Decimal, UUID, bytes, set, tuple and custom __str__. Requests with such a
// hashed field fail with status 401, reason body-hash. Hash a str field in their
// place, or let callers use btauth/1, which signs the whole body.
//
// A Class is a plain value; its methods are safe for concurrent use as long as
// its slices are not changed.
type Class struct {
	Name   string  // the class's name, an ASCII identifier; its route is /Name
	Hashed []Field // in the order of the class's required_hash_fields
	Other  []Field // the other fields that have no default
}

// Field is one field of a [Class] or of a [Model]. No two fields of one class
// or model may have names that differ by case only. The names of a class's
// fields become part of header names and are ASCII identifiers.
type Field struct {
	Name string
	Type Type
	// Default is the JSON text of the value that the SDK takes when the body
	// has none; it is hashed, read as Type, but not put into the body that a
	// handler gets. A field with an empty Default is required.
	Default string
}

// BodyHash returns what the header computed_body_hash of a request with this
// body must be: SHA3-256, in lower-case hex, of the joined hex SHA3-256 digests
// of what Python's str makes of each hashed field (SDK 7.2 and later; without
// hashed fields it is the constant hash of nothing). Python escapes what its
// version of Unicode does not know; this is package unicode's version.
//
// It is stricter than the SDK where a handler in Go could see another value
// than the one that was hashed: it refuses names that differ from a hashed
// field's by case only, keys that come twice, half surrogate pairs, NaN, numbers
// beyond double, and values that the SDK would convert. It also refuses more
// than 64 levels, more than 4300 digits, and model defaults that swell the text
// beyond all proportion. So what encoding/json decodes from a body that was
// accepted into a field of the same name is what was hashed.
//
// The error is [ErrBadBody] or [ErrBadClass]. BodyHash checks the class each
// time; a server does so once, at its start.
func (c Class) BodyHash(body []byte) (string, error) {
	compiled, err := c.compile()
	if err != nil {
		return "", err
	}
	hash, err := compiled.AppendHash(nil, body)
	return string(hash), err
}

// compile checks the class and prepares it for many bodies.
func (c Class) compile() (*pyjson.Class, error) {
	return pyjson.Compile(c.Name, fieldsOf(c.Hashed), fieldsOf(c.Other))
}

func fieldsOf(fields []Field) []pyjson.Field {
	out := make([]pyjson.Field, len(fields))
	for i, f := range fields {
		out[i] = pyjson.Field{Name: f.Name, Type: f.Type.json, Default: f.Default}
	}
	return out
}
