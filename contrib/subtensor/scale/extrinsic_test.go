package scale_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

type extrinsicVectors struct {
	GenesisHash hexText `json:"genesis_hash"`
	BlockHash   hexText `json:"block_hash"`
	SpecVersion uint32  `json:"spec_version"`
	TxVersion   uint32  `json:"transaction_version"`
	Cases       []extrinsicVector
}

type extrinsicVector struct {
	Name        string
	Era         json.RawMessage
	EraHex      hexText `json:"era_hex"`
	Nonce       uint64
	Call        hexText
	Payload     hexText
	SignedBytes hexText `json:"signed_bytes"`
	Signature   hexText
	Extrinsic   hexText
	Hash        hexText `json:"extrinsic_hash"`
}

func (v extrinsicVectors) transaction(t *testing.T, vector extrinsicVector) scale.Transaction {
	t.Helper()
	tx := scale.Transaction{
		Call: vector.Call, Nonce: vector.Nonce,
		SpecVersion: v.SpecVersion, TransactionVersion: v.TxVersion,
		Genesis: [32]byte(v.GenesisHash), BirthHash: [32]byte(v.BlockHash),
	}
	if string(vector.Era) != `"immortal"` {
		var era struct{ Current, Period uint64 }
		require.NoError(t, json.Unmarshal(vector.Era, &era))
		tx.Era = scale.MortalEra(era.Current, era.Period)
	}
	return tx
}

func TestErasAreThoseOfTheVectors(t *testing.T) {
	t.Parallel()
	vectors := readVectors[struct {
		Cases []struct {
			Current, Period, Birth, Death uint64
			Hex                           hexText
		}
	}](t, "era.json")
	for _, vector := range vectors.Cases {
		era := scale.MortalEra(vector.Current, vector.Period)
		name := fmt.Sprintf("%d blocks at %d", vector.Period, vector.Current)
		require.Equal(t, []byte(vector.Hex), era.Bytes(), name)
		require.Equal(t, vector.Birth, era.Birth(vector.Current), name)
		require.Equal(t, vector.Death, era.Death(vector.Current), name)
		require.False(t, era.Immortal())
	}
	require.Equal(t, []byte{0}, scale.Era{}.Bytes())
	require.True(t, scale.Era{}.Immortal())
}

func TestErasHoldTheirFirstBlock(t *testing.T) {
	t.Parallel()
	for period := uint64(1); period <= 1<<17; period = period*3/2 + 1 {
		for _, current := range []uint64{0, 1, 5, 63, 64, 65, 4095, 4096, 100000, 7654321, 1 << 40} {
			era := scale.MortalEra(current, period)
			require.LessOrEqual(t, era.Birth(current), current)
			require.Greater(t, era.Death(current), current)
			require.Equal(t, era.Birth(current), era.Birth(era.Death(current)-1))
		}
	}
}

func TestExtrinsicsAreThoseOfTheVectors(t *testing.T) {
	t.Parallel()
	vectors := readVectors[extrinsicVectors](t, "extrinsics_spec424.json")
	require.Len(t, vectors.Cases, 8)
	for name, m := range everyMetadata(t) {
		for _, vector := range vectors.Cases {
			tx := vectors.transaction(t, vector)
			require.Equal(t, []byte(vector.EraHex), tx.Era.Bytes())
			payload, err := m.Payload(tx)
			require.NoError(t, err, name)
			require.Equal(t, []byte(vector.SignedBytes), payload, vector.Name)
			require.True(t, keys.Verify(keys.SR25519, alice, payload, vector.Signature), vector.Name)
			extrinsic, err := m.SignedExtrinsic(tx, alice, [64]byte(vector.Signature))
			require.NoError(t, err)
			require.Equal(t, []byte(vector.Extrinsic), extrinsic, vector.Name)
			require.Equal(t, [32]byte(vector.Hash), scale.Hash(extrinsic))

			parsed, err := m.ParseExtrinsic(extrinsic)
			require.NoError(t, err)
			require.Equal(t, scale.Parsed{
				Key: alice, Signature: [64]byte(vector.Signature), Era: tx.Era, Nonce: tx.Nonce, Call: tx.Call,
			}, parsed)
		}
	}
}

