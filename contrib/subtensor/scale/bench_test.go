package scale_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// Metadata is parsed once for each runtime. The floor is decoding the hexadecimal text in which a
// node sends it.
func BenchmarkParse(b *testing.B) {
	for _, tt := range []struct {
		name string
		data func(b *testing.B) []byte
	}{
		{"kit", func(b *testing.B) []byte { b.Helper(); return kit(b, 16).Marshal() }},
		{"mainnet", func(b *testing.B) []byte { b.Helper(); return realFile(b, "finney-424-v16.scale") }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			data := tt.data(b)
			text := []byte(hex.EncodeToString(data))
			b.Run("floor", func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if _, err := hex.Decode(make([]byte, len(data)), text); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("organic", func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if _, err := scale.Parse(data); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// neurons encodes the neurons of a subnet.
func neurons(b *testing.B, m *scale.Metadata, count int) []byte {
	b.Helper()
	raw, _ := apiVector(b, "NeuronInfoRuntimeApi_get_neurons_lite")
	api, err := m.API("NeuronInfoRuntimeApi", "get_neurons_lite")
	require.NoError(b, err)
	var pair []scale.Raw
	require.NoError(b, api.Decode(raw, &pair))
	all := make([]scale.Raw, count)
	for i := range all {
		all[i] = pair[i%2]
	}
	data, err := m.Encode(api.Output(), all)
	require.NoError(b, err)
	return data
}

// byHand reads the neurons by the layout of one runtime, written down in code.
func byHand(data []byte) []neuronLite {
	count, data := compact(data)
	all := make([]neuronLite, count)
	for i := range all {
		n := &all[i]
		n.Hotkey, data = [32]byte(data), data[64:]
		var number uint64
		number, data = compact(data)
		n.UID = uint16(number)
		number, data = compact(data)
		n.Netuid = uint16(number)
		n.Active, data = data[0] == 1, data[1:]
		n.Axon = axonInfo{
			Block: binary.LittleEndian.Uint64(data), Version: binary.LittleEndian.Uint32(data[8:]),
			IP: [16]byte(data[12:]), Port: binary.LittleEndian.Uint16(data[28:]),
			IPType: data[30], Protocol: data[31],
		}
		data = data[34+31:]
		number, data = compact(data)
		n.Stake = make([]stake, number)
		for j := range n.Stake {
			n.Stake[j].Account, data = [32]byte(data), data[32:]
			n.Stake[j].Amount, data = compact(data)
		}
		for range 7 {
			_, data = compact(data)
		}
		n.LastUpdate, data = compact(data)
		n.Permit, data = data[0] == 1, data[1:]
		_, data = compact(data)
	}
	return all
}

func compact(data []byte) (n uint64, rest []byte) {
	switch data[0] & 3 {
	case 0:
		return uint64(data[0] >> 2), data[1:]
	case 1:
		return uint64(binary.LittleEndian.Uint16(data) >> 2), data[2:]
	case 2:
		return uint64(binary.LittleEndian.Uint32(data) >> 2), data[4:]
	}
	width := int(data[0]>>2) + 4
	for i := width; i > 0; i-- {
		n = n<<8 | uint64(data[i])
	}
	return n, data[1+width:]
}

// A metagraph is decoded each time it is refreshed. The floor is code for the layout of one
// runtime.
func BenchmarkMetagraph(b *testing.B) {
	m := kit(b, 16)
	api, err := m.API("NeuronInfoRuntimeApi", "get_neurons_lite")
	require.NoError(b, err)
	for _, count := range []int{256, 4096} {
		data := neurons(b, m, count)
		var decoded []neuronLite
		require.NoError(b, api.Decode(data, &decoded))
		require.Equal(b, byHand(data), decoded)
		b.Run(fmt.Sprintf("%d/floor", count), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				byHand(data)
			}
		})
		b.Run(fmt.Sprintf("%d/organic", count), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if err := api.Decode(data, &decoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// An extrinsic of 256 weights. The floor puts the same bytes together by hand.
func BenchmarkExtrinsic(b *testing.B) {
	m := kit(b, 16)
	vector := make([]uint16, 256)
	for i := range vector {
		vector[i] = uint16(i)
	}
	tx := scale.Transaction{
		Era: scale.MortalEra(1000, 64), Nonce: 7, SpecVersion: 424,
		TransactionVersion: 1,
	}
	build := func() ([]byte, []byte) {
		var err error
		tx.Call, err = m.Call("SubtensorModule", "set_mechanism_weights", map[string]any{
			"netuid": 1, "mecid": 0, "dests": vector, "weights": vector, "version_key": 0,
		})
		if err != nil {
			b.Fatal(err)
		}
		payload, err := m.Payload(tx)
		if err != nil {
			b.Fatal(err)
		}
		extrinsic, err := m.SignedExtrinsic(tx, alice, [64]byte{})
		if err != nil {
			b.Fatal(err)
		}
		return payload, extrinsic
	}
	floor := func() ([]byte, []byte) { return extrinsicByHand(tx, vector) }
	wantPayload, wantExtrinsic := build()
	gotPayload, gotExtrinsic := floor()
	require.Equal(b, wantPayload, gotPayload)
	require.Equal(b, wantExtrinsic, gotExtrinsic)
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			floor()
		}
	})
	b.Run("organic", func(b *testing.B) {
		for b.Loop() {
			build()
		}
	})
}

func extrinsicByHand(tx scale.Transaction, vector []uint16) (payload, extrinsic []byte) {
	call := []byte{7, 119, 1, 0, 0}
	for range 2 {
		call = binary.LittleEndian.AppendUint16(call, uint16(len(vector)<<2|1))
		for _, value := range vector {
			call = binary.LittleEndian.AppendUint16(call, value)
		}
	}
	call = binary.LittleEndian.AppendUint64(call, 0)
	extra := append(tx.Era.Bytes(), byte(tx.Nonce<<2), 0, 0)
	implicit := binary.LittleEndian.AppendUint32(nil, tx.SpecVersion)
	implicit = binary.LittleEndian.AppendUint32(implicit, tx.TransactionVersion)
	implicit = slices.Concat(implicit, tx.Genesis[:], tx.BirthHash[:], []byte{0})
	hash := blake2b.Sum256(slices.Concat(call, extra, implicit))
	var signature [64]byte
	body := slices.Concat([]byte{0x84, 0}, alice[:], []byte{1}, signature[:], extra, call)
	return hash[:], scale.AppendBytes(nil, body)
}
