package axon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

const (
	alicePublic = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
	// devPrivate is how @polkadot/util-crypto 14.0.3 writes the private key of
	// the development phrase: the scalar times eight.
	devPrivate = "28b0ae221c6bb06856b287f60d7ea0d98552ea5a16db16956849aa371db3eb51" +
		"fd190cce74df356432b410bd64682309d6dedb27c76845daf388557cbac3ca34"
	devAddress = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"
)

func TestParseKeypair(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, address string
	}{
		{
			"as Python wallets wrote it",
			`{"accountId": "0x` + alicePublic + `", "publicKey": "0x` + alicePublic + `", "secretPhrase": null, "secretSeed": "0x` + aliceSeed + `", "ss58Address": "` + aliceAddress + `"}`,
			aliceAddress,
		},
		{
			"as btwallet 4 writes it",
			`{"secretPhrase":"` + devPhrase + `","privateKey":"0x` + devPrivate + `","ss58Address":"` + devAddress + `","secretSeed":"0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e"}`,
			devAddress,
		},
		{"a phrase alone", `{"secretPhrase": "` + devPhrase + `"}`, devAddress},
		{"a seed alone", `{"secretSeed": "0x` + aliceSeed + `"}`, aliceAddress},
		{"a private key alone, as schnorrkel writes it", `{"privateKey": "0x` + alicePrivate + `"}`, aliceAddress},
		{"a private key alone, as polkadot-js writes it", `{"privateKey": "` + devPrivate + `"}`, devAddress},
		{"without 0x and in upper case", `{"secretSeed": "` + strings.ToUpper(aliceSeed) + `", "publicKey": "` + strings.ToUpper(alicePublic) + `"}`, aliceAddress},
		{"white space and unknown fields", "\n {\"secretSeed\": \"" + aliceSeed + "\", \"version\": [4, {}]}\n", aliceAddress},
		{"fields of nothing", `{"secretPhrase": "", "secretSeed": "` + aliceSeed + `", "privateKey": null, "ss58Address": "", "publicKey": null}`, aliceAddress},
		{"other names in other case do not count", `{"SecretSeed": "junk", "secretSeed": "` + aliceSeed + `", "SECRETPHRASE": "junk"}`, aliceAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := axon.ParseKeypair([]byte(tt.file))
			require.NoError(t, err)
			require.Equal(t, tt.address, k.Hotkey().String())

			path := filepath.Join(t.TempDir(), "hotkey")
			require.NoError(t, os.WriteFile(path, []byte(tt.file), 0o600))
			k, err = axon.LoadKeypair(path)
			require.NoError(t, err)
			require.Equal(t, tt.address, k.Hotkey().String())
		})
	}
}

