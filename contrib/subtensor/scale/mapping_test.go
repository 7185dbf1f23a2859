package scale_test

import (
	"bytes"
	"math"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// typesOf is metadata of nothing but types.
func typesOf(
	tb testing.TB, define func(r *scale.Registry) scale.TypeID,
) (*scale.Metadata, scale.TypeID) {
	tb.Helper()
	r := scale.NewRegistry()
	id := define(r)
	require.NoError(tb, r.Err())
	return &scale.Metadata{Version: 16, Types: r.Types()}, id
}

func typeOf(expression string) func(r *scale.Registry) scale.TypeID {
	return func(r *scale.Registry) scale.TypeID { return r.Type(expression) }
}

type named struct {
	First  uint8  `scale:"first"`
	Second string `scale:"second"`
}

func pair(r *scale.Registry) scale.TypeID {
	return r.Struct("Pair", "first", "u8", "second", "str")
}

type choice struct {
	Name   string  `scale:",name"`
	Single *uint16 `scale:"Single"`
	Named  *named  `scale:"Named"`
	Two    *two    `scale:"Two"`
}

type two struct {
	A uint8
	B bool
}

func enum(r *scale.Registry) scale.TypeID {
	return r.Enum("Choice",
		scale.VariantType{Name: "Nothing", Index: 0},
		scale.VariantType{Name: "Single", Index: 3, Fields: r.Fields("", "u16")},
		scale.VariantType{Name: "Named", Index: 7, Fields: r.Fields("first", "u8", "second", "str")},
		scale.VariantType{Name: "Two", Index: 9, Fields: r.Fields("", "u8", "", "bool")})
}

// Values have one form in Go and one on the chain.
func TestValuesAreReadAndWritten(t *testing.T) {
	t.Parallel()
	check := func(name string, define func(r *scale.Registry) scale.TypeID, value any, target any,
		want ...byte,
	) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, id := typesOf(t, define)
			data, err := m.Encode(id, value)
			require.NoError(t, err)
			require.Equal(t, append([]byte(nil), want...), append([]byte(nil), data...))
			require.NoError(t, m.Decode(id, data, target))
			require.Equal(t, value, reflect.ValueOf(target).Elem().Interface())
		})
	}
	check("bool", typeOf("bool"), true, new(bool), 1)
	check("text", typeOf("str"), "ab", new(string), 8, 'a', 'b')
	check("u8", typeOf("u8"), uint8(255), new(uint8), 255)
	check("u16", typeOf("u16"), uint16(258), new(uint16), 2, 1)
	check("u32 in a wider integer", typeOf("u32"), uint64(1), new(uint64), 1, 0, 0, 0)
	check("u64 in a signed integer", typeOf("u64"), 5, new(int), 5, 0, 0, 0, 0, 0, 0, 0)
	check("u128 in an integer", typeOf("u128"), uint64(math.MaxUint64), new(uint64),
		append(bytes.Repeat([]byte{255}, 8), make([]byte, 8)...)...)
	check("u128 in bytes", typeOf("u128"), [16]byte{15: 9}, new([16]byte),
		append(make([]byte, 15), 9)...)
	check("u256 in bytes", typeOf("u256"), [32]byte{1}, new([32]byte),
		append([]byte{1}, make([]byte, 31)...)...)
	check("i8", typeOf("i8"), int8(-2), new(int8), 254)
	check("i64", typeOf("i64"), int64(math.MinInt64), new(int64), 0, 0, 0, 0, 0, 0, 0, 128)
	check("i128 in an integer", typeOf("i128"), int64(-1), new(int64),
		bytes.Repeat([]byte{255}, 16)...)
	check("compact of a byte", typeOf("Compact<u64>"), uint64(63), new(uint64), 252)
	check("compact of two bytes", typeOf("Compact<u64>"), uint64(64), new(uint64), 1, 1)
	check("compact of four bytes", typeOf("Compact<u32>"), uint32(1<<14), new(uint32), 2, 0, 1, 0)
	check("compact of many bytes", typeOf("Compact<u64>"), uint64(1<<30), new(uint64), 3, 0, 0, 0, 64)
	check("the highest compact", typeOf("Compact<u64>"), uint64(math.MaxUint64), new(uint64),
		append([]byte{19}, bytes.Repeat([]byte{255}, 8)...)...)
	check("wide compact", typeOf("Compact<u128>"), [16]byte{9: 1}, new([16]byte), 27, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 1)
	check("bytes", typeOf("Vec<u8>"), []byte{1, 2}, new([]byte), 8, 1, 2)
	check("no bytes", typeOf("Vec<u8>"), []byte{}, new([]byte), 0)
	check("array of bytes", typeOf("[u8; 3]"), [3]byte{1, 2, 3}, new([3]byte), 1, 2, 3)
	check("array of bytes in a slice", typeOf("[u8; 3]"), []byte{1, 2, 3}, new([]byte), 1, 2, 3)
	check("array of arrays", typeOf("[[u16; 2]; 1]"), [1][2]uint16{{1, 2}}, new([1][2]uint16), 1, 0,
		2, 0)
	check("sequence", typeOf("Vec<u16>"), []uint16{1, 2}, new([]uint16), 8, 1, 0, 2, 0)
	check("account", typeOf("AccountId32"), alice, new([32]byte), alice[:]...)
	check("none", typeOf("Option<u16>"), (*uint16)(nil), new(*uint16), 0)
	check("some", typeOf("Option<u16>"), new(uint16(1)), new(*uint16), 1, 1, 0)
	check("option of an option", typeOf("Option<Option<u8>>"), new((*uint8)(nil)), new(**uint8), 1, 0)
	check("unit", typeOf("()"), struct{}{}, new(struct{}))
	check("tuple", typeOf("(u8, bool)"), two{5, true}, new(two), 5, 1)
	check("list of tuples", typeOf("Vec<(u8, bool)>"), []two{{5, true}}, new([]two), 4, 5, 1)
	check("struct", pair, named{1, "a"}, new(named), 1, 4, 'a')
	check("enum without content", enum, choice{Name: "Nothing"}, new(choice), 0)
	check("enum of one value", enum, choice{Name: "Single", Single: new(uint16(5))}, new(choice), 3,
		5, 0)
	check("enum of a struct", enum, choice{Name: "Named", Named: &named{1, "a"}}, new(choice), 7, 1,
		4, 'a')
	check("enum of a tuple", enum, choice{Name: "Two", Two: &two{1, true}}, new(choice), 9, 1, 1)
}

