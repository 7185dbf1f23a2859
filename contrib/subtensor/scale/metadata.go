package scale

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// TypeID is the number of a type in the metadata.
type TypeID uint32

// Kind is how a type is built.
type Kind uint8

// The kinds, by their numbers in metadata.
const (
	KindComposite Kind = iota
	KindVariant
	KindSequence
	KindArray
	KindTuple
	KindPrimitive
	KindCompact
	KindBitSequence
)

// Primitive is a type that is not built of others.
type Primitive uint8

// The primitives, by their numbers in metadata.
const (
	Bool Primitive = iota
	Char
	Str
	U8
	U16
	U32
	U64
	U128
	U256
	I8
	I16
	I32
	I64
	I128
	I256
)

// width returns the bytes of a primitive; 0 for a string.
func (p Primitive) width() int {
	return [...]int{1, 4, 0, 1, 2, 4, 8, 16, 32, 1, 2, 4, 8, 16, 32}[p]
}

func (p Primitive) signed() bool { return p >= I8 }

// Type is the description of a type. Which fields are used depends on the kind.
type Type struct {
	Path      []string // names of the modules and of the type
	Kind      Kind
	Fields    []Field       // composite
	Variants  []VariantType // variant
	Elem      TypeID        // sequence, array, compact; the store of a bit sequence
	Order     TypeID        // bit sequence
	Len       uint32        // array
	Elems     []TypeID      // tuple
	Primitive Primitive     // primitive
}

// Field is a field of a composite or of a variant; its name may be empty.
type Field struct {
	Name string
	Type TypeID
}

// VariantType is a variant of an enum: a call, an event, an error, for instance.
type VariantType struct {
	Name   string
	Index  uint8
	Fields []Field
	Docs   []string
}

// Pallet is a part of the runtime.
type Pallet struct {
	Name      string
	Index     uint8
	Prefix    string        // of its storage
	Storage   []StorageType // what it stores
	Calls     *TypeID       // enum of its calls; nil: none
	Events    *TypeID       // enum of its events
	Errors    *TypeID       // enum of its errors
	Constants []ConstantType
}

// StorageType is the description of a storage item.
type StorageType struct {
	Name     string
	Optional bool // an absent value is none; else it is the default
	Hashers  []Hasher
	Key      TypeID // a tuple if there are several hashers; not used without one
	Value    TypeID
	Default  []byte
}

// ConstantType is a constant of a pallet with its value.
type ConstantType struct {
	Name  string
	Type  TypeID
	Value []byte
}

// ExtensionType is a signed extension: what it adds to an extrinsic, and what is signed with it.
type ExtensionType struct {
	Name     string
	Extra    TypeID // in the extrinsic and signed
	Implicit TypeID // signed only
}

// APIType is a trait of runtime API calls.
type APIType struct {
	Name    string
	Methods []MethodType
}

// MethodType is a runtime API call. The inputs have names and types.
type MethodType struct {
	Name   string
	Inputs []Field
	Output TypeID
}

// Extrinsic describes how extrinsics are built.
type Extrinsic struct {
	Versions   []uint8 // 4 must be among them
	Address    TypeID
	Call       TypeID
	Signature  TypeID
	Extra      TypeID // metadata version 15 only
	Extensions []ExtensionType
}

// OuterEnums are the enums over all pallets: call, event, error.
type OuterEnums struct {
	Call, Event, Error TypeID
}

// Metadata is what a runtime says about itself, without what no client needs (most of the
// documentation, deprecations, view functions). [Parse] returns one that is checked; one that is
// built by hand, for a fake node, is written by [Metadata.Marshal]. It is safe for concurrent use
// unless it is changed.
type Metadata struct {
	Version   uint8 // 15 or 16
	Types     []Type
	Pallets   []Pallet
	Extrinsic Extrinsic
	Runtime   TypeID // metadata version 15 only
	APIs      []APIType
	Outer     OuterEnums

	layouts sync.Map // of Go structs: layoutKey → *layout
}

func (m *Metadata) typ(id TypeID) *Type { return &m.Types[id] }

// Pallet returns the pallet of a name, or a [NotFoundError].
func (m *Metadata) Pallet(name string) (*Pallet, error) {
	for i := range m.Pallets {
		if m.Pallets[i].Name == name {
			return &m.Pallets[i], nil
		}
	}
	return nil, &NotFoundError{Kind: "pallet", Name: name}
}

