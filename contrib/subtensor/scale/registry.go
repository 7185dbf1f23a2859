package scale

import (
	"strconv"
	"strings"
)

// Registry collects the types of metadata that is built by hand, for a fake node: give its Types to
// a [Metadata], and marshal that. The first error sticks, see Err. It is not safe for concurrent
// use.
type Registry struct {
	types []Type
	known map[string]TypeID
	err   error
}

// NewRegistry returns a registry with AccountId32 and H256 defined.
func NewRegistry() *Registry {
	r := &Registry{known: make(map[string]TypeID)}
	r.Define("AccountId32", Type{Kind: KindComposite, Fields: []Field{{Type: r.Type("[u8; 32]")}}})
	r.Define("H256", Type{Kind: KindComposite, Fields: []Field{{Type: r.Type("[u8; 32]")}}})
	return r
}

// Types returns the types collected so far, indexed by their numbers.
func (r *Registry) Types() []Type { return r.types }

// Err returns the first error: an expression that cannot be read or names an unknown type.
func (r *Registry) Err() error { return r.err }

// Define adds a type under a name, which becomes its path.
func (r *Registry) Define(name string, typ Type) TypeID {
	typ.Path = []string{name}
	return r.add(name, typ)
}

// Struct adds a composite with named fields: names and type expressions in turn. An empty name is a
// field without one.
func (r *Registry) Struct(name string, namesAndTypes ...string) TypeID {
	return r.Define(name, Type{Kind: KindComposite, Fields: r.Fields(namesAndTypes...)})
}

// Fields returns fields: names and type expressions in turn.
func (r *Registry) Fields(namesAndTypes ...string) []Field {
	var fields []Field
	for i := 0; i+1 < len(namesAndTypes); i += 2 {
		fields = append(fields, Field{Name: namesAndTypes[i], Type: r.Type(namesAndTypes[i+1])})
	}
	return fields
}

// Enum adds an enum.
func (r *Registry) Enum(name string, variants ...VariantType) TypeID {
	return r.Define(name, Type{Kind: KindVariant, Variants: variants})
}

func (r *Registry) add(name string, typ Type) TypeID {
	id := TypeID(len(r.types)) //nolint:gosec // written by hand
	r.types = append(r.types, typ)
	r.known[name] = id
	return id
}

var primitives = map[string]Primitive{
	"bool": Bool, "str": Str, "u8": U8, "u16": U16, "u32": U32, "u64": U64, "u128": U128,
	"u256": U256, "i8": I8, "i16": I16, "i32": I32, "i64": I64, "i128": I128, "i256": I256,
}

// Type returns the number of a type by its expression, as Rust writes it: a primitive, a defined
// name, Vec<T>, Option<T>, Compact<T>, [T; n] or (A, B).
func (r *Registry) Type(expression string) TypeID {
	text := strings.ReplaceAll(expression, " ", "")
	if id, ok := r.known[text]; ok {
		return id
	}
	if primitive, ok := primitives[text]; ok {
		return r.add(text, Type{Kind: KindPrimitive, Primitive: primitive})
	}
	typ, ok := r.built(text)
	if !ok {
		if r.err == nil {
			r.err = mismatch("unknown type %q", expression)
		}
		return 0
	}
	return r.add(text, typ)
}

// built reads the expression of a type that is built of others.
func (r *Registry) built(text string) (Type, bool) {
	if inner, ok := enclosed(text, "Vec<", ">"); ok {
		return Type{Kind: KindSequence, Elem: r.Type(inner)}, true
	}
	if inner, ok := enclosed(text, "Compact<", ">"); ok {
		return Type{Kind: KindCompact, Elem: r.Type(inner)}, true
	}
	if inner, ok := enclosed(text, "Option<", ">"); ok {
		return Type{Path: []string{"Option"}, Kind: KindVariant, Variants: []VariantType{
			{Name: "None", Index: 0},
			{Name: "Some", Index: 1, Fields: []Field{{Type: r.Type(inner)}}},
		}}, true
	}
	if inner, ok := enclosed(text, "(", ")"); ok {
		typ := Type{Kind: KindTuple}
		for _, elem := range split(inner) {
			typ.Elems = append(typ.Elems, r.Type(elem))
		}
		return typ, true
	}
	if inner, ok := enclosed(text, "[", "]"); ok {
		i := strings.LastIndexByte(inner, ';')
		if i < 0 {
			return Type{}, false
		}
		elem, length := inner[:i], inner[i+1:]
		n, err := strconv.ParseUint(length, 10, 32)
		return Type{Kind: KindArray, Elem: r.Type(elem), Len: uint32(n)}, err == nil
	}
	return Type{}, false
}

func enclosed(text, open, end string) (string, bool) {
	inner, opened := strings.CutPrefix(text, open)
	inner, ended := strings.CutSuffix(inner, end)
	return inner, opened && ended
}

// split cuts a list at the commas that are not inside brackets.
func split(list string) []string {
	var items []string
	depth, start := 0, 0
	for i, c := range list {
		switch c {
		case '<', '(', '[':
			depth++
		case '>', ')', ']':
			depth--
		case ',':
			if depth == 0 {
				items = append(items, list[start:i])
				start = i + 1
			}
		}
	}
	if start < len(list) {
		items = append(items, list[start:])
	}
	return items
}