func TestCallsAreEncodedByName(t *testing.T) {
	t.Parallel()
	type setWeights struct {
		Netuid     uint16   `scale:"netuid"`
		Mechanism  uint8    `scale:"mecid"`
		UIDs       []uint16 `scale:"dests"`
		Weights    []uint16 `scale:"weights"`
		VersionKey uint64   `scale:"version_key"`
	}
	vectors := readVectors[extrinsicVectors](t, "extrinsics_spec424.json")
	for name, m := range everyMetadata(t) {
		call, err := m.Call("SubtensorModule", "set_mechanism_weights",
			setWeights{1, 0, []uint16{0, 1, 5}, []uint16{65535, 32768, 1}, 0})
		require.NoError(t, err, name)
		require.Equal(t, []byte(vectors.Cases[0].Call), call)
		require.True(t, m.HasCall("SubtensorModule", "set_mechanism_weights"))
		require.False(t, m.HasCall("SubtensorModule", "no_such_call"))
		require.False(t, m.HasCall("NoSuchPallet", "set_weights"))

		pallet, parsed, err := m.ParseCall(call)
		require.NoError(t, err)
		require.Equal(t, "SubtensorModule", pallet)
		require.Equal(t, "set_mechanism_weights", parsed.Name)
		var again setWeights
		require.NoError(t, parsed.Decode(&again))
		require.Equal(t, []uint16{65535, 32768, 1}, again.Weights)
		encoded, err := m.Call(pallet, parsed.Name, again)
		require.NoError(t, err)
		require.Equal(t, call, encoded)
	}
}

// The other calls of the vectors, taken apart by name and put together again.
func TestCallsOfTheVectorsAreTakenApart(t *testing.T) {
	t.Parallel()
	vectors := readVectors[extrinsicVectors](t, "extrinsics_spec424.json")
	type commit struct {
		Netuid  uint16 `scale:"netuid"`
		Mecid   uint8  `scale:"mecid,optional"`
		Commit  []byte `scale:"commit"`
		Round   uint64 `scale:"reveal_round"`
		Version uint16 `scale:"commit_reveal_version"`
	}
	type axon struct {
		Netuid       uint16   `scale:"netuid"`
		Version      uint32   `scale:"version"`
		IP           [16]byte `scale:"ip"`
		Port         uint16   `scale:"port"`
		IPType       uint8    `scale:"ip_type"`
		Protocol     uint8    `scale:"protocol"`
		Placeholder1 uint8    `scale:"placeholder1"`
		Placeholder2 uint8    `scale:"placeholder2"`
	}
	for name, m := range everyMetadata(t) {
		for i, target := range map[int]any{2: new(commit), 4: new(commit), 6: new(axon)} {
			vector := vectors.Cases[i]
			pallet, call, err := m.ParseCall(vector.Call)
			require.NoError(t, err, name)
			require.Equal(t, strings.TrimSuffix(vector.Name, "_v6"), call.Name)
			require.NoError(t, call.Decode(target))
			again, err := m.Call(pallet, call.Name, target)
			require.NoError(t, err)
			require.Equal(t, []byte(vector.Call), again)
			switch got := target.(type) {
			case *commit:
				require.Equal(t, uint64(30668812), got.Round)
				require.Equal(t, uint16(4), got.Version)
				require.Len(t, got.Commit, 252)
			case *axon:
				require.Equal(t, [16]byte{1, 12: 0xb8, 13: 0x0d, 14: 0x01, 15: 0x20}, got.IP) // 2001:db8::1
				require.Equal(t, uint8(6), got.IPType)
			}
		}
	}
}

func TestCallsThatTheRuntimeDoesNotTakeAreRefused(t *testing.T) {
	t.Parallel()
	m := kit(t, 16)
	whole := map[string]any{
		"netuid": 1, "dests": []uint16{1}, "weights": []uint16{1}, "version_key": uint64(0),
	}
	with := func(name string, value any) map[string]any {
		changed := map[string]any{name: value}
		for key, value := range whole {
			if _, ok := changed[key]; !ok {
				changed[key] = value
			}
		}
		return changed
	}
	_, err := m.Call("SubtensorModule", "set_weights", whole)
	require.NoError(t, err)
	for _, tt := range []struct {
		name, pallet, call string
		args               any
		want               error
	}{
		{"no such pallet", "Absent", "set_weights", whole, scale.ErrNotFound},
		{"no such call", "SubtensorModule", "absent", whole, scale.ErrNotFound},
		{"a pallet without calls", "System", "remark", whole, scale.ErrNotFound},
		{"an argument too many", "SubtensorModule", "set_weights", with("mecid", 0), scale.ErrNotFound},
		{"an argument missing", "SubtensorModule", "set_weights", with("netuid", nil), scale.ErrType},
		{"no arguments", "SubtensorModule", "set_weights", nil, scale.ErrType},
		{
			"a struct without tags", "SubtensorModule", "set_weights",
			struct{ Netuid int }{1},
			scale.ErrType,
		},
		{"a field that is not there", "SubtensorModule", "set_weights", struct {
			Subnet int `scale:"subnet"`
		}{1}, scale.ErrNotFound},
		{"text for a number", "SubtensorModule", "set_weights", with("netuid", "1"), scale.ErrType},
		{"a number too big", "SubtensorModule", "set_weights", with("netuid", 65536), scale.ErrType},
		{"a number for a list", "SubtensorModule", "set_weights", with("dests", 1), scale.ErrType},
	} {
		_, err := m.Call(tt.pallet, tt.call, tt.args)
		require.ErrorIs(t, err, tt.want, tt.name)
	}
}