// Go values of other forms are taken for writing, and variants are read by name.
func TestOtherFormsOfValues(t *testing.T) {
	t.Parallel()
	m, id := typesOf(t, enum)
	for name, value := range map[string]any{
		"struct":        choice{Named: &named{1, "a"}},
		"pointer to it": &choice{Named: &named{1, "a"}},
		"variant and map": scale.Variant{
			Name:  "Named",
			Value: map[string]any{"first": 1, "second": "a"},
		},
		"variant and tuple": scale.Variant{Name: "Named", Value: []any{1, "a"}},
	} {
		data, err := m.Encode(id, value)
		require.NoError(t, err, name)
		require.Equal(t, []byte{7, 1, 4, 'a'}, data, name)
	}
	var text string
	require.NoError(t, m.Decode(id, []byte{7, 1, 4, 'a'}, &text))
	require.Equal(t, "Named", text)
	var variant scale.Variant
	require.NoError(t, m.Decode(id, []byte{7, 1, 4, 'a'}, &variant))
	require.Equal(t, "Named", variant.Name)
	var inner named
	require.NoError(t, variant.Decode(&inner))
	require.Equal(t, named{1, "a"}, inner)
	again, err := m.Encode(id, variant)
	require.NoError(t, err)
	require.Equal(t, []byte{7, 1, 4, 'a'}, again)
	var raw scale.Raw
	require.NoError(t, m.Decode(id, []byte{7, 1, 4, 'a'}, &raw))
	require.NoError(t, raw.Decode(&text))
	require.Equal(t, "Named", text)
	again, err = m.Encode(id, raw)
	require.NoError(t, err)
	require.Equal(t, []byte{7, 1, 4, 'a'}, again)
	require.ErrorIs(t, scale.Raw{}.Decode(&text), scale.ErrType)
	require.ErrorIs(t, scale.Variant{Name: "Named"}.Decode(&text), scale.ErrType)
}

