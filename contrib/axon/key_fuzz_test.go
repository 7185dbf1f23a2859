package axon_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

func FuzzParseHotkey(f *testing.F) {
	var file struct{ Vectors []struct{ Address string } }
	readVectors(f, "ss58.json", &file)
	for _, vector := range file.Vectors {
		f.Add(vector.Address, []byte(vector.Address))
	}
	f.Fuzz(func(t *testing.T, address string, signature []byte) {
		hotkey, err := axon.ParseHotkey(address)
		if err != nil {
			require.Zero(t, hotkey)
			if len(address) > 8 {
				require.NotContains(t, err.Error(), address)
			}
		} else {
			require.Equal(t, address, hotkey.String())
		}
		copy(hotkey[:], address) // any bytes at all are a key or none
		require.False(t, hotkey.Verify([]byte(address), signature))
		if hotkey != (axon.Hotkey{}) {
			back, err := axon.ParseHotkey(hotkey.String())
			require.NoError(t, err)
			require.Equal(t, hotkey, back)
		}
	})
}

func FuzzParseKeypair(f *testing.F) {
	f.Add([]byte(`{"accountId": null, "secretPhrase": "` + devPhrase + `", "ss58Address": "` + devAddress + `"}`))
	f.Add([]byte(`{"secretSeed": "0x` + aliceSeed + `", "publicKey": "0x` + alicePublic + `"}`))
	f.Add([]byte(`{"privateKey": "0x` + alicePrivate + `"}`))
	f.Add([]byte(`{"privateKey": "` + devPrivate + `", "extra": [{}, 1e9]}`))
	f.Add([]byte("$NACL"))
	f.Add([]byte("//Alice//0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := axon.ParseKeypair(data); err == nil {
			requireWorks(t, k)
		} else {
			require.Nil(t, k)
		}
		if k, err := axon.KeypairFromURI(string(data)); err == nil {
			requireWorks(t, k)
		} else {
			require.Nil(t, k)
		}
	})
}

// requireWorks checks that a key's own signature and address are good.
func requireWorks(t *testing.T, k *axon.Keypair) {
	t.Helper()
	back, err := axon.ParseHotkey(k.Hotkey().String())
	require.NoError(t, err)
	require.Equal(t, k.Hotkey(), back)
	signature, err := k.Sign([]byte("message"))
	require.NoError(t, err)
	require.True(t, back.Verify([]byte("message"), signature))
}
