package axon

import "github.com/organic-scoring/organic/contrib/axon/internal/pyjson"

// Type is the type that a [Field] is declared with in its Python class. It
// decides how a JSON value is read and so what is hashed: 3 in a float field is
// hashed as 3.0. Values are not converted; one of another type is
// [ErrBadBody]. Types may be nested 16 deep.
//
// The zero Type is [Any]. A Type never changes and is safe for concurrent use.
type Type struct {
	json pyjson.Type
}

// Any is a value as it stands in the JSON: a number with a fraction or an
// exponent is a float, any other an int. A field hashed as Any can be changed in
// transit from 3 to "3"; see [Class].
func Any() Type { return Type{pyjson.Any} }

// Str is a JSON string.
func Str() Type { return Type{pyjson.Str} }

// Int is a JSON number without fraction and exponent, of any size.
func Int() Type { return Type{pyjson.Int} }

// Float is any JSON number; it is hashed with a fraction or an exponent.
func Float() Type { return Type{pyjson.Float} }

// Bool is true or false.
func Bool() Type { return Type{pyjson.Bool} }

// List is a JSON array whose elements have one type.
func List(elem Type) Type { return Type{pyjson.List(elem.json)} }

// Dict is a JSON object whose values have one type, a dict[str, …] in Python; keys
// of other types cannot be expressed (see [Class]). It is hashed in the order of
// the JSON text.
func Dict(value Type) Type { return Type{pyjson.Dict(value.json)} }

// Optional is null or a value of type t.
func Optional(t Type) Type { return Type{pyjson.Optional(t.json)} }

// Model is a nested pydantic model. Its fields are hashed in the order given
// here, which must be that of their declaration, with defaults filled in and
// without the keys it does not know: those are not signed.
func Model(fields ...Field) Type { return Type{pyjson.Model(fieldsOf(fields)...)} }

// emptyValue returns the value of the header bt_header_input_obj_<field> for a
// field of this type: the base64 of the JSON of the type's empty value.
func (t Type) emptyValue() string { return t.json.Empty() }