func TestUnknownSignedExtensionsAreRefusedByName(t *testing.T) {
	t.Parallel()
	r := scale.NewRegistry()
	for _, tt := range []struct {
		name            string
		extra, implicit string
		refused         bool
	}{
		{"Unknown", "()", "()", false},
		{"Unknown", "[u64; 0]", "((), ())", false},
		{"Unknown", "u8", "()", true},
		{"Unknown", "()", "H256", true},
		{"Unknown", "Vec<u8>", "()", true},
		{"Unknown", "Option<u8>", "()", true},
		{"CheckNonce", "Compact<u64>", "()", false},
		{"CheckNonce", "Compact<u64>", "u8", true},
		{"CheckMetadataHash", "u8", "u8", false},
		{"CheckMetadataHash", "u16", "u8", true},
		{"ChargeTransactionPayment", "(Compact<u64>, Compact<u64>)", "()", true},
	} {
		m := &scale.Metadata{Version: 16}
		m.Extrinsic = scale.Extrinsic{Versions: []uint8{4}, Extensions: []scale.ExtensionType{
			{Name: "Harmless", Extra: r.Type("()"), Implicit: r.Type("()")},
			{Name: tt.name, Extra: r.Type(tt.extra), Implicit: r.Type(tt.implicit)},
		}}
		m.Types = r.Types()
		require.NoError(t, r.Err())
		_, err := m.Payload(scale.Transaction{Call: []byte{1}})
		if !tt.refused {
			require.NoError(t, err, "%v", tt)
			continue
		}
		require.ErrorIs(t, err, scale.ErrExtension, "%v", tt)
		require.ErrorContains(t, err, tt.name)
		_, err = m.SignedExtrinsic(scale.Transaction{}, alice, [64]byte{})
		require.ErrorIs(t, err, scale.ErrExtension)
	}
}

func TestExtrinsicsOfVersion4MustBeTaken(t *testing.T) {
	t.Parallel()
	m := kit(t, 16)
	m.Extrinsic.Versions = []uint8{5}
	_, err := m.SignedExtrinsic(scale.Transaction{}, alice, [64]byte{})
	require.ErrorIs(t, err, scale.ErrVersion)
}

func TestDamagedExtrinsicsAreRefused(t *testing.T) {
	t.Parallel()
	m := kit(t, 16)
	vectors := readVectors[extrinsicVectors](t, "extrinsics_spec424.json")
	whole := vectors.Cases[1].Extrinsic
	for cut := range whole {
		_, err := m.ParseExtrinsic(whole[:cut])
		require.ErrorIs(t, err, scale.ErrMalformed)
	}
	for name, change := range map[string]func(data []byte){
		"unsigned":     func(data []byte) { data[2] = 4 },
		"version 5":    func(data []byte) { data[2] = 0x85 },
		"account type": func(data []byte) { data[3] = 1 },
		"ed25519":      func(data []byte) { data[36] = 0 },
		"no such type": func(data []byte) { data[36] = 9 },
	} {
		data := append([]byte(nil), whole...)
		change(data)
		_, err := m.ParseExtrinsic(data)
		require.ErrorIs(t, err, scale.ErrMalformed, name)
	}
	_, _, err := m.ParseCall(nil)
	require.ErrorIs(t, err, scale.ErrMalformed)
	_, _, err = m.ParseCall([]byte{200, 0})
	require.ErrorIs(t, err, scale.ErrMalformed)
	_, _, err = m.ParseCall([]byte{7, 250})
	require.ErrorIs(t, err, scale.ErrMalformed)
}

// Metadata can list the signed extensions of newer versions alone. Nothing is signed then: the bare
// call would be.
func TestNothingIsSignedWithoutExtensionsOfVersion0(t *testing.T) {
	t.Parallel()
	whole := kit(t, 16).Marshal()
	listed := []byte{byte(len(kit(t, 16).Extrinsic.Extensions)) << 2, 0, 1 << 2, 2 << 2}
	order := append([]byte{1 << 2, 0}, listed...) // one entry, for version 0
	require.Equal(t, 1, bytes.Count(whole, order))
	m, err := scale.Parse(bytes.Replace(whole, order, append([]byte{1 << 2, 1}, listed...), 1))
	require.NoError(t, err)
	_, err = m.Payload(scale.Transaction{Call: []byte{1, 2}})
	require.ErrorIs(t, err, scale.ErrExtension)
	_, err = m.SignedExtrinsic(scale.Transaction{Call: []byte{1, 2}}, alice, [64]byte{})
	require.ErrorIs(t, err, scale.ErrExtension)
}