// What the Go struct does not name is skipped, whatever it is.
func TestFieldsThatAreNotNamedAreSkipped(t *testing.T) {
	t.Parallel()
	m, id := typesOf(t, func(r *scale.Registry) scale.TypeID {
		choices := r.Define("Choices", scale.Type{Kind: scale.KindSequence, Elem: enum(r)})
		pair(r)
		bits := r.Define("Bits", scale.Type{
			Kind: scale.KindBitSequence, Elem: r.Type("u8"),
			Order: r.Type("()"),
		})
		return r.Define("Record", scale.Type{Kind: scale.KindComposite, Fields: append(
			r.Fields("a", "Vec<u16>", "b", "Vec<bool>", "c", "Option<str>", "d", "[u64; 2]", "e", "Pair",
				"f", "Compact<u128>", "g", "(u8, Vec<Vec<u8>>)", "h", "i256", "i", "()"),
			scale.Field{Name: "j", Type: choices}, scale.Field{Name: "k", Type: bits},
			scale.Field{Name: "last", Type: r.Type("u8")})})
	})
	record := []byte{8, 1, 0, 2, 0, 8, 0, 1, 1, 4, 'x'}
	record = append(record, make([]byte, 16)...)     // d
	record = append(record, 1, 4, 'a', 4)            // e, f
	record = append(record, 9, 8, 4, 1, 0)           // g
	record = append(record, make([]byte, 32)...)     // h
	record = append(record, 12, 0, 3, 1, 0, 9, 1, 1) // j
	record = append(record, 40, 255, 3)              // k: ten bits
	record = append(record, 77)
	var target struct {
		Last uint8 `scale:"last"`
	}
	require.NoError(t, m.Decode(id, record, &target))
	require.Equal(t, uint8(77), target.Last)
	for cut := range record {
		require.ErrorIs(t, m.Decode(id, record[:cut], &target), scale.ErrMalformed)
	}
	require.ErrorIs(t, m.Decode(id, append(record, 0), &target), scale.ErrMalformed)
}

func TestMissingFieldsAreNamed(t *testing.T) {
	t.Parallel()
	m, id := typesOf(t, pair)
	var target struct {
		First uint8  `scale:"first"`
		Third uint64 `scale:"third"`
	}
	err := m.Decode(id, []byte{1, 4, 'a'}, &target)
	require.ErrorIs(t, err, scale.ErrNotFound)
	require.ErrorContains(t, err, "field third")
	var optional struct {
		First uint8  `scale:"first"`
		Third uint64 `scale:"third,optional"`
	}
	require.NoError(t, m.Decode(id, []byte{1, 4, 'a'}, &optional))
	require.Equal(t, uint8(1), optional.First)
}

func TestValuesOfOtherTypesAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		define func(r *scale.Registry) scale.TypeID
		data   []byte
		target any
	}{
		{"a number that does not fit", typeOf("u16"), []byte{0, 1}, new(uint8)},
		{"a negative number for an unsigned", typeOf("i8"), []byte{255}, new(uint64)},
		{"a high number for a signed", typeOf("u64"), bytes.Repeat([]byte{255}, 8), new(int64)},
		{"a wide number", typeOf("u128"), bytes.Repeat([]byte{255}, 16), new(uint64)},
		{"a wide negative number", typeOf("i128"), append(make([]byte, 15), 128), new(int64)},
		{"a number for a bool", typeOf("u8"), []byte{1}, new(bool)},
		{"a bool for a number", typeOf("bool"), []byte{1}, new(uint8)},
		{"a text for bytes", typeOf("str"), []byte{0}, new([]byte)},
		{"bytes for a text", typeOf("Vec<u8>"), []byte{0}, new(string)},
		{"a list for a number", typeOf("Vec<u16>"), []byte{0}, new(uint16)},
		{"another array", typeOf("[u8; 3]"), []byte{1, 2, 3}, new([4]byte)},
		{"an option for a value", typeOf("Option<u8>"), []byte{1, 1}, new(uint8)},
		{"an enum for a number", enum, []byte{0}, new(uint8)},
		{"a variant without a pointer", enum, []byte{3, 1, 0}, new(struct {
			Single uint16 `scale:"Single"`
		})},
		{"a struct for a number", pair, []byte{1, 0}, new(uint8)},
		{"a tuple for a number", typeOf("(u8, u8)"), []byte{1, 0}, new(uint8)},
		{"more fields than the tuple", typeOf("(u8, u8)"), []byte{1, 0}, new(struct{ A, B, C uint8 })},
		{"a struct for a variant", pair, []byte{1, 0}, new(scale.Variant)},
		{"a tuple for a variant", typeOf("(u8, u8)"), []byte{1, 0}, new(scale.Variant)},
		{"no pointer", typeOf("u8"), []byte{1}, uint8(1)},
		{"a nil pointer", typeOf("u8"), []byte{1}, (*uint8)(nil)},
		{"nothing", typeOf("u8"), []byte{1}, nil},
	} {
		m, id := typesOf(t, tt.define)
		require.ErrorIs(t, m.Decode(id, tt.data, tt.target), scale.ErrType, tt.name)
	}
}

func TestMalformedValuesAreRefused(t *testing.T) {
	t.Parallel()
	var raw scale.Raw
	for _, tt := range []struct {
		name   string
		define func(r *scale.Registry) scale.TypeID
		data   []byte
	}{
		{"a bool of 2", typeOf("bool"), []byte{2}},
		{"an option of 2", typeOf("Option<u8>"), []byte{2, 0}},
		{"a variant that is not there", enum, []byte{1}},
		{"a compact longer than needed", typeOf("Compact<u32>"), []byte{1, 0}},
		{"a compact of four bytes longer than needed", typeOf("Compact<u32>"), []byte{2, 0, 0, 0}},
		{"a big compact longer than needed", typeOf("Compact<u64>"), []byte{3, 1, 0, 0, 0}},
		{
			"a wide compact longer than needed", typeOf("Compact<u128>"),
			append([]byte{23}, append(make([]byte, 8), 1, 0)...),
		},
		{"a compact beyond its type", typeOf("Compact<u16>"), []byte{2, 0, 4, 0}},
		{"a compact of 67 bytes", typeOf("Compact<u128>"), append([]byte{255}, make([]byte, 67)...)},
		{"a list beyond the input", typeOf("Vec<u8>"), []byte{16, 1, 2, 3}},
		{"a list of a billion", typeOf("Vec<u64>"), []byte{3, 0, 0, 0, 64}},
		{"a list of a billion without content", typeOf("Vec<()>"), []byte{3, 0, 0, 0, 64}},
		{"a text beyond the input", typeOf("str"), []byte{252}},
		{"something left over", typeOf("u8"), []byte{1, 2}},
		{"nothing", typeOf("u8"), nil},
	} {
		m, id := typesOf(t, tt.define)
		require.ErrorIs(t, m.Decode(id, tt.data, &raw), scale.ErrMalformed, tt.name)
	}
}

