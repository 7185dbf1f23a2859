package scale

import (
	"reflect"
	"strings"
)

// layout says which field of a Go struct belongs to which field of a composite, or to which variant
// of an enum; -1 is none.
type layout struct {
	of   []int
	name int   // the field that receives the name of the variant
	err  error // the struct does not fit
}

// layoutKey is a list of fields or variants of the metadata, by the address of the first, and the
// Go struct.
type layoutKey struct {
	items any // *Field, *VariantType or *TypeID
	typ   reflect.Type
}

// cached returns the layout for the key, and computes it if it is not known yet.
func (m *Metadata) cached(key layoutKey, compute func() *layout) *layout {
	if known, ok := m.layouts.Load(key); ok {
		return known.(*layout) //nolint:forcetypeassert // nothing else is stored
	}
	computed := compute()
	m.layouts.Store(key, computed)
	return computed
}

// fieldLayout matches named fields by tag, and unnamed ones by position. A struct that was written
// for the other kind is refused, since its fields would stay zero or receive what they do not name.
func (m *Metadata) fieldLayout(fields []Field, typ reflect.Type) *layout {
	if len(fields) == 0 {
		return byTag(0, nil, typ, "field", false)
	}
	return m.cached(layoutKey{&fields[0], typ}, func() *layout {
		if fields[0].Name == "" {
			return unnamed(len(fields), typ)
		}
		return byTag(len(fields), func(i int) string { return fields[i].Name }, typ, "field", false)
	})
}

func (m *Metadata) tupleLayout(elems []TypeID, typ reflect.Type) *layout {
	if len(elems) == 0 {
		return byPosition(0, typ)
	}
	return m.cached(layoutKey{&elems[0], typ}, func() *layout { return byPosition(len(elems), typ) })
}

// variantLayout matches variants by tag. A variant that the metadata lacks cannot occur, so that
// its absence is no error.
func (m *Metadata) variantLayout(variants []VariantType, typ reflect.Type) *layout {
	if len(variants) == 0 {
		return &layout{name: -1}
	}
	return m.cached(layoutKey{&variants[0], typ}, func() *layout {
		return byTag(len(variants), func(i int) string { return variants[i].Name }, typ, "variant", true)
	})
}

// unnamed is byPosition for fields, of which a tag cannot name any.
func unnamed(count int, typ reflect.Type) *layout {
	for field := range typ.Fields() {
		tag, _, _ := strings.Cut(field.Tag.Get("scale"), ",")
		if tag != "" {
			return &layout{err: &NotFoundError{Kind: "field", Name: tag}}
		}
	}
	return byPosition(count, typ)
}

func byPosition(count int, typ reflect.Type) *layout {
	l := none(count)
	next := 0
	for i := range typ.NumField() {
		if !typ.Field(i).IsExported() {
			continue
		}
		if next == count {
			l.err = mismatch("%v has more fields than the chain's %d", typ, count)
			return l
		}
		l.of[next] = i
		next++
	}
	return l
}

func byTag(count int, name func(int) string, typ reflect.Type, kind string, optional bool) *layout {
	l := none(count)
	for i := range typ.NumField() {
		if !typ.Field(i).IsExported() {
			continue
		}
		tag, option, _ := strings.Cut(typ.Field(i).Tag.Get("scale"), ",")
		if tag == "" {
			if option != "name" {
				l.err = mismatch("the field %s of %v has no tag, as named ones need", typ.Field(i).Name, typ)
				return l
			}
			l.name = i
			continue
		}
		found := false
		for j := range count {
			if name(j) == tag {
				l.of[j], found = i, true
			}
		}
		if !found && !optional && option != "optional" {
			l.err = &NotFoundError{Kind: kind, Name: tag}
			return l
		}
	}
	return l
}

func none(count int) *layout {
	l := &layout{of: make([]int, count), name: -1}
	for i := range l.of {
		l.of[i] = -1
	}
	return l
}
