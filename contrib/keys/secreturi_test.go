package keys_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/keys"
)

const devPhrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk"

func TestFromURIOnVectors(t *testing.T) {
	t.Parallel()
	var file struct {
		DevPhrase string `json:"dev_phrase"`
		Keys      map[string]struct {
			SURI      string
			Address   string `json:"ss58_42"`
			PublicKey string `json:"public_key"`
		}
	}
	readVectors(t, "axon.json", &file)
	require.Len(t, file.Keys, 5)
	for name, key := range file.Keys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, uri := range []string{key.SURI, file.DevPhrase + key.SURI} {
				hotkey := keypairFromURI(t, uri).Hotkey()
				require.Equal(t, key.Address, hotkey.String())
				require.Equal(t, hexBytes(key.PublicKey), hotkey[:])
			}
		})
	}
}

func TestFromMnemonic(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("abandon ", 23) + "art"
	tests := []struct {
		name, phrase, seed, address string
	}{
		// Published: subkey's README, its older documentation, the test of
		// polkadot-js for mnemonicToMiniSecret, and sp_core's DEV_ADDRESS.
		{
			"subkey", "hotel forest jar hover kite book view eight stuff angle legend defense",
			"a05c75731970cc7868a2fb7cb577353cd5b31f62dccced92c441acd8fee0c92d",
			"5Hpm9fq3W3dQgwWpAwDS2ZHKAdnk86QRCu7iX4GnmDxycrte",
		},
		{"subkey, older", "caution juice atom organ advance problem want pledge someone senior holiday very", "c8fa03532fb22ee1f7f6908b9c02b4e72483f0dbd66e4cd456b8f34c6230b849", "5Gv8YYFu8H1btvmrJy9FjjAWfb99wrhV3uhPFoNEr918utyR"},
		{
			"polkadot-js", "seed sock milk update focus rotate barely fade car face mechanic mercy",
			"4d1ab2a57929edfd018aaa974e62ed557e3f54b4104acabedf73c8f5a1dbb029",
			"5FbSap4BsWfjyRhCchoVdZHkDnmDm3NEgLZ25mesq4aw2WvX",
		},
		{
			"sp_core", devPhrase, "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e",
			"5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV",
		},
		// The phrases of substrate-bip39's vectors, whose seeds have a password;
		// those without come from @polkadot/util-crypto 14.0.3.
		{
			"12 words", "legal winner thank year wave sausage worth useful legal winner thank yellow",
			"6fa2796b0071cac425d8a7851038318c2c37dcebfe4bae73197ce93e75909bd2",
			"5EHgWw2Af1pnoc7f1A8bfmM97W3DAYW8xr82RfhLL9oAabAe",
		},
		{
			"entropy of ones", "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
			"ad9782e12472724c2108c22e7fe606a62571e697e50416202a35c4c259961ea8",
			"5Hq3Cveh6yM1Do6ijhATJ8y9rzk6sSkuuuUwQF5k5ChLqodv",
		},
		{"18 words", "letter advice cage absurd amount doctor acoustic avoid letter advice cage absurd amount doctor acoustic avoid letter always", "6a11c238fe42c310e931645e26489b21d99de74c3f598a2e9b8afcd0f38c895b", "5GWhVAzDi4idX5HWCkyXoiSrqQEbn2aF3wqVEmnjSHnUn3aA"},
		{"24 words", "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group space point ten exist slush involve unfold", "7316d66bc0ad15affde3eee7903fdbd893f5089961c9cd53144bc4b3f16e965b", "5CLq8Lde6aasGZcFS3euRFd8nbDNGYyS28eoJxrGB3EXyUXh"},
		{
			"entropy of zeros", zeros, "4ed8d4b17698ddeaa1f1559f152f87b5d472f725ca86d341bd0276f1b61197e2",
			"5EPCUjPxiHAcNooYipQFWr9NmmXJKpNG5RhcntXwbtUySrgH",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := keys.FromMnemonic(tt.phrase, keys.SR25519)
			require.NoError(t, err)
			require.Equal(t, tt.address, k.Hotkey().String())
			require.Equal(t, tt.address, keypairFromURI(t, tt.phrase).Hotkey().String())
			require.Equal(t, tt.address, keypairFromURI(t, "0x"+tt.seed).Hotkey().String())

			spread, err := keys.FromMnemonic("\n "+strings.ReplaceAll(tt.phrase, " ", " \t\r\n")+"\u3000",
				keys.SR25519)
			require.NoError(t, err)
			require.Equal(t, k.Hotkey(), spread.Hotkey())
		})
	}
}

func TestFromMnemonicRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, phrase, says string
	}{
		{"nothing", "", "words"},
		{"white space", " \n", "words"},
		{"11 words", strings.TrimSuffix(devPhrase, " walk"), "words"},
		{"13 words", devPhrase + " walk", "words"},
		{"27 words", strings.Repeat("zoo ", 27), "words"},
		{"a word of no list", strings.Replace(devPhrase, "lonely", "secretword", 1), "English list"},
		{"upper case", strings.ToUpper(devPhrase), "English list"},
		{"a word of another list", strings.Replace(devPhrase, "lonely", "ábaco", 1), "English list"},
		{"bytes that are no text", strings.Replace(devPhrase, "lonely", "\xff\xfe", 1), "English list"},
		{"the wrong last word", strings.Replace(devPhrase, "walk", "wall", 1), "checksum"},
		{"two words swapped", strings.Replace(devPhrase, "bottom drive", "drive bottom", 1), "checksum"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := keys.FromMnemonic(tt.phrase, keys.SR25519)
			require.ErrorContains(t, err, "keys: mnemonic: ")
			require.ErrorContains(t, err, tt.says)
			require.Nil(t, k)
			for _, word := range append(strings.Fields(tt.phrase), "secretword") {
				if len(word) > 3 { // not "the" and the like
					require.NotContains(t, err.Error(), word)
				}
			}
		})
	}
}

