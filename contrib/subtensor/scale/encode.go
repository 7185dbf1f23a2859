package scale

import (
	"fmt"
	"reflect"
)

// Encode returns a value of the type with the number id. It returns ErrType for a Go value that
// does not fit, and a [NotFoundError] for a field that the value names and the type lacks. Every
// field of the type must be given; a missing Option is none.
func (m *Metadata) Encode(id TypeID, value any) ([]byte, error) {
	e := &encoder{m: m}
	if err := e.value(id, reflect.ValueOf(value)); err != nil {
		return nil, err
	}
	return e.data, nil
}

type encoder struct {
	m     *Metadata
	data  []byte
	depth int
}

func (e *encoder) value(id TypeID, from reflect.Value) error {
	if e.depth++; e.depth > maxDepth {
		return mismatch("values nested deeper than %d", maxDepth)
	}
	defer func() { e.depth-- }()
	typ := e.m.typ(id)
	if isOption(typ) {
		return e.option(typ, from)
	}
	for from.IsValid() && (from.Kind() == reflect.Pointer || from.Kind() == reflect.Interface) {
		from = from.Elem()
	}
	if !from.IsValid() {
		return mismatch("nil for a value")
	}
	if raw, ok := reflect.TypeAssert[Raw](from); ok {
		e.data = append(e.data, raw.Bytes...)
		return nil
	}
	return e.kind(typ, from)
}

func (e *encoder) kind(typ *Type, from reflect.Value) error {
	switch typ.Kind {
	case KindComposite:
		return e.content(typ.Fields, from)
	case KindVariant:
		return e.variant(typ, from)
	case KindSequence:
		if !isList(from) {
			return mismatch("%v for a sequence", from.Type())
		}
		e.data = AppendCompact(e.data, uint64(from.Len())) //nolint:gosec // a length
		return e.elements(typ.Elem, from)
	case KindArray:
		if !isList(from) || from.Len() != int(typ.Len) {
			return mismatch("%v for an array of %d", from.Type(), typ.Len)
		}
		return e.elements(typ.Elem, from)
	case KindTuple:
		return e.tuple(typ.Elems, from)
	case KindPrimitive:
		return e.primitive(typ.Primitive, from)
	case KindCompact:
		return e.compactValue(typ.Elem, from)
	default:
		return mismatch("%v for a bit sequence", from.Type())
	}
}

func isList(from reflect.Value) bool {
	return from.Kind() == reflect.Slice || from.Kind() == reflect.Array
}

// option takes a pointer, where nil is none, or the value itself.
func (e *encoder) option(typ *Type, from reflect.Value) error {
	for from.IsValid() && from.Kind() == reflect.Interface {
		from = from.Elem()
	}
	switch {
	case !from.IsValid() || from.Kind() == reflect.Pointer && from.IsNil():
		e.data = append(e.data, 0)
		return nil
	case from.Type() == reflect.TypeFor[Variant]():
		return e.variant(typ, from)
	}
	if from.Kind() == reflect.Pointer {
		from = from.Elem()
	}
	e.data = append(e.data, 1)
	return e.value(typ.Variants[1].Fields[0].Type, from)
}

// content encodes the fields of a struct or of a variant.
func (e *encoder) content(fields []Field, from reflect.Value) error {
	switch {
	case len(fields) == 1 && isSingle(fields[0], from):
		return e.value(fields[0].Type, from)
	case from.Kind() == reflect.Map:
		return e.mapped(fields, from)
	case from.Kind() == reflect.Slice:
		return e.listed(len(fields), func(i int) TypeID { return fields[i].Type }, from)
	case from.Kind() != reflect.Struct:
		return mismatch("%v for a struct of %d fields", from.Type(), len(fields))
	}
	l := e.m.fieldLayout(fields, from.Type())
	if l.err != nil {
		return l.err
	}
	for i := range fields {
		if err := e.value(fields[i].Type, l.target(i, from)); err != nil {
			return within(fields[i].Name, i, err)
		}
	}
	return nil
}

// isSingle reports whether a value is meant for the only field rather than for what holds it.
func isSingle(field Field, from reflect.Value) bool {
	if field.Name == "" {
		return from.Type() != reflect.TypeFor[[]any]() || from.Len() != 1
	}
	return from.Kind() != reflect.Struct && from.Kind() != reflect.Map
}

// mapped encodes named fields from a map[string]any or the like.
func (e *encoder) mapped(fields []Field, from reflect.Value) error {
	if from.Type().Key().Kind() != reflect.String {
		return mismatch("%v for a struct of %d fields", from.Type(), len(fields))
	}
	lacking := make(map[string]bool, from.Len())
	for _, key := range from.MapKeys() {
		lacking[key.String()] = true
	}
	for _, field := range fields {
		value := from.MapIndex(reflect.ValueOf(field.Name).Convert(from.Type().Key()))
		delete(lacking, field.Name)
		if err := e.value(field.Type, value); err != nil {
			return within(field.Name, 0, err)
		}
	}
	for name := range lacking {
		return &NotFoundError{Kind: "field", Name: name}
	}
	return nil
}

