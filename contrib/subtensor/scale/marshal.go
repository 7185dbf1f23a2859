package scale

import "encoding/binary"

// Marshal writes the metadata in its version, 15 or 16, so that [Parse] reads it again: for a node
// that is not real. Documentation is written for variants only.
func (m *Metadata) Marshal() []byte {
	w := &writer{data: append([]byte("meta"), m.Version), v16: m.Version == 16}
	write(w, m.Types, func(typ Type) {
		w.compact(w.next)
		w.next++
		w.typ(typ)
	})
	write(w, m.Pallets, w.pallet)
	w.extrinsic(m.Extrinsic)
	if !w.v16 {
		w.id(m.Runtime)
	}
	write(w, m.APIs, w.api)
	w.ids(m.Outer.Call, m.Outer.Event, m.Outer.Error)
	w.compact(0) // custom
	return w.data
}

// writer writes metadata. Its methods stand in the order of the parts.
type writer struct {
	data []byte
	v16  bool
	next uint64 // number of the next type
}

// write writes a vector, item by item.
func write[T any](w *writer, items []T, item func(T)) {
	w.compact(uint64(len(items)))
	for _, each := range items {
		item(each)
	}
}

func (w *writer) byte(b byte)        { w.data = append(w.data, b) }
func (w *writer) compact(n uint64)   { w.data = AppendCompact(w.data, n) }
func (w *writer) bytes(data []byte)  { w.data = AppendBytes(w.data, data) }
func (w *writer) string(text string) { w.bytes([]byte(text)) }
func (w *writer) id(id TypeID)       { w.compact(uint64(id)) }

func (w *writer) ids(ids ...TypeID) {
	for _, id := range ids {
		w.id(id)
	}
}

// docs writes that there is no documentation; item ends an item, for version 16 with the remark
// that it is not deprecated.
func (w *writer) docs() { w.compact(0) }

func (w *writer) item() {
	w.docs()
	if w.v16 {
		w.byte(0)
	}
}

func (w *writer) typ(typ Type) {
	write(w, typ.Path, w.string)
	w.compact(0) // parameters
	w.byte(byte(typ.Kind))
	switch typ.Kind {
	case KindComposite:
		write(w, typ.Fields, w.field)
	case KindVariant:
		write(w, typ.Variants, w.variant)
	case KindSequence, KindCompact:
		w.id(typ.Elem)
	case KindArray:
		w.data = binary.LittleEndian.AppendUint32(w.data, typ.Len)
		w.id(typ.Elem)
	case KindTuple:
		write(w, typ.Elems, w.id)
	case KindPrimitive:
		w.byte(byte(typ.Primitive))
	case KindBitSequence:
		w.ids(typ.Elem, typ.Order)
	}
	w.docs()
}

func (w *writer) field(field Field) {
	if field.Name == "" {
		w.byte(0)
	} else {
		w.byte(1)
		w.string(field.Name)
	}
	w.id(field.Type)
	w.byte(0) // the type's name in the source
	w.docs()
}

func (w *writer) variant(variant VariantType) {
	w.string(variant.Name)
	write(w, variant.Fields, w.field)
	w.byte(variant.Index)
	write(w, variant.Docs, w.string)
}

func (w *writer) pallet(pallet Pallet) {
	w.string(pallet.Name)
	if len(pallet.Storage) == 0 {
		w.byte(0)
	} else {
		w.byte(1)
		w.string(pallet.Prefix)
		write(w, pallet.Storage, w.storage)
	}
	w.enum(pallet.Calls)
	w.enum(pallet.Events)
	write(w, pallet.Constants, w.constant)
	w.enum(pallet.Errors)
	if w.v16 {
		w.compact(0) // associated types
		w.compact(0) // view functions
	}
	w.byte(pallet.Index)
	w.item()
}

// enum writes the optional type of calls, events or errors.
func (w *writer) enum(id *TypeID) {
	if id == nil {
		w.byte(0)
		return
	}
	w.byte(1)
	w.id(*id)
	if w.v16 {
		w.compact(0) // deprecated variants
	}
}

func (w *writer) storage(item StorageType) {
	w.string(item.Name)
	if item.Optional {
		w.byte(0)
	} else {
		w.byte(1)
	}
	if len(item.Hashers) == 0 {
		w.byte(0)
	} else {
		w.byte(1)
		write(w, item.Hashers, func(h Hasher) { w.byte(byte(h)) })
		w.id(item.Key)
	}
	w.id(item.Value)
	w.bytes(item.Default)
	w.item()
}

func (w *writer) constant(constant ConstantType) {
	w.string(constant.Name)
	w.id(constant.Type)
	w.bytes(constant.Value)
	w.item()
}

func (w *writer) extrinsic(x Extrinsic) {
	if w.v16 {
		w.bytes(x.Versions)
		w.ids(x.Address, x.Call, x.Signature)
		w.compact(1) // one order of the extensions: version 0, as listed
		w.byte(0)
		w.compact(uint64(len(x.Extensions)))
		for i := range uint64(len(x.Extensions)) {
			w.compact(i)
		}
	} else {
		w.byte(extrinsicVersion)
		w.ids(x.Address, x.Call, x.Signature, x.Extra)
	}
	write(w, x.Extensions, func(extension ExtensionType) {
		w.string(extension.Name)
		w.ids(extension.Extra, extension.Implicit)
	})
}

func (w *writer) api(api APIType) {
	w.string(api.Name)
	write(w, api.Methods, w.method)
	w.docs()
	if w.v16 {
		w.compact(1) // version
		w.byte(0)
	}
}

func (w *writer) method(method MethodType) {
	w.string(method.Name)
	write(w, method.Inputs, func(input Field) {
		w.string(input.Name)
		w.id(input.Type)
	})
	w.id(method.Output)
	w.item()
}
