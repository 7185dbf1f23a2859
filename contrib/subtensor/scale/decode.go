package scale

import (
	"fmt"
	"reflect"
)

// maxDepth is how deep types may be nested. Those of mainnet are less than 20 deep.
const maxDepth = 64

// Raw is a value that is not decoded. It shares memory with the input that it was decoded from.
type Raw struct {
	Bytes []byte

	metadata *Metadata
	typ      TypeID
}

// Decode decodes the value into what target points to. It fails for a Raw that was not decoded.
func (r Raw) Decode(target any) error {
	if r.metadata == nil {
		return mismatch("a Raw that was not decoded")
	}
	return r.metadata.Decode(r.typ, r.Bytes, target)
}

// Variant is a variant of an enum with its content. Decoding gives it a content that
// [Variant.Decode] reads; for encoding set Value: a struct, a map of the named fields, or a []any
// of the unnamed ones.
type Variant struct {
	Name  string
	Value any
}

// content is the undecoded content of a variant.
type content struct {
	bytes    []byte
	fields   []Field
	metadata *Metadata
}

// Decode decodes the content of the variant into what target points to: a struct, or what the field
// is if the variant has a single one without a name. It fails for a Variant that was not decoded.
func (v Variant) Decode(target any) error {
	c, ok := v.Value.(content)
	if !ok {
		return mismatch("a Variant that was not decoded")
	}
	return c.metadata.decode(c.bytes, target, func(d *decoder, to reflect.Value) error {
		return d.content(c.fields, to)
	})
}

// Decode decodes a value of the type with the number id into what target, a pointer, points to. It
// returns ErrMalformed for bytes that are not such a value, for those left over included, ErrType
// for a target of another type, and a [NotFoundError] for a field that the target names and the
// type lacks. After an error target may be partly written.
func (m *Metadata) Decode(id TypeID, data []byte, target any) error {
	return m.decode(data, target, func(d *decoder, to reflect.Value) error { return d.value(id, to) })
}

func (m *Metadata) decode(data []byte, target any, run func(*decoder, reflect.Value) error) error {
	to := reflect.ValueOf(target)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return mismatch("target is a %T, must be a pointer", target)
	}
	d := newDecoder(m, data)
	if err := run(d, to.Elem()); err != nil {
		return err
	}
	return d.end()
}

// decoder decodes one value. An invalid reflect.Value as target skips what is read.
type decoder struct {
	reader
	m     *Metadata
	depth int
	steps int // left
}

// newDecoder limits the steps: a byte of the input stands for less than 32 types, wrappers counted.
// Without a limit, types without content, nested and in arrays, would take for ever.
func newDecoder(m *Metadata, data []byte) *decoder {
	return &decoder{reader: reader{data: data}, m: m, steps: 1024 + 32*len(data)}
}

// into decodes the next value into what target, a pointer, points to.
func (d *decoder) into(id TypeID, target any) error {
	return d.value(id, reflect.ValueOf(target).Elem())
}