// Metadata that a node has made up can describe types that contain themselves, or that take for
// ever without a byte of input.
func TestHostileTypesEnd(t *testing.T) {
	t.Parallel()
	composite := func(fields ...scale.Field) scale.Type {
		return scale.Type{Kind: scale.KindComposite, Fields: fields}
	}
	one := func(id scale.TypeID) scale.Field { return scale.Field{Type: id} }
	for name, types := range map[string][]scale.Type{
		"a struct in itself":  {composite(one(0))},
		"two in each other":   {composite(one(1)), composite(one(0))},
		"a tuple of itself":   {{Kind: scale.KindTuple, Elems: []scale.TypeID{0, 0}}},
		"a compact of itself": {{Kind: scale.KindCompact, Elem: 0}},
		"a compact in a loop": {{Kind: scale.KindCompact, Elem: 1}, composite(one(1))},
		"an array of itself":  {{Kind: scale.KindArray, Len: 2, Elem: 0}},
		"nothing, 2^32 times": {
			{Kind: scale.KindArray, Len: math.MaxUint32, Elem: 1},
			{Kind: scale.KindTuple},
		},
		"bytes, 2^32 times": {
			{Kind: scale.KindArray, Len: math.MaxUint32, Elem: 1},
			{Kind: scale.KindPrimitive, Primitive: scale.U8},
		},
		"nothing, doubled":     doubled(60),
		"bits without a store": {{Kind: scale.KindBitSequence, Elem: 0}},
	} {
		m := &scale.Metadata{Version: 16, Types: types}
		for _, data := range [][]byte{nil, make([]byte, 64)} {
			for _, target := range []any{
				new(scale.Raw), new([]byte), new([]struct{}),
				new(struct{ A, B struct{} }), new(uint64),
			} {
				require.Error(t, m.Decode(0, data, target), name)
			}
		}
		_, err := m.Encode(0, 1)
		require.Error(t, err, name)
		_, err = m.FieldIndex(0, "field")
		require.Error(t, err, name)
	}
}

// doubled is a tuple of two tuples of two tuples …, all of them without content.
func doubled(depth scale.TypeID) []scale.Type {
	types := make([]scale.Type, depth)
	for i := range depth - 1 {
		types[i] = scale.Type{Kind: scale.KindTuple, Elems: []scale.TypeID{i + 1, i + 1}}
	}
	types[depth-1] = scale.Type{Kind: scale.KindTuple}
	return types
}

// A list in a list in a list … is refused before the stack is full.
func TestDeepValuesAreRefused(t *testing.T) {
	t.Parallel()
	m := &scale.Metadata{Version: 16, Types: []scale.Type{{Kind: scale.KindSequence, Elem: 0}}}
	type list []list
	var target list
	require.NoError(t, m.Decode(0, append(bytes.Repeat([]byte{4}, 60), 0), &target))
	err := m.Decode(0, append(bytes.Repeat([]byte{4}, 100000), 0), &target)
	require.ErrorIs(t, err, scale.ErrMalformed)
	require.Less(t, len(err.Error()), 1000)
	var deep list
	for range 100 {
		deep = list{deep}
	}
	_, err = m.Encode(0, deep)
	require.ErrorIs(t, err, scale.ErrType)
}

func TestRegistryNamesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"", "Unknown", "Vec<Unknown>", "Vec<", "[u8]", "[u8; x]",
		"[u8; -1]", "(u8, Nope)", "Option<>",
	} {
		r := scale.NewRegistry()
		r.Type(expression)
		require.ErrorIs(t, r.Err(), scale.ErrType, expression)
	}
	r := scale.NewRegistry()
	first := r.Type("Vec<(AccountId32, [Compact<u64>; 3])>")
	require.Equal(t, first, r.Type("Vec<(AccountId32,[Compact<u64>;3])>"))
	require.NoError(t, r.Err())
}
