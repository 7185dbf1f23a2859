package scale_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// requireSameMetadata compares what the metadata says. Names of types and fields are compared with
// all that hangs on them.
func requireSameMetadata(tb testing.TB, want, got *scale.Metadata) {
	tb.Helper()
	for i := range reflect.TypeFor[scale.Metadata]().NumField() {
		field := reflect.TypeFor[scale.Metadata]().Field(i)
		if field.IsExported() {
			require.Equal(tb, reflect.ValueOf(want).Elem().Field(i).Interface(),
				reflect.ValueOf(got).Elem().Field(i).Interface(), field.Name)
		}
	}
}

func TestMarshalledMetadataIsParsedAgain(t *testing.T) {
	t.Parallel()
	for _, version := range []uint8{15, 16} {
		m := kit(t, version)
		require.Equal(t, version, m.Version)
		again, err := scale.Parse(m.Marshal())
		require.NoError(t, err)
		requireSameMetadata(t, m, again)
	}
}

func TestParseRefusesOtherVersionsByName(t *testing.T) {
	t.Parallel()
	for version, name := range map[byte]string{9: "V9", 13: "V13", 14: "V14", 17: "V17", 255: "V255"} {
		_, err := scale.Parse(append([]byte("meta"), version, 0, 0, 0, 0))
		require.ErrorIs(t, err, scale.ErrVersion)
		require.ErrorContains(t, err, name+", must be V15 or V16")
	}
}

func TestParseRefusesDamage(t *testing.T) {
	t.Parallel()
	whole := kit(t, 16).Marshal()
	for _, tt := range []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"no beginning", []byte("atem\x10")},
		{"no version", []byte("meta")},
		{"something left over", append(slices.Clip(whole), 0)},
		{"a billion types announced", append([]byte("meta\x10"), 0x02, 0x09, 0x3d, 0x00)},
		{"more than 2^32 types announced", append([]byte("meta\x10"), 0x13, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff)},
		{"types out of order", []byte("meta\x10\x04\x04\x00\x00\x05\x00\x00")},
		{"a type of no kind", []byte("meta\x10\x04\x00\x00\x00\x08\x00")},
		{"no such primitive", []byte("meta\x10\x04\x00\x00\x00\x05\x0f\x00")},
		{"too large", make([]byte, 5<<20)},
	} {
		_, err := scale.Parse(tt.data)
		require.ErrorIs(t, err, scale.ErrMalformed, tt.name)
	}
	for cut := 5; cut < len(whole); cut += 1 + cut/200 {
		_, err := scale.Parse(whole[:cut])
		require.ErrorIs(t, err, scale.ErrMalformed, "cut at %d", cut)
	}
}

func TestParseRefusesReferencesToMissingTypes(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *scale.Metadata){
		"runtime API":      func(m *scale.Metadata) { m.APIs[0].Methods[0].Output = 9999 },
		"argument":         func(m *scale.Metadata) { m.APIs[0].Methods[0].Inputs[0].Type = 9999 },
		"storage":          func(m *scale.Metadata) { m.Pallets[1].Storage[0].Value = 9999 },
		"storage key":      func(m *scale.Metadata) { m.Pallets[1].Storage[0].Key = 9999 },
		"calls":            func(m *scale.Metadata) { m.Pallets[1].Calls = new(scale.TypeID(9999)) },
		"constant":         func(m *scale.Metadata) { m.Pallets[0].Constants[0].Type = 9999 },
		"signed extension": func(m *scale.Metadata) { m.Extrinsic.Extensions[3].Implicit = 9999 },
		"element":          func(m *scale.Metadata) { m.Types[1].Elem = 9999 },
		"outer event":      func(m *scale.Metadata) { m.Outer.Event = 9999 },
	} {
		m := kit(t, 16)
		change(m)
		_, err := scale.Parse(m.Marshal())
		require.ErrorIs(t, err, scale.ErrMalformed, name)
		require.ErrorContains(t, err, "type 9999", name)
	}
}

func TestModuleErrorsAreNamed(t *testing.T) {
	t.Parallel()
	vectors := readVectors[enumVectors](t, "subtensor_spec424.json")
	for _, m := range everyMetadata(t) {
		for code, name := range vectors.Errors {
			got, err := m.ModuleError(vectors.PalletIndex, code)
			require.NoError(t, err)
			require.Equal(t, "SubtensorModule", got.Pallet)
			require.Equal(t, name, got.Name)
			require.NotEmpty(t, got.Docs)
		}
		_, err := m.ModuleError(vectors.PalletIndex, 255)
		require.ErrorIs(t, err, scale.ErrNotFound)
		_, err = m.ModuleError(250, 0)
		require.ErrorIs(t, err, scale.ErrNotFound)
	}
}

// everyMetadata returns the metadata built here in both versions, and the real one that the vectors
// were made with where it is present.
func everyMetadata(t *testing.T) map[string]*scale.Metadata {
	t.Helper()
	all := map[string]*scale.Metadata{"kit, V15": kit(t, 15), "kit, V16": kit(t, 16)}
	t.Run("real", func(t *testing.T) { all["real"] = realMetadata(t, "finney-424-v16.scale") })
	if all["real"] == nil {
		delete(all, "real")
	}
	return all
}

func TestConstantsAreDecoded(t *testing.T) {
	t.Parallel()
	for name, m := range everyMetadata(t) {
		var prefix uint16
		require.NoError(t, m.Constant("System", "SS58Prefix", &prefix), name)
		require.Equal(t, uint16(42), prefix)
		require.ErrorIs(t, m.Constant("System", "Absent", &prefix), scale.ErrNotFound)
		require.ErrorIs(t, m.Constant("Absent", "SS58Prefix", &prefix), scale.ErrNotFound)
	}
}
