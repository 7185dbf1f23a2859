// Package pyjson computes the body hash of Bittensor synapses: it reads JSON
// strictly, writes what Python's str would give for each hashed field, and
// hashes that.
//
// Memory is bounded whatever the body holds: the Python text goes into the hash
// piece by piece, and what has to be kept meanwhile lies in a pool.
package pyjson

// Type is the declared type of a field. The zero Type takes any value as it
// stands in the JSON. A Type never changes and is safe for concurrent use.
type Type struct {
	kind   kind
	elem   *Type   // of a list, a dict or an optional
	fields []Field // of a model
}

// Field is one field of a class or a model. Default is the JSON text of its
// default; a field without one is required.
type Field struct {
	Name    string
	Type    Type
	Default string
}

type kind uint8

const (
	kindAny kind = iota
	kindStr
	kindInt
	kindFloat
	kindBool
	kindList
	kindDict
	kindModel
	kindOptional
)

// The types without parts.
var (
	Any   = Type{}
	Str   = Type{kind: kindStr}
	Int   = Type{kind: kindInt}
	Float = Type{kind: kindFloat}
	Bool  = Type{kind: kindBool}
)

// List is a JSON array of elem.
func List(elem Type) Type { return Type{kind: kindList, elem: &elem} }

// Dict is a JSON object with values of one type, in the order of the text.
func Dict(value Type) Type { return Type{kind: kindDict, elem: &value} }

// Optional is t or null.
func Optional(t Type) Type { return Type{kind: kindOptional, elem: &t} }

// Model is a JSON object with known fields. It copies fields, so that a type
// cannot become part of itself.
func Model(fields ...Field) Type {
	return Type{kind: kindModel, fields: append([]Field(nil), fields...)}
}

// Empty returns the base64 of the JSON of the type's empty value, which a
// dendrite sends in bt_header_input_obj_<field> in place of the value. For an
// optional it is that of the type inside: a dendrite leaves the header out for
// None, and else writes the empty value of what the field holds.
func (t Type) Empty() string {
	switch t.kind {
	case kindInt:
		return "MA==" // 0
	case kindFloat:
		return "MC4w" // 0.0
	case kindBool:
		return "ZmFsc2U=" // false
	case kindList:
		return "W10=" // []
	case kindDict, kindModel:
		return "e30=" // {}
	case kindOptional:
		return t.elem.Empty()
	default:
		return "IiI=" // ""
	}
}