// The addresses are from @polkadot/util-crypto 14.0.3, but the one of "+7":
// sp_core reads a sign before a number, polkadot-js does not.
func TestFromURIDerives(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path, address string
	}{
		{"nothing", "", "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"},
		{"text", "//Alice", aliceAddress},
		{"twice", "//Alice//stash", "5GNJqTPyNqANBkUVMN1LPPrxXnFouWXoe2wNSmmEoLctxiZY"},
		{"a number", "//0", "5D34dL5prEUaGNQtPPZ3yN5Y6BnkfXunKXXz6fo7ZJbLwRRH"},
		{"a number with zeros before", "//007", "5GHJzqvG6tXnngCpG7B12qjUvbo5e4e9z8Xjidk3CQZHxTPZ"},
		{"a number with a sign", "//+7", "5GHJzqvG6tXnngCpG7B12qjUvbo5e4e9z8Xjidk3CQZHxTPZ"},
		{
			"the highest number", "//18446744073709551615",
			"5FnmmEqtcYdJa7ikbQXggS685DpNeE9j7ob6oBYMyD9kQLxz",
		},
		{"three numbers", "//1//2//3", "5HGfGY4EahbkxraTXmi7zbXvMtZhynCXAbs2jDCdjtz8ZeTy"},
		{"a negative number is text", "//-1", "5G6zHZJ9v3UVcjkzzwJVsnBPvPYL6ZqpJPpAn54UQde7JJE9"},
		{"so is a fraction", "//1.5", "5GNdCLdwVYCU6zjL9aaWfJnXELHQEjGQkG1VmasRmJy4Ft4V"},
		{"beyond ASCII", "//é", "5EsaQAJQh19PWKMtYN2YrWYTRKsUmHicgAyBMiAFuRwFA4zf"},
		{
			"white space", "//polkadot rocks and is long enough to be hashed",
			"5ENe6veCuBGR7Q1e75Jk62UvJxyGay6q2VhJy9RYbTSV6CUz",
		},
		{
			"32 bytes with their length", "//" + strings.Repeat("x", 31),
			"5Gn9oerVjtkTNy94rpXHni5KkEpWFbJQ3ZKCw4TxWEvpLwf4",
		},
		{
			"33 bytes with their length are hashed", "//" + strings.Repeat("x", 32),
			"5FTjSQoXSVixz6qxTdmArc185F91THV2TquMDuee5bCES13o",
		},
		{
			"a length of two bytes", "//" + strings.Repeat("x", 64),
			"5Dqc1NM9Q3GH5KZpDvkLXhFEGGuoTkhWbAhMBA1wSdmZBSsF",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.address, keypairFromURI(t, devPhrase+tt.path).Hotkey().String())
		})
	}
}

func TestFromURIDerivesFromASeed(t *testing.T) {
	t.Parallel()
	// The seed of the development phrase; sp_core's example has that of //Alice.
	const root = "0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"
	require.Equal(t, aliceAddress, keypairFromURI(t, root+"//Alice").Hotkey().String())
	require.Equal(t, aliceAddress, keypairFromURI(t, "0x"+aliceSeed).Hotkey().String())
	require.Equal(t, aliceAddress,
		keypairFromURI(t, "0x"+strings.ToUpper(aliceSeed)).Hotkey().String())
}

func TestFromURIRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, uri, says string
	}{
		{"nothing, which would be the public phrase", "", "empty"},
		{"a soft junction", devPhrase + "/Alice", "soft junctions (/) are not supported"},
		{"a soft junction behind a hard one", "//Alice/0", "soft junctions (/) are not supported"},
		{"a password", devPhrase + "///topsecret", "passwords (///) are not supported"},
		{"a password behind a junction", "//Alice///topsecret", "passwords (///) are not supported"},
		{"an empty password", "//Alice///", "passwords (///) are not supported"},
		{"an empty junction", devPhrase + "//", "empty"},
		{"a slash alone", "/", "soft"},
		{"a line end", "//Alice\n", "line ends"},
		{"a long junction", "//" + strings.Repeat("x", 1<<14), "too long"},
		{"a seed of 31 bytes", "0x" + aliceSeed[2:], "32 bytes"},
		{"a seed of 33 bytes", "0x00" + aliceSeed, "32 bytes"},
		{"an odd digit", "0x" + aliceSeed[1:], "hexadecimal"},
		{"a seed with a letter", "0xg" + aliceSeed[1:], "hexadecimal"},
		{"a seed without 0x", aliceSeed, "words"},
		{"0x twice", "0x0x" + aliceSeed, "hexadecimal"},
		{"a name", "Alice", "words"},
		{"white space as a phrase", " //Alice", "words"},
		{"an address", aliceAddress, "words"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := keys.FromURI(tt.uri, keys.SR25519)
			require.ErrorContains(t, err, "keys: secret URI: ")
			require.ErrorContains(t, err, tt.says)
			require.Nil(t, k)
			for _, secret := range []string{"topsecret", "lonely", aliceSeed[8:16]} {
				require.NotContains(t, err.Error(), secret)
			}
		})
	}
}