func (d *decoder) value(id TypeID, to reflect.Value) error {
	if d.steps--; d.steps < 0 {
		return malformed("too many values for so few bytes")
	}
	if d.depth++; d.depth > maxDepth {
		return malformed("values nested deeper than %d", maxDepth)
	}
	defer func() { d.depth-- }()
	typ := d.m.typ(id)
	switch {
	case !to.IsValid():
	case to.Type() == reflect.TypeFor[Raw]():
		return d.raw(id, to)
	case to.Kind() == reflect.Pointer && !isOption(typ):
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	return d.kind(typ, to)
}

func (d *decoder) kind(typ *Type, to reflect.Value) error {
	switch typ.Kind {
	case KindComposite:
		return d.content(typ.Fields, to)
	case KindVariant:
		return d.variant(typ, to)
	case KindSequence:
		return d.elements(typ.Elem, d.count(), to)
	case KindArray:
		return d.array(typ, to)
	case KindTuple:
		return d.tuple(typ.Elems, to)
	case KindPrimitive:
		return d.primitive(typ.Primitive, to)
	case KindCompact:
		return d.compactValue(typ.Elem, to)
	default:
		return d.bitSequence(typ, to)
	}
}

// raw keeps the bytes of a value.
func (d *decoder) raw(id TypeID, to reflect.Value) error {
	before := d.data
	if err := d.value(id, reflect.Value{}); err != nil {
		return err
	}
	read := len(before) - len(d.data)
	to.Set(reflect.ValueOf(Raw{Bytes: before[:read:read], metadata: d.m, typ: id}))
	return nil
}

// content decodes the fields of a struct or of a variant.
func (d *decoder) content(fields []Field, to reflect.Value) error {
	if len(fields) == 1 && (fields[0].Name == "" || to.IsValid() && to.Kind() != reflect.Struct) {
		return d.value(fields[0].Type, to)
	}
	var l *layout
	if to.IsValid() {
		if !isStruct(to) {
			return mismatch("a struct of %d fields for %v", len(fields), to.Type())
		}
		if l = d.m.fieldLayout(fields, to.Type()); l.err != nil {
			return l.err
		}
	}
	for i := range fields {
		if err := d.value(fields[i].Type, l.target(i, to)); err != nil {
			return within(fields[i].Name, i, err)
		}
	}
	return nil
}

// isStruct reports whether a target takes fields.
func isStruct(to reflect.Value) bool {
	return to.Kind() == reflect.Struct && to.Type() != reflect.TypeFor[Variant]()
}

// target returns where item i goes; an invalid value if nowhere.
func (l *layout) target(i int, to reflect.Value) reflect.Value {
	if l == nil || l.of[i] < 0 {
		return reflect.Value{}
	}
	return to.Field(l.of[i])
}

func within(name string, i int, err error) error {
	if name == "" {
		return fmt.Errorf("%d: %w", i, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

func (d *decoder) tuple(elems []TypeID, to reflect.Value) error {
	if len(elems) == 1 && to.IsValid() && to.Kind() != reflect.Struct {
		return d.value(elems[0], to)
	}
	var l *layout
	if to.IsValid() {
		if !isStruct(to) {
			return mismatch("a tuple of %d for %v", len(elems), to.Type())
		}
		if l = d.m.tupleLayout(elems, to.Type()); l.err != nil {
			return l.err
		}
	}
	for i, elem := range elems {
		if err := d.value(elem, l.target(i, to)); err != nil {
			return within("", i, err)
		}
	}
	return nil
}

func (d *decoder) variant(typ *Type, to reflect.Value) error {
	index := d.byte()
	if d.err != nil {
		return d.err
	}
	variant := variantByIndex(typ.Variants, index)
	if variant == nil {
		return malformed("variant %d, which the type lacks", index)
	}
	if to.IsValid() && isOption(typ) && to.Type() != reflect.TypeFor[Variant]() {
		return d.option(variant, to)
	}
	if err := d.variantInto(typ, variant, to); err != nil {
		return within(variant.Name, 0, err)
	}
	return nil
}

func (d *decoder) option(variant *VariantType, to reflect.Value) error {
	if to.Kind() != reflect.Pointer {
		return mismatch("an Option for %v, must be a pointer", to.Type())
	}
	if len(variant.Fields) == 0 {
		to.SetZero()
		return nil
	}
	to.Set(reflect.New(to.Type().Elem()))
	return d.value(variant.Fields[0].Type, to.Elem())
}

func (d *decoder) variantInto(typ *Type, variant *VariantType, to reflect.Value) error {
	switch {
	case !to.IsValid():
		return d.content(variant.Fields, to)
	case to.Type() == reflect.TypeFor[Variant]():
		before := d.data
		if err := d.content(variant.Fields, reflect.Value{}); err != nil {
			return err
		}
		read := len(before) - len(d.data)
		inner := content{bytes: before[:read:read], fields: variant.Fields, metadata: d.m}
		to.Set(reflect.ValueOf(Variant{Name: variant.Name, Value: inner}))
		return nil
	case to.Kind() == reflect.String:
		to.SetString(variant.Name)
		return d.content(variant.Fields, reflect.Value{})
	case to.Kind() != reflect.Struct:
		return mismatch("an enum for %v", to.Type())
	}
	l := d.m.variantLayout(typ.Variants, to.Type())
	if l.err != nil {
		return l.err
	}
	to.SetZero()
	if l.name >= 0 {
		to.Field(l.name).SetString(variant.Name)
	}
	for i := range typ.Variants {
		if field := l.target(i, to); &typ.Variants[i] == variant && field.IsValid() {
			if field.Kind() != reflect.Pointer {
				return mismatch("a variant for %v, must be a pointer", field.Type())
			}
			field.Set(reflect.New(field.Type().Elem()))
			return d.content(variant.Fields, field.Elem())
		}
	}
	return d.content(variant.Fields, reflect.Value{})
}

// isU8 reports whether a type is u8, alone.
func (m *Metadata) isU8(id TypeID) bool {
	typ := m.typ(id)
	return typ.Kind == KindPrimitive && typ.Primitive == U8
}

// elements decodes a sequence of so many values into a slice, which grows with what is read.
func (d *decoder) elements(elem TypeID, count int, to reflect.Value) error {
	if d.err != nil {
		return d.err
	}
	if !to.IsValid() {
		return d.skipElements(elem, count)
	}
	if to.Kind() != reflect.Slice {
		return mismatch("a sequence for %v", to.Type())
	}
	if d.m.isU8(elem) && to.Type().Elem().Kind() == reflect.Uint8 {
		to.SetBytes(append([]byte{}, d.take(count)...))
		return d.err
	}
	to.Set(reflect.MakeSlice(to.Type(), 0, min(count, 256)))
	for i := range count {
		if i == to.Cap() {
			to.Grow(min(count-i, i))
		}
		to.SetLen(i + 1)
		if err := d.value(elem, to.Index(i)); err != nil {
			return within("", i, err)
		}
	}
	return nil
}

func (d *decoder) skipElements(elem TypeID, count int) error {
	if typ := d.m.typ(elem); typ.Kind == KindPrimitive && typ.Primitive.width() > 0 &&
		typ.Primitive != Bool {
		d.take(min(count, len(d.data)+1) * typ.Primitive.width())
		return d.err
	}
	for range count {
		if err := d.value(elem, reflect.Value{}); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) array(typ *Type, to reflect.Value) error {
	count := int(typ.Len)
	if !to.IsValid() || to.Kind() != reflect.Array {
		return d.elements(typ.Elem, count, to)
	}
	if to.Len() != count {
		return mismatch("an array of %d for %v", count, to.Type())
	}
	if d.m.isU8(typ.Elem) && to.Type().Elem().Kind() == reflect.Uint8 {
		reflect.Copy(to, reflect.ValueOf(d.take(count)))
		return d.err
	}
	for i := range count {
		if err := d.value(typ.Elem, to.Index(i)); err != nil {
			return within("", i, err)
		}
	}
	return nil
}

func (d *decoder) primitive(p Primitive, to reflect.Value) error {
	switch p {
	case Bool:
		read := d.bool()
		return d.set(to, reflect.Bool, func() { to.SetBool(read) })
	case Str:
		read := d.string()
		return d.set(to, reflect.String, func() { to.SetString(read) })
	case Char:
		d.take(4)
		return d.set(to, reflect.Invalid, nil)
	default:
		wide := d.take(p.width())
		if d.err != nil {
			return d.err
		}
		return setNumber(wide, p.signed(), to)
	}
}

// set writes to a target of the given kind.
func (d *decoder) set(to reflect.Value, kind reflect.Kind, write func()) error {
	switch {
	case d.err != nil || !to.IsValid():
		return d.err
	case to.Kind() != kind || write == nil:
		return mismatch("a bool, text or character for %v", to.Type())
	}
	write()
	return nil
}

// compactValue decodes a compact number. A type without content, as Compact<()>, takes no bytes.
func (d *decoder) compactValue(elem TypeID, to reflect.Value) error {
	for range maxDepth {
		typ := d.m.typ(elem)
		switch {
		case typ.Kind == KindPrimitive && typ.Primitive >= U8 && typ.Primitive <= U128:
			wide := d.compactBytes()
			for _, b := range wide[typ.Primitive.width():] {
				if b != 0 {
					d.fail("a compact number above %d bytes", typ.Primitive.width())
				}
			}
			if d.err != nil {
				return d.err
			}
			return setNumber(wide[:typ.Primitive.width()], false, to)
		case typ.Kind == KindComposite && len(typ.Fields) == 1:
			elem = typ.Fields[0].Type
		case typ.Kind == KindTuple && len(typ.Elems) == 1:
			elem = typ.Elems[0]
		case typ.Kind == KindTuple && len(typ.Elems) == 0:
			return d.tuple(nil, to)
		default:
			return malformed("a compact number that is no number")
		}
	}
	return malformed("a compact number nested deeper than %d", maxDepth)
}

// bitSequence is skipped: nothing that is used here has one.
func (d *decoder) bitSequence(typ *Type, to reflect.Value) error {
	store := d.m.typ(typ.Elem)
	if store.Kind != KindPrimitive || store.Primitive.width() == 0 {
		return malformed("a bit sequence without a store")
	}
	bits := d.compact()
	if d.err == nil && bits > 8*uint64(len(d.data)) {
		d.fail("%d bits announced, %d bytes left", bits, len(d.data))
	}
	if d.err != nil {
		return d.err
	}
	width := store.Primitive.width()
	words := (int(bits) + 8*width - 1) / (8 * width) //nolint:gosec // at most 8 len(data)
	d.take(words * width)
	return d.set(to, reflect.Invalid, nil)
}