func TestOddKeyfiles(t *testing.T) {
	t.Parallel()
	withSeed := func(more string) string { return `{"secretSeed": "0x` + aliceSeed + `", ` + more + `}` }
	tests := []struct {
		name, file, says string
		is               error
	}{
		{name: "empty", says: "is not a JSON object"},
		{name: "no JSON", file: "topsecret", says: "is not a JSON object"},
		{name: "null", file: "null", says: "is not a JSON object"},
		{name: "a list", file: "[]", says: "is not a JSON object"},
		{name: "a string", file: `"0x` + aliceSeed + `"`, says: "is not a JSON object"},
		{name: "a bare seed", file: "0x" + aliceSeed, says: "is not a JSON object"},
		{name: "cut off", file: withSeed("")[:60], says: "is not a JSON object"},
		{name: "two objects", file: withSeed(`"a": 1`) + "{}", says: "is not a JSON object"},
		{name: "no fields", file: "{}", says: "holds no secret"},
		{name: "only public fields", file: `{"ss58Address": "` + aliceAddress + `", "publicKey": "0x` + alicePublic + `", "secretSeed": null}`, says: "holds no secret"},
		{name: "a seed that is a number", file: `{"secretSeed": 12345678}`, says: "secretSeed must be a string"},
		{name: "a phrase that is a list", file: `{"secretPhrase": ["topsecret"]}`, says: "secretPhrase must be a string"},
		{name: "a short seed", file: `{"secretSeed": "0x` + aliceSeed[2:] + `"}`, says: "secretSeed: must be 32 bytes"},
		{name: "a seed that is no hex", file: `{"secretSeed": "topsecret"}`, says: "secretSeed: must be hexadecimal"},
		{name: "a phrase of one word", file: `{"secretPhrase": "topsecret"}`, says: "secretPhrase: must have 12"},
		{name: "a bad phrase beside a good seed", file: withSeed(`"secretPhrase": "topsecret"`), says: "secretPhrase: must have 12"},
		{name: "a short private key", file: `{"privateKey": "` + alicePrivate[2:] + `"}`, says: "privateKey: must be 64 bytes"},
		{name: "a private key that is no hex", file: `{"privateKey": "topsecret"}`, says: "privateKey: must be hexadecimal"},
		{name: "a private key out of range", file: `{"privateKey": "` + strings.Repeat("ff", 64) + `"}`, says: "privateKey: is no sr25519 key"},
		{name: "a private key of zero", file: `{"privateKey": "` + strings.Repeat("00", 64) + `"}`, says: "privateKey: ", is: axon.ErrWeakKey},
		{name: "secrets of two keys", file: withSeed(`"secretPhrase": "` + devPhrase + `"`), says: "secretSeed is of another key"},
		{name: "a private key of another", file: withSeed(`"privateKey": "` + devPrivate + `"`), says: "privateKey is of another key"},
		{name: "another's address", file: withSeed(`"ss58Address": "` + bobAddress + `"`), says: "ss58Address is not that of the secret"},
		{name: "the address of another network", file: withSeed(`"ss58Address": "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5"`), says: "ss58Address: ", is: axon.ErrBadHotkey},
		{name: "an address that is a number", file: withSeed(`"ss58Address": 5`), says: "ss58Address must be a string"},
		{name: "another's public key", file: withSeed(`"publicKey": "0x` + strings.Repeat("01", 32) + `"`), says: "publicKey is not that of the secret"},
		{name: "a short public key", file: withSeed(`"publicKey": "0x01"`), says: "publicKey: must be 32 bytes"},
		{name: "another's account", file: withSeed(`"accountId": "0x` + strings.Repeat("01", 32) + `"`), says: "accountId is not that of the secret"},
		{name: "an account that is no hex", file: withSeed(`"accountId": "topsecret"`), says: "accountId: must be hexadecimal"},
		{name: "too large", file: withSeed(`"x": "`) + strings.Repeat(" ", 64<<10), says: "is larger than 65536 bytes"},
		{name: "encrypted by NaCl", file: "$NACL\x01\x02topsecret", says: "encrypted", is: axon.ErrEncryptedKeyfile},
		{name: "encrypted by Ansible", file: "$ANSIBLE_VAULT;1.1;AES256\n3634", says: "encrypted", is: axon.ErrEncryptedKeyfile},
		{name: "encrypted by Fernet", file: "gAAAAABhtopsecret", says: "encrypted", is: axon.ErrEncryptedKeyfile},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parsed, parseErr := axon.ParseKeypair([]byte(tt.file))
			path := filepath.Join(t.TempDir(), "hotkey")
			require.NoError(t, os.WriteFile(path, []byte(tt.file), 0o600))
			loaded, loadErr := axon.LoadKeypair(path)

			require.Nil(t, parsed)
			require.Nil(t, loaded)
			require.ErrorContains(t, loadErr, path)
			for _, err := range []error{parseErr, loadErr} {
				require.ErrorContains(t, err, "axon: ")
				require.ErrorContains(t, err, tt.says)
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
				requireNoSecret(t, err.Error())
				require.NotContains(t, err.Error(), "topsecret")
				require.NotContains(t, err.Error(), "12345678")
				require.NotContains(t, err.Error(), "lonely")
			}
		})
	}
}

func TestLoadKeypairNamesThePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := axon.LoadKeypair(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(dir, "none"))
	_, err = axon.LoadKeypair(dir)
	require.ErrorContains(t, err, dir)
}
