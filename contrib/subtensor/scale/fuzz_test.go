package scale_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// What is parsed is written and parsed again as the same; and whatever a node sends, what can be
// asked of it ends.
func FuzzParse(f *testing.F) {
	for _, version := range []uint8{15, 16} {
		f.Add(kit(f, version).Marshal())
	}
	f.Add([]byte("meta\x10\x04\x00\x00\x00\x05\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := scale.Parse(data)
		if err != nil {
			return
		}
		again, err := scale.Parse(m.Marshal())
		require.NoError(t, err)
		requireSameMetadata(t, m, again)
		use(m, data)
	})
}

// use asks a little of everything.
func use(m *scale.Metadata, data []byte) {
	var raw scale.Raw
	for id := range min(len(m.Types), 50) {
		_ = m.Decode(scale.TypeID(id), data[:min(len(data), 200)], &raw)
		_ = m.Decode(scale.TypeID(id), nil, &raw)
		_, _ = m.Encode(scale.TypeID(id), []byte("text"))
		_, _ = m.FieldIndex(scale.TypeID(id), "block")
	}
	for _, pallet := range m.Pallets {
		_, _ = m.ModuleError(pallet.Index, 0)
		for _, item := range pallet.Storage {
			if found, err := m.Storage(pallet.Name, item.Name); err == nil {
				_, _ = found.Key(uint16(1), alice)
				_, _ = found.Decode(nil, &raw)
			}
		}
	}
	_, _ = m.Events(data)
	_, _ = m.Payload(scale.Transaction{})
	_, _ = m.ParseExtrinsic(data)
	_, _, _ = m.ParseCall(data)
}

// A value that is read is written as the same bytes, since SCALE has one form for each.
func FuzzValues(f *testing.F) {
	m := kit(f, 16)
	raw, _ := apiVector(f, "NeuronInfoRuntimeApi_get_neurons_lite")
	f.Add(uint16(3), raw)
	raw, _ = apiVector(f, "SubnetInfoRuntimeApi_get_selective_metagraph")
	f.Add(uint16(40), raw)
	f.Add(uint16(20), []byte(runtime218(f).Axon.Raw))
	f.Fuzz(func(t *testing.T, id uint16, data []byte) {
		typ := scale.TypeID(id) % scale.TypeID(len(m.Types))
		var value scale.Raw
		if m.Decode(typ, data, &value) != nil {
			return
		}
		require.True(t, bytes.Equal(data, value.Bytes))
		var variant scale.Variant
		if m.Decode(typ, data, &variant) == nil {
			again, err := m.Encode(typ, variant)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, again))
		}
		var number uint64
		if m.Decode(typ, data, &number) == nil {
			again, err := m.Encode(typ, number)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, again))
		}
	})
}

func FuzzNeurons(f *testing.F) {
	m := kit(f, 16)
	api, err := m.API("NeuronInfoRuntimeApi", "get_neurons_lite")
	require.NoError(f, err)
	raw, _ := apiVector(f, "NeuronInfoRuntimeApi_get_neurons_lite")
	f.Add(raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		var neurons []neuronLite
		if api.Decode(data, &neurons) == nil {
			require.LessOrEqual(t, len(neurons)*100, len(data), "a neuron takes more than 100 bytes")
		}
	})
}

// An extrinsic that is read is written as the same bytes.
func FuzzExtrinsic(f *testing.F) {
	m := kit(f, 16)
	for _, vector := range readVectors[extrinsicVectors](f, "extrinsics_spec424.json").Cases {
		f.Add([]byte(vector.Extrinsic))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := m.ParseExtrinsic(data)
		if err != nil {
			return
		}
		require.Equal(t, parsed.Era.Birth(parsed.Era.Birth(1000)), parsed.Era.Birth(1000))
		written, err := m.SignedExtrinsic(scale.Transaction{
			Call: parsed.Call, Era: parsed.Era, Nonce: parsed.Nonce,
		}, parsed.Key, parsed.Signature)
		require.NoError(t, err)
		again, err := m.ParseExtrinsic(written) // a tip is not kept
		require.NoError(t, err)
		require.Equal(t, parsed, again)
	})
}
