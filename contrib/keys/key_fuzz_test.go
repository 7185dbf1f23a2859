package keys_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/keys"
)

func FuzzParseSS58(f *testing.F) {
	var file struct{ Vectors []struct{ Address string } }
	readVectors(f, "ss58.json", &file)
	for _, vector := range file.Vectors {
		f.Add(vector.Address, []byte(vector.Address))
	}
	f.Fuzz(func(t *testing.T, address string, signature []byte) {
		hotkey, err := keys.ParseSS58(address)
		if err != nil {
			require.Zero(t, hotkey)
			if len(address) > 8 {
				require.NotContains(t, err.Error(), address)
			}
		} else {
			require.Equal(t, address, hotkey.String())
		}
		copy(hotkey[:], address) // any bytes at all are a key or none
		require.False(t, keys.Verify(keys.SR25519, hotkey, []byte(address), signature))
		if hotkey != (keys.Hotkey{}) {
			back, err := keys.ParseSS58(hotkey.String())
			require.NoError(t, err)
			require.Equal(t, hotkey, back)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"accountId": null, "secretPhrase": "` + devPhrase + `", "ss58Address": "` + devAddress + `"}`))
	f.Add([]byte(`{"secretSeed": "0x` + aliceSeed + `", "publicKey": "0x` + alicePublic + `"}`))
	f.Add([]byte(`{"privateKey": "0x` + alicePrivate + `"}`))
	f.Add([]byte(`{"privateKey": "` + devPrivate + `", "extra": [{}, 1e9]}`))
	f.Add([]byte("$NACL"))
	f.Add([]byte("//Alice//0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := keys.Parse(data, nil); err == nil {
			requireWorks(t, k)
		} else {
			require.Nil(t, k)
		}
		if k, err := keys.FromURI(string(data), keys.Ed25519); err == nil {
			requireWorks(t, k)
		} else {
			require.Nil(t, k)
		}
	})
}

// requireWorks checks that a key's own signature and address are good.
func requireWorks(t *testing.T, k *keys.Keypair) {
	t.Helper()
	back, err := keys.ParseSS58(k.Hotkey().String())
	require.NoError(t, err)
	require.Equal(t, k.Hotkey(), back)
	signature, err := k.Sign([]byte("message"))
	require.NoError(t, err)
	require.True(t, keys.Verify(k.Scheme(), back, []byte("message"), signature))
}
