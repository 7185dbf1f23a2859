package scale_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// keysOf converts the arguments of a vector.
func keysOf(args []any) []any {
	var keys []any
	for _, arg := range args {
		switch arg := arg.(type) {
		case float64:
			keys = append(keys, uint64(arg))
		default:
			keys = append(keys, alice)
		}
	}
	return keys
}

func TestStorageKeysAreThoseOfTheVectors(t *testing.T) {
	t.Parallel()
	for name, m := range everyMetadata(t) {
		checked := 0
		for _, vector := range readVectors[keyVectors](t, "storage_keys_spec424.json").Items {
			pallet, itemName := vector.Pallet, vector.Item
			if vector.Hashers == nil { // written as JavaScript does
				pallet = strings.ToUpper(pallet[:1]) + pallet[1:]
				itemName = strings.ToUpper(itemName[:1]) + itemName[1:]
			}
			item, err := m.Storage(pallet, itemName)
			if name != "real" && err != nil {
				require.Contains(t, "Timestamp Drand", pallet)
				continue
			}
			require.NoError(t, err, itemName)
			key, err := item.Key(keysOf(vector.Args)...)
			require.NoError(t, err, itemName)
			require.Equal(t, []byte(vector.Key), key, itemName)
			if vector.Hashers != nil {
				require.Equal(t, vector.Modifier == "Optional", item.Type().Optional)
				require.Equal(t, []byte(vector.Fallback), item.Type().Default)
			}
			checked++
		}
		require.GreaterOrEqual(t, checked, 23, name)
	}
}

func TestTheKeyOfAPartOfAMapIsItsCommonBeginning(t *testing.T) {
	t.Parallel()
	item, err := kit(t, 16).Storage("SubtensorModule", "Keys")
	require.NoError(t, err)
	part, err := item.Key(1)
	require.NoError(t, err)
	whole, err := item.Key(1, 5)
	require.NoError(t, err)
	require.Equal(t, whole[:len(part)], part)
	require.Equal(t, item.Prefix(), part[:32])
}

func TestStorageKeysRefuseWrongArguments(t *testing.T) {
	t.Parallel()
	item, err := kit(t, 16).Storage("SubtensorModule", "Uids")
	require.NoError(t, err)
	for name, keys := range map[string][]any{
		"too many":         {1, alice, 2},
		"no account":       {1, 2},
		"a short account":  {1, [31]byte{}},
		"a netuid too big": {1 << 16, alice},
		"negative":         {-1, alice},
		"nil":              {nil, alice},
	} {
		_, err := item.Key(keys...)
		require.ErrorIs(t, err, scale.ErrType, name)
	}
}

func TestAbsentValues(t *testing.T) {
	t.Parallel()
	m := kit(t, 16)
	tempo, err := m.Storage("SubtensorModule", "Tempo")
	require.NoError(t, err)
	var blocks uint16
	present, err := tempo.Decode(nil, &blocks)
	require.NoError(t, err)
	require.True(t, present)
	require.Equal(t, uint16(360), blocks, "the default")

	uids, err := m.Storage("SubtensorModule", "Uids")
	require.NoError(t, err)
	uid := uint16(77)
	present, err = uids.Decode(nil, &uid)
	require.NoError(t, err)
	require.False(t, present)
	require.Equal(t, uint16(77), uid, "an optional value leaves the target as it is")
	_, err = uids.Decode([]byte{}, &uid)
	require.ErrorIs(t, err, scale.ErrMalformed, "an empty value is not an absent one")
}

func TestStorageOfARealRuntime(t *testing.T) {
	t.Parallel()
	vectors := runtime218(t)
	for name, m := range everyMetadata(t) {
		axons, err := m.Storage("SubtensorModule", "Axons")
		require.NoError(t, err)
		var axon axonInfo
		_, err = axons.Decode(vectors.Axon.Raw, &axon)
		require.NoError(t, err, name)
		require.Equal(t, axonInfo{
			Block: 8, Version: 1, IP: [16]byte{4, 3, 2, 1}, Port: 8091, IPType: 4, Protocol: 4,
		}, axon)
		encoded, err := axons.Encode(map[string]any{
			"block": 8, "version": 1, "ip": 16909060, "port": 8091, "ip_type": 4, "protocol": 4,
			"placeholder1": 0, "placeholder2": 0,
		})
		require.NoError(t, err)
		require.Equal(t, []byte(vectors.Axon.Raw), encoded)

		updates, err := m.Storage("SubtensorModule", "LastUpdate")
		require.NoError(t, err)
		var blocks []uint64
		_, err = updates.Decode(vectors.LastUpdate.Raw, &blocks)
		require.NoError(t, err)
		require.Equal(t, []uint64{3, 5}, blocks)

		rows, err := m.Storage("SubtensorModule", "Weights")
		require.NoError(t, err)
		var row []struct{ UID, Weight uint16 }
		_, err = rows.Decode(vectors.Weights.Raw, &row)
		require.NoError(t, err)
		require.Equal(t, []struct{ UID, Weight uint16 }{{1, 65535}}, row)
	}
}

func TestTheAccountOfARealRuntime(t *testing.T) {
	t.Parallel()
	vectors := runtime218(t)
	for name, m := range everyMetadata(t) {
		item, err := m.Storage("System", "Account")
		require.NoError(t, err)
		var account struct {
			Nonce uint32 `scale:"nonce"`
			Data  struct {
				Free  uint64   `scale:"free"`
				Flags [16]byte `scale:"flags"`
			} `scale:"data"`
		}
		_, err = item.Decode(vectors.Account.Raw, &account)
		require.NoError(t, err, name)
		require.Equal(t, uint32(7), account.Nonce)
		require.Equal(t, uint64(999999836517), account.Data.Free)
		require.Equal(t, byte(0x80), account.Data.Flags[15])
	}
}
