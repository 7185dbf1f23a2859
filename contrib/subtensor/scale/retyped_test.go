package scale_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// A runtime can give its fields names, take them away, or make them empty. A struct that was
// written for the form before must not be left with zeros.
func TestAStructForAnotherFormIsRefused(t *testing.T) {
	t.Parallel()
	type positional struct {
		Index uint16
		Who   [4]byte
	}
	type tagged struct {
		Who uint16 `scale:"who"`
	}
	type untagged struct{ Some *uint8 }
	type empty struct {
		Stake uint64 `scale:"stake"`
	}
	for name, tt := range map[string]struct {
		define func(r *scale.Registry) scale.TypeID
		data   []byte
		target any
		want   error
	}{
		"names for a struct without tags": {
			func(r *scale.Registry) scale.TypeID {
				return r.Struct("Named", "index", "u16", "who", "[u8; 4]")
			}, []byte{7, 0, 1, 2, 3, 4}, new(positional), scale.ErrType,
		},
		"no names for a struct with tags": {
			func(r *scale.Registry) scale.TypeID {
				return r.Struct("Unnamed", "", "u16", "", "[u8; 4]")
			}, []byte{7, 0, 1, 2, 3, 4}, new(tagged), scale.ErrNotFound,
		},
		"variants for a struct without tags": {
			func(r *scale.Registry) scale.TypeID {
				return r.Enum("One", scale.VariantType{Name: "Some", Fields: r.Fields("", "u8")})
			}, []byte{0, 7}, new(untagged), scale.ErrType,
		},
		"no fields for a struct with tags": {
			func(r *scale.Registry) scale.TypeID { return r.Struct("Nothing") },
			nil, new(tagged), scale.ErrNotFound,
		},
		"no fields for a struct without tags": {
			func(r *scale.Registry) scale.TypeID { return r.Type("()") },
			nil, new(positional), scale.ErrType,
		},
		"a compact number of nothing": {
			func(r *scale.Registry) scale.TypeID {
				return r.Struct("Empty", "stake", "Compact<()>", "other", "u8")
			}, []byte{1}, new(empty), scale.ErrType,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, id := typesOf(t, tt.define)
			require.ErrorIs(t, m.Decode(id, tt.data, tt.target), tt.want)
		})
	}
}

// What the type lacks is named, whatever form the value has, and not left out.
func TestFieldsThatTheTypeLacksAreNamed(t *testing.T) {
	t.Parallel()
	m, id := typesOf(t, func(r *scale.Registry) scale.TypeID {
		return r.Enum("Call", scale.VariantType{Name: "none"},
			scale.VariantType{Name: "one", Index: 1, Fields: r.Fields("netuid", "u16")},
			scale.VariantType{Name: "two", Index: 2, Fields: r.Fields("netuid", "u16", "dest", "u16")})
	})
	type args struct {
		Netuid uint16 `scale:"netuid"`
		Dest   uint16 `scale:"dest"`
		Key    uint64 `scale:"key"`
	}
	for _, call := range []string{"none", "one", "two"} {
		for _, value := range []any{
			args{1, 2, 3}, map[string]any{"netuid": 1, "dest": 2, "key": 3},
		} {
			_, err := m.Encode(id, scale.Variant{Name: call, Value: value})
			require.ErrorIs(t, err, scale.ErrNotFound, "%s of %T", call, value)
		}
	}
	for _, value := range []any{nil, struct{}{}, map[string]any{}, []any{}} {
		data, err := m.Encode(id, scale.Variant{Name: "none", Value: value})
		require.NoError(t, err)
		require.Equal(t, []byte{0}, data)
	}
}