// listed encodes unnamed fields from a []any or the like.
func (e *encoder) listed(count int, typ func(int) TypeID, from reflect.Value) error {
	if from.Len() != count {
		return mismatch("%d values for %d fields", from.Len(), count)
	}
	for i := range count {
		if err := e.value(typ(i), from.Index(i)); err != nil {
			return within("", i, err)
		}
	}
	return nil
}

func (e *encoder) tuple(elems []TypeID, from reflect.Value) error {
	typ := func(i int) TypeID { return elems[i] }
	if isList(from) {
		return e.listed(len(elems), typ, from)
	}
	if from.Kind() != reflect.Struct {
		return mismatch("%v for a tuple of %d", from.Type(), len(elems))
	}
	l := e.m.tupleLayout(elems, from.Type())
	if l.err != nil {
		return l.err
	}
	for i, elem := range elems {
		if err := e.value(elem, l.target(i, from)); err != nil {
			return within("", i, err)
		}
	}
	return nil
}

// variant takes a [Variant], the name of a variant without content, or a struct of pointers of
// which one is set.
func (e *encoder) variant(typ *Type, from reflect.Value) error {
	switch v, isVariant := reflect.TypeAssert[Variant](from); {
	case isVariant:
		return e.variantOf(typ, v.Name, reflect.ValueOf(v.Value))
	case from.Kind() == reflect.String:
		return e.variantOf(typ, from.String(), reflect.Value{})
	case from.Kind() != reflect.Struct:
		return mismatch("%v for an enum", from.Type())
	}
	l := e.m.variantLayout(typ.Variants, from.Type())
	if l.err != nil {
		return l.err
	}
	for i := range typ.Variants {
		field := l.target(i, from)
		if field.IsValid() && field.Kind() == reflect.Pointer && !field.IsNil() {
			return e.variantOf(typ, typ.Variants[i].Name, field.Elem())
		}
	}
	if l.name >= 0 {
		return e.variantOf(typ, from.Field(l.name).String(), reflect.Value{})
	}
	return mismatch("%v has no variant set", from.Type())
}

func (e *encoder) variantOf(typ *Type, name string, inner reflect.Value) error {
	variant := variantByName(typ.Variants, name)
	if variant == nil {
		return &NotFoundError{Kind: "variant", Name: name}
	}
	e.data = append(e.data, variant.Index)
	for inner.IsValid() && (inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Interface) {
		inner = inner.Elem()
	}
	if !inner.IsValid() {
		if len(variant.Fields) > 0 {
			return mismatch("%s without its %d fields", name, len(variant.Fields))
		}
		return nil
	}
	if undecoded, ok := reflect.TypeAssert[content](inner); ok {
		e.data = append(e.data, undecoded.bytes...)
		return nil
	}
	if err := e.content(variant.Fields, inner); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (e *encoder) elements(elem TypeID, from reflect.Value) error {
	if e.m.isU8(elem) && from.Type().Elem().Kind() == reflect.Uint8 {
		if from.Kind() == reflect.Slice {
			e.data = append(e.data, from.Bytes()...)
			return nil
		}
		start := len(e.data)
		e.data = append(e.data, make([]byte, from.Len())...)
		reflect.Copy(reflect.ValueOf(e.data[start:]), from)
		return nil
	}
	for i := range from.Len() {
		if err := e.value(elem, from.Index(i)); err != nil {
			return within("", i, err)
		}
	}
	return nil
}

func (e *encoder) primitive(p Primitive, from reflect.Value) error {
	switch {
	case p == Bool && from.Kind() == reflect.Bool:
		if from.Bool() {
			e.data = append(e.data, 1)
		} else {
			e.data = append(e.data, 0)
		}
		return nil
	case p == Str && from.Kind() == reflect.String:
		e.data = AppendBytes(e.data, []byte(from.String()))
		return nil
	case p <= Str:
		return mismatch("%v for a bool, text or character", from.Type())
	}
	wide, err := number(p.width(), p.signed(), from)
	e.data = append(e.data, wide[:p.width()]...)
	return err
}

func (e *encoder) compactValue(elem TypeID, from reflect.Value) error {
	for range maxDepth {
		typ := e.m.typ(elem)
		switch {
		case typ.Kind == KindPrimitive && typ.Primitive >= U8 && typ.Primitive <= U128:
			wide, err := number(typ.Primitive.width(), false, from)
			if err != nil {
				return err
			}
			e.data = appendWideCompact(e.data, wide[:typ.Primitive.width()])
			return nil
		case typ.Kind == KindComposite && len(typ.Fields) == 1:
			elem = typ.Fields[0].Type
		case typ.Kind == KindTuple && len(typ.Elems) == 1:
			elem = typ.Elems[0]
		case typ.Kind == KindTuple && len(typ.Elems) == 0:
			return nil
		default:
			return mismatch("a compact number that is no number")
		}
	}
	return mismatch("a compact number nested deeper than %d", maxDepth)
}
