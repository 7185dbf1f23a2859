package scale

import "fmt"

const (
	// maxMetadata is the size of metadata that Parse takes; that of mainnet is 0.34 MB.
	maxMetadata = 4 << 20
	// maxTypes is how many types there can be; mainnet has about 750.
	maxTypes = 1 << 16
)

// Parse reads runtime metadata: "meta", the version, and what follows. It returns ErrVersion for a
// version that is neither 15 nor 16, and ErrMalformed for input that is damaged, refers to missing
// types, or has bytes left over. The result does not share memory with data.
func Parse(data []byte) (*Metadata, error) {
	if len(data) > maxMetadata {
		return nil, malformed("metadata of %d bytes, at most %d are read", len(data), maxMetadata)
	}
	p := &parser{reader: reader{data: data}}
	if string(p.take(4)) != "meta" {
		return nil, malformed("metadata must begin with %q", "meta")
	}
	m := &Metadata{Version: p.byte()}
	if p.err == nil && m.Version != 15 && m.Version != 16 {
		return nil, fmt.Errorf("%w: V%d, must be V15 or V16", ErrVersion, m.Version)
	}
	p.v16 = m.Version == 16
	m.Types = p.types()
	m.Pallets = each(p, p.pallet)
	m.Extrinsic = p.extrinsic()
	if !p.v16 {
		m.Runtime = p.typeID()
	}
	m.APIs = each(p, p.api)
	m.Outer = OuterEnums{Call: p.typeID(), Event: p.typeID(), Error: p.typeID()}
	each(p, p.custom)
	if err := p.end(); err != nil {
		return nil, err
	}
	return m, m.check()
}

// parser reads metadata. Its methods stand in the order of the parts.
type parser struct {
	reader
	v16 bool
}

// each reads a vector, item by item.
func each[T any](p *parser, item func() T) []T {
	return list(&p.reader, func(*reader) T { return item() })
}

func (p *parser) typeID() TypeID {
	id := p.compact()
	if id >= maxTypes {
		p.fail("type %d, at most %d are read", id, maxTypes)
		return 0
	}
	return TypeID(id)
}

func (p *parser) optionalTypeID() *TypeID {
	if !p.bool() {
		return nil
	}
	return new(p.typeID())
}

func (p *parser) strings() []string { return each(p, p.string) }

// docs skips documentation.
func (p *parser) docs() {
	for range p.count() {
		p.bytes()
		if p.err != nil {
			return
		}
	}
}

func (p *parser) types() []Type {
	next := TypeID(0)
	return each(p, func() Type {
		if id := p.typeID(); id != next {
			p.fail("type %d where %d is due", id, next)
		}
		next++
		return p.typ()
	})
}

func (p *parser) typ() Type {
	typ := Type{Path: p.strings()}
	each(p, func() struct{} { // parameters
		p.string()
		p.optionalTypeID()
		return struct{}{}
	})
	switch typ.Kind = Kind(p.byte()); typ.Kind {
	case KindComposite:
		typ.Fields = each(p, p.field)
	case KindVariant:
		typ.Variants = each(p, p.variant)
	case KindSequence, KindCompact:
		typ.Elem = p.typeID()
	case KindArray:
		typ.Len = uint32(p.uint(4)) //nolint:gosec // four bytes
		typ.Elem = p.typeID()
	case KindTuple:
		typ.Elems = each(p, p.typeID)
	case KindPrimitive:
		if typ.Primitive = Primitive(p.byte()); typ.Primitive > I256 {
			p.fail("primitive %d", typ.Primitive)
		}
	case KindBitSequence:
		typ.Elem, typ.Order = p.typeID(), p.typeID()
	default:
		p.fail("a type of kind %d", typ.Kind)
	}
	p.docs()
	return typ
}

func (p *parser) field() Field {
	var field Field
	if p.bool() {
		field.Name = p.string()
	}
	field.Type = p.typeID()
	if p.bool() {
		p.bytes() // the type's name in the source
	}
	p.docs()
	return field
}

func (p *parser) variant() VariantType {
	return VariantType{Name: p.string(), Fields: each(p, p.field), Index: p.byte(), Docs: p.strings()}
}

func (p *parser) pallet() Pallet {
	pallet := Pallet{Name: p.string()}
	if p.bool() {
		pallet.Prefix = p.string()
		pallet.Storage = each(p, p.storage)
	}
	pallet.Calls = p.enum()
	pallet.Events = p.enum()
	pallet.Constants = each(p, p.constant)
	pallet.Errors = p.enum()
	if p.v16 {
		each(p, p.associatedType)
		each(p, p.viewFunction)
	}
	pallet.Index = p.byte()
	p.docs()
	p.deprecation()
	return pallet
}

