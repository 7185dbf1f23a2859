package keys_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/keys"
)

func edKeypair(tb testing.TB, uri string) *keys.Keypair {
	tb.Helper()
	k, err := keys.FromURI(uri, keys.Ed25519)
	require.NoError(tb, err)
	return k
}

func TestSchemeNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "sr25519", keys.SR25519.String())
	require.Equal(t, "ed25519", keys.Ed25519.String())
	require.Equal(t, "Scheme(7)", keys.Scheme(7).String())
	require.Equal(t, keys.SR25519, keys.Scheme(0))
}

func TestUnknownSchemesAreRefused(t *testing.T) {
	t.Parallel()
	const unknown = keys.Scheme(7)
	_, err := keys.Generate(unknown)
	require.ErrorContains(t, err, "Scheme(7)")
	_, err = keys.FromURI("//Alice", unknown)
	require.ErrorContains(t, err, "Scheme(7)")
	_, err = keys.FromSeed(make([]byte, 32), unknown)
	require.ErrorContains(t, err, "Scheme(7)")
	_, err = keys.FromMnemonic(devPhrase, unknown)
	require.ErrorContains(t, err, "Scheme(7)")
	alice := keypairFromURI(t, "//Alice")
	_, err = alice.Hotkey().PublicKey(unknown)
	require.ErrorContains(t, err, "Scheme(7)")
	signature, err := alice.Sign([]byte("message"))
	require.NoError(t, err)
	require.False(t, keys.Verify(unknown, alice.Hotkey(), []byte("message"), signature))
	require.False(t, new(keys.PublicKey).Verify([]byte("message"), signature))
	require.False(t, (*keys.PublicKey)(nil).Verify([]byte("message"), signature))
}

// The addresses are from @polkadot/util-crypto 14.0.3.
func TestEd25519FromURI(t *testing.T) {
	t.Parallel()
	for path, address := range map[string]string{
		"":                             "5DFJF7tY4bpbpcKPJcBTQaKuCDEPCpiz8TRjpmLeTtweqmXL",
		"//Alice":                      edAliceAddress,
		"//Alice//stash":               "5DdJ9KX9gm9UvZpcpY6av29Q4uzbjuHdp5zEmV6FCh2FXiBc",
		"//0":                          "5HrCphkqYygSXWt9rHebqaqbfEYekhzjyjQNjZiPxpb3XsKY",
		"//007":                        "5HnLET6TVVoYeh5RE7gCf9vL2bFTwCtHkgU4cVdCj4K33GHb",
		"//18446744073709551615":       "5CHuCGRtxSS3WjWBQgBBHuYqXTasTV2fqQkLGJoAZNEZABnZ",
		"//" + strings.Repeat("x", 31): "5DgjTn8PqUyLmXr8ZM7tQDM81MAV42d665LYkwa7kiiBEuFB",
		"//" + strings.Repeat("x", 64): "5Hc2yv9gWYQ6sDEW7ks7fajYJQwntFnrL3Cn5oJtEyRzx7zA",
		"//polkadot rocks and is long enough to be hashed": "5HhqiGe4PTL1BLT7TB5ZxyUsMRPvAzRLTkmouRPjpGD5UKH9",
	} {
		k := edKeypair(t, devPhrase+path)
		require.Equal(t, address, k.Hotkey().String(), path)
		require.Equal(t, keys.Ed25519, k.Scheme())
	}
	require.Equal(t, edKeypair(t, devPhrase).Hotkey(), func() keys.Hotkey {
		k, err := keys.FromMnemonic(devPhrase, keys.Ed25519)
		require.NoError(t, err)
		return k.Hotkey()
	}())
}

// TestEd25519SignatureOfTheSDK is the fixed case of the SDK's guide to signed
// requests.
func TestEd25519SignatureOfTheSDK(t *testing.T) {
	t.Parallel()
	alice := edKeypair(t, "//Alice")
	payload := strings.Join([]string{
		"btauth/1", "ed25519", "POST", "/generate?stream=false",
		"341c57448e531310fbbe83f44cea2a5e838bd9e8a6b82b269f01d0dbbc23c3cc", "1752076800000000000",
		edAliceAddress, bobAddress,
	}, "\n")
	signature, err := alice.Sign([]byte(payload))
	require.NoError(t, err)
	require.Equal(t, "1a6b631988bf1f7ea093ab9d5acf61f05c316d0b0e428b24b487b75a5f6ee0e1"+
		"a56a26918fdf871b6cf09437e6588023a4ce423cf622621b2a7feee17612f704", hex.EncodeToString(signature))
	require.True(t, keys.Verify(keys.Ed25519, alice.Hotkey(), []byte(payload), signature))
}

func TestSchemesDoNotMix(t *testing.T) {
	t.Parallel()
	message := []byte("message")
	for _, k := range []*keys.Keypair{keypairFromURI(t, "//Alice"), edKeypair(t, "//Alice")} {
		signature, err := k.Sign(message)
		require.NoError(t, err)
		for _, scheme := range []keys.Scheme{keys.SR25519, keys.Ed25519} {
			require.Equal(t, scheme == k.Scheme(), keys.Verify(scheme, k.Hotkey(), message, signature))
		}
	}
}

func TestVerifyRefusesEd25519(t *testing.T) {
	t.Parallel()
	alice := edKeypair(t, "//Alice")
	good, err := alice.Sign([]byte("message"))
	require.NoError(t, err)
	// s and s + order are the same scalar.
	order := hexBytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	again, carry := bytes.Clone(good), 0
	for i, b := range order {
		carry += int(again[32+i]) + int(b)
		again[32+i] = byte(carry)
		carry >>= 8
	}
	for name, tt := range map[string]struct {
		message   string
		signature []byte
	}{
		"no signature":                      {"message", nil},
		"63 bytes":                          {"message", good[:63]},
		"65 bytes":                          {"message", append(bytes.Clone(good), 0)},
		"another message":                   {"massage", good},
		"the same scalar written otherwise": {"message", again},
		"zeros":                             {"message", make([]byte, 64)},
	} {
		require.False(t, keys.Verify(keys.Ed25519, alice.Hotkey(), []byte(tt.message), tt.signature),
			name)
	}
	for bit := range 8 * len(good) {
		signature := bytes.Clone(good)
		signature[bit/8] ^= 1 << (bit % 8)
		require.False(t, keys.Verify(keys.Ed25519, alice.Hotkey(), []byte("message"), signature),
			"bit %d", bit)
	}
}

// TestEd25519KeysOfSmallOrder lists every encoding of the eight points of small
// order, the ones that are not canonical included. For the identity, package
// ed25519 accepts a signature that holds for any message.
func TestEd25519KeysOfSmallOrder(t *testing.T) {
	t.Parallel()
	forged := append([]byte{1}, make([]byte, 63)...) // R is the identity and the scalar is zero
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	} {
		hotkey := keys.Hotkey(hexBytes(text))
		_, err := hotkey.PublicKey(keys.Ed25519)
		require.ErrorIs(t, err, keys.ErrWeakKey, text)
		for _, message := range []string{"", "message", "anything at all"} {
			require.False(t, keys.Verify(keys.Ed25519, hotkey, []byte(message), forged))
		}
	}
	_, err := keys.Hotkey(hexBytes(edAlicePublic)).PublicKey(keys.Ed25519)
	require.NoError(t, err)
	noPoint := keys.Hotkey{2} // y = 2 is not on the curve
	_, err = noPoint.PublicKey(keys.Ed25519)
	require.ErrorIs(t, err, keys.ErrAddress)
}