// Constant decodes a constant of a pallet into what target points to. It returns a [NotFoundError]
// if there is none of the name.
func (m *Metadata) Constant(pallet, name string, target any) error {
	p, err := m.Pallet(pallet)
	if err != nil {
		return err
	}
	for _, constant := range p.Constants {
		if constant.Name == name {
			return m.Decode(constant.Type, constant.Value, target)
		}
	}
	return &NotFoundError{Kind: "constant", Name: pallet + "." + name}
}

// ModuleError is an error of a pallet, as an ExtrinsicFailed event carries it.
type ModuleError struct {
	Pallet string
	Name   string
	Docs   string
}

// ModuleError names the error of a pallet, both given by number.
func (m *Metadata) ModuleError(pallet, code uint8) (ModuleError, error) {
	for _, p := range m.Pallets {
		if p.Index != pallet || p.Errors == nil {
			continue
		}
		if variant := variantByIndex(m.typ(*p.Errors).Variants, code); variant != nil {
			docs := strings.TrimSpace(strings.Join(variant.Docs, " "))
			return ModuleError{Pallet: p.Name, Name: variant.Name, Docs: docs}, nil
		}
	}
	name := fmt.Sprintf("%d of pallet %d", code, pallet)
	return ModuleError{}, &NotFoundError{Kind: "error", Name: name}
}

// Method is a runtime API call, found by [Metadata.API].
type Method struct {
	metadata *Metadata
	name     string
	method   *MethodType
}

// API finds a runtime API call by trait and method; a [NotFoundError] if the runtime lacks it.
func (m *Metadata) API(trait, method string) (*Method, error) {
	for i := range m.APIs {
		if m.APIs[i].Name != trait {
			continue
		}
		for j := range m.APIs[i].Methods {
			if found := &m.APIs[i].Methods[j]; found.Name == method {
				return &Method{metadata: m, name: trait + "_" + method, method: found}, nil
			}
		}
	}
	return nil, &NotFoundError{Kind: "runtime API", Name: trait + "_" + method}
}

// Name returns what state_call calls it: Trait_method.
func (c *Method) Name() string { return c.name }

// Inputs returns the names and types of the arguments.
func (c *Method) Inputs() []Field { return c.method.Inputs }

// Output returns the type of the result.
func (c *Method) Output() TypeID { return c.method.Output }

// Encode returns the arguments of a call.
func (c *Method) Encode(args ...any) ([]byte, error) {
	if len(args) != len(c.method.Inputs) {
		return nil, mismatch("%s has %d arguments, %d given", c.name, len(c.method.Inputs), len(args))
	}
	var data []byte
	for i, input := range c.method.Inputs {
		encoded, err := c.metadata.Encode(input.Type, args[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", c.name, input.Name, err)
		}
		data = append(data, encoded...)
	}
	return data, nil
}

// Decode decodes the result of a call into what target points to. A result that the runtime wraps
// into bytes without a type, as runtimes of 2024 do, is refused with ErrType unless target is a
// []byte.
func (c *Method) Decode(result []byte, target any) error {
	if err := c.metadata.Decode(c.method.Output, result, target); err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	return nil
}

// FieldIndex returns the position of a field in a struct of the metadata, through Option and other
// wrappers of one type: some runtime APIs are asked for fields by position.
func (m *Metadata) FieldIndex(id TypeID, field string) (int, error) {
	for range maxDepth {
		typ := m.typ(id)
		switch {
		case isOption(typ):
			id = typ.Variants[1].Fields[0].Type
		case typ.Kind == KindComposite && len(typ.Fields) == 1 && typ.Fields[0].Name == "":
			id = typ.Fields[0].Type
		default:
			i := slices.IndexFunc(typ.Fields, func(f Field) bool { return f.Name == field })
			if i < 0 {
				return 0, &NotFoundError{Kind: "field", Name: strings.Join(typ.Path, "::") + "." + field}
			}
			return i, nil
		}
	}
	return 0, malformed("a type contains itself")
}

func variantByIndex(variants []VariantType, index uint8) *VariantType {
	for i := range variants {
		if variants[i].Index == index {
			return &variants[i]
		}
	}
	return nil
}

func variantByName(variants []VariantType, name string) *VariantType {
	for i := range variants {
		if variants[i].Name == name {
			return &variants[i]
		}
	}
	return nil
}

// isOption reports whether a type is Rust's Option: its path is the bare name.
func isOption(typ *Type) bool {
	return typ.Kind == KindVariant && len(typ.Path) == 1 && typ.Path[0] == "Option" &&
		len(typ.Variants) == 2 && typ.Variants[0].Index == 0 && typ.Variants[1].Index == 1 &&
		len(typ.Variants[0].Fields) == 0 && len(typ.Variants[1].Fields) == 1
}