// enum reads the optional type of calls, events or errors.
func (p *parser) enum() *TypeID {
	id := p.optionalTypeID()
	if p.v16 && id != nil {
		each(p, func() struct{} { // deprecated variants
			p.byte()
			p.deprecation()
			return struct{}{}
		})
	}
	return id
}

// deprecation skips what version 16 says about an item that will go.
func (p *parser) deprecation() {
	if !p.v16 {
		return
	}
	switch kind := p.byte(); kind {
	case 0, 1:
	case 2:
		p.bytes()
		if p.bool() {
			p.bytes()
		}
	default:
		p.fail("deprecation %d", kind)
	}
}

func (p *parser) storage() StorageType {
	item := StorageType{Name: p.string()}
	switch modifier := p.byte(); modifier {
	case 0, 1:
		item.Optional = modifier == 0
	default:
		p.fail("storage modifier %d", modifier)
	}
	switch kind := p.byte(); kind {
	case 0:
	case 1:
		item.Hashers = each(p, p.hasher)
		item.Key = p.typeID()
	default:
		p.fail("a storage item of kind %d", kind)
	}
	item.Value = p.typeID()
	item.Default = append([]byte(nil), p.bytes()...)
	p.docs()
	p.deprecation()
	return item
}

func (p *parser) hasher() Hasher {
	hasher := Hasher(p.byte())
	if hasher > Identity {
		p.fail("hasher %d", hasher)
	}
	return hasher
}

func (p *parser) constant() ConstantType {
	constant := ConstantType{Name: p.string(), Type: p.typeID()}
	constant.Value = append([]byte(nil), p.bytes()...)
	p.docs()
	p.deprecation()
	return constant
}

func (p *parser) associatedType() struct{} {
	p.string()
	p.typeID()
	p.docs()
	return struct{}{}
}

func (p *parser) viewFunction() struct{} {
	p.take(32)
	p.method()
	return struct{}{}
}

func (p *parser) extrinsic() Extrinsic {
	var x Extrinsic
	if p.v16 {
		x.Versions = append(x.Versions, p.bytes()...)
		x.Address, x.Call, x.Signature = p.typeID(), p.typeID(), p.typeID()
		order := p.extensionOrder()
		x.Extensions = p.inOrder(each(p, p.extension), order)
		return x
	}
	x.Versions = []uint8{p.byte()}
	x.Address, x.Call, x.Signature, x.Extra = p.typeID(), p.typeID(), p.typeID(), p.typeID()
	x.Extensions = each(p, p.extension)
	return x
}

// extensionOrder reads which extensions each version of the extensions has, and returns that of
// version 0, which signed extrinsics use.
func (p *parser) extensionOrder() []TypeID {
	var order []TypeID
	for range p.count() {
		version, indices := p.byte(), each(p, p.typeID)
		if version == 0 {
			order = indices
		}
		if p.err != nil {
			return nil
		}
	}
	return order
}

func (p *parser) inOrder(all []ExtensionType, order []TypeID) []ExtensionType {
	var extensions []ExtensionType
	for _, i := range order {
		if int(i) >= len(all) {
			p.fail("signed extension %d of %d", i, len(all))
			return nil
		}
		extensions = append(extensions, all[i])
	}
	return extensions
}

func (p *parser) extension() ExtensionType {
	return ExtensionType{Name: p.string(), Extra: p.typeID(), Implicit: p.typeID()}
}

func (p *parser) api() APIType {
	api := APIType{Name: p.string(), Methods: each(p, p.method)}
	p.docs()
	if p.v16 {
		p.compact() // version
	}
	p.deprecation()
	return api
}

func (p *parser) method() MethodType {
	method := MethodType{Name: p.string(), Inputs: each(p, p.input), Output: p.typeID()}
	p.docs()
	p.deprecation()
	return method
}

func (p *parser) input() Field { return Field{Name: p.string(), Type: p.typeID()} }

func (p *parser) custom() struct{} {
	p.string()
	p.typeID()
	p.bytes()
	return struct{}{}
}

// ParseResult reads what the runtime API Metadata_metadata_at_version returns: metadata inside an
// Option<Vec<u8>>. It returns nil, nil if the runtime does not offer the version.
func ParseResult(result []byte) (*Metadata, error) {
	r := &reader{data: result}
	if !r.bool() {
		return nil, r.end()
	}
	data := r.bytes()
	if err := r.end(); err != nil {
		return nil, err
	}
	return Parse(data)
}
