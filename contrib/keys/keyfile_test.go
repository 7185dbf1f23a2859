package keys_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/keys"
)

const (
	alicePublic = "d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
	// devPrivate is how @polkadot/util-crypto 14.0.3 writes the private key of
	// the development phrase: the scalar times eight.
	devPrivate = "28b0ae221c6bb06856b287f60d7ea0d98552ea5a16db16956849aa371db3eb51" +
		"fd190cce74df356432b410bd64682309d6dedb27c76845daf388557cbac3ca34"
	devAddress = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"

	// The ed25519 key of aliceSeed, and that of //Alice under ed25519.
	aliceSeedEd    = "5DFNv4Txc4b88qHqQ6GG4D646QcT4fN3jjS2G3r1PyZkfDut"
	edAliceSeed    = "abf8e5bdbe30c65656c0a3cbd181ff8a56294a69dfedd27982aace4a76909115"
	edAliceAddress = "5FA9nQDVg267DEd8m1ZypXLBnvN7SFxYwV7ndqSYGiN9TTpu"
	edAlicePublic  = "88dc3417d5058ec4b4503e0c12ea1a0a89be200fe98922423d4334014fa6b0ee"
)

// object joins fields to a JSON object.
func object(fields ...string) string { return "{" + strings.Join(fields, ", ") + "}" }

// text is a field with a string.
func text(name, value string) string { return `"` + name + `": "` + value + `"` }

func TestKeyfiles(t *testing.T) {
	t.Parallel()
	aliceField, seedField := text("ss58Address", aliceAddress), text("secretSeed", "0x"+aliceSeed)
	edField := text("ss58Address", edAliceAddress)
	tests := []struct {
		name, file, address string
		scheme              keys.Scheme
	}{
		{
			name: "as Python wallets wrote it", address: aliceAddress,
			file: object(text("accountId", "0x"+alicePublic), text("publicKey", "0x"+alicePublic),
				`"secretPhrase": null`, seedField, aliceField),
		},
		{
			name: "as btwallet 4 writes it", address: devAddress,
			file: object(text("secretPhrase", devPhrase), text("privateKey", "0x"+devPrivate),
				text("ss58Address", devAddress),
				text("secretSeed", "0xfac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e")),
		},
		{
			name: "as SDK 11 writes it", address: aliceAddress,
			file: object(text("accountId", "0x"+alicePublic), text("publicKey", "0x"+alicePublic), seedField,
				text("privateKey", "0x"+alicePrivate), aliceField, `"cryptoType": 1`,
				text("accountType", "classical"), text("signingScheme", "sr25519")),
		},
		{
			name: "an ed25519 key as SDK 11 writes it", address: edAliceAddress, scheme: keys.Ed25519,
			file: object(text("publicKey", "0x"+edAlicePublic), text("privateKey", "0x"+edAliceSeed),
				edField,
				`"cryptoType": 0`),
		},
		{
			name:    "the address decides for ed25519 without a type",
			address: edAliceAddress, scheme: keys.Ed25519,
			file: object(text("secretSeed", edAliceSeed), edField),
		},
		{
			name:    "the address decides for ed25519 against the type",
			address: edAliceAddress, scheme: keys.Ed25519,
			file: object(text("secretSeed", edAliceSeed), edField, `"cryptoType": 1`),
		},
		{
			name: "the address decides for sr25519 against the type", address: aliceAddress,
			file: object(seedField, aliceField, `"cryptoType": 0`),
		},
		{
			name: "an address with a space in its name", address: edAliceAddress, scheme: keys.Ed25519,
			file: object(text("secretSeed", edAliceSeed), text(" ss58Address", edAliceAddress)),
		},
		{
			name: "the public key decides without an address", address: edAliceAddress, scheme: keys.Ed25519,
			file: object(text("secretSeed", edAliceSeed), text("publicKey", edAlicePublic),
				`"cryptoType": 1`),
		},
		{
			name: "the account decides without either", address: edAliceAddress, scheme: keys.Ed25519,
			file: object(text("secretSeed", edAliceSeed), text("accountId", edAlicePublic)),
		},
		{
			name: "the type decides without an address, ed25519", address: aliceSeedEd, scheme: keys.Ed25519,
			file: object(seedField, `"cryptoType": 0`),
		},
		{
			name: "the type decides without an address, sr25519", address: aliceAddress,
			file: object(seedField, `"cryptoType": 1`),
		},
		{
			name: "empty fields count as absent", address: aliceAddress,
			file: object(seedField, aliceField, `"cryptoType": ""`, `"hashedDescriptor": ""`,
				`"encoded": ""`, `"encoding": ""`),
		},
		{
			name: "a type that is a string of digits", address: aliceSeedEd, scheme: keys.Ed25519,
			file: object(seedField, text("cryptoType", " 0 ")),
		},
		{
			name:    "an ed25519 private key with its public half",
			address: edAliceAddress, scheme: keys.Ed25519,
			file: object(text("privateKey", edAliceSeed+edAlicePublic)),
		},
		{
			name: "a private key of 32 bytes is a seed", address: aliceAddress,
			file: object(text("privateKey", aliceSeed), aliceField),
		},
		{
			name: "a phrase with its address", address: devAddress,
			file: object(text("secretPhrase", devPhrase), text("ss58Address", devAddress)),
		},
		{
			name: "a private key alone, as schnorrkel writes it", address: aliceAddress,
			file: object(text("privateKey", "0x"+alicePrivate)),
		},
		{
			name: "a private key alone, as polkadot-js writes it", address: devAddress,
			file: object(text("privateKey", devPrivate)),
		},
		{
			name: "without 0x and in upper case", address: aliceAddress,
			file: object(text("secretSeed", strings.ToUpper(aliceSeed)),
				text("publicKey", strings.ToUpper(alicePublic))),
		},
		{
			name: "white space and unknown fields", address: aliceAddress,
			file: "\n " + object(seedField, aliceField, `"version": [4, {}]`) + "\n",
		},
		{
			name: "empty and null fields", address: aliceAddress,
			file: object(text("secretPhrase", ""), seedField,
				`"privateKey": null, "ss58Address": "", "cryptoType": null`, text("publicKey", alicePublic)),
		},
		{
			name: "names in another case are ignored", address: aliceAddress,
			file: object(text("SecretSeed", "junk"), seedField, text("SECRETPHRASE", "junk"), aliceField),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "hotkey")
			require.NoError(t, os.WriteFile(path, []byte(tt.file), 0o600))
			parsed, err := keys.Parse([]byte(tt.file), nil)
			require.NoError(t, err)
			loaded, err := keys.Load(path, nil)
			require.NoError(t, err)
			for _, k := range []*keys.Keypair{parsed, loaded} {
				require.Equal(t, tt.address, k.Hotkey().String())
				require.Equal(t, tt.scheme, k.Scheme())
				requireWorks(t, k)
			}
		})
	}
}

func TestOddKeyfiles(t *testing.T) {
	t.Parallel()
	withSeed := func(more ...string) string {
		return object(append([]string{text("secretSeed", "0x"+aliceSeed)}, more...)...)
	}
	tests := []struct {
		name, file, says string
		is               error
	}{
		{name: "empty", says: "is not a JSON object"},
		{name: "no JSON", file: "topsecret", says: "is not a JSON object"},
		{name: "null", file: "null", says: "is not a JSON object"},
		{name: "a list", file: "[]", says: "is not a JSON object"},
		{name: "a string", file: `"0x` + aliceSeed + `"`, says: "is not a JSON object"},
		{name: "cut off", file: withSeed()[:60], says: "is not a JSON object"},
		{name: "two objects", file: withSeed() + "{}", says: "is not a JSON object"},
		{name: "no fields", file: "{}", says: "has no secret"},
		{
			name: "only public fields", says: "has no secret",
			file: object(text("ss58Address", aliceAddress), `"secretSeed": null`),
		},
		{
			name: "a seed that is a number", says: "secretSeed must be a string",
			file: `{"secretSeed": 12345678}`,
		},
		{
			name: "a phrase that is a list", says: "secretPhrase must be a string",
			file: `{"secretPhrase": ["topsecret"]}`,
		},
		{
			name: "a short seed", says: "secretSeed: must be 32 bytes",
			file: object(text("secretSeed", "0x"+aliceSeed[2:])),
		},
		{
			name: "a seed that is no hex", says: "secretSeed: must be hexadecimal",
			file: object(text("secretSeed", "topsecret")),
		},
		{
			name: "a phrase of one word", says: "secretPhrase: must have 12",
			file: object(text("secretPhrase", "topsecret")),
		},
		{
			name: "a bad phrase beside a good seed", says: "secretPhrase: must have 12",
			file: withSeed(text("secretPhrase", "topsecret")),
		},
		{
			name: "a short private key", says: "privateKey: must be 32 or 64 bytes",
			file: object(text("privateKey", alicePrivate[2:])),
		},
		{
			name: "a private key that is no hex", says: "privateKey: must be hexadecimal",
			file: object(text("privateKey", "topsecret")),
		},
		{
			name: "a private key out of range", says: "privateKey: is not an sr25519 key",
			file: object(text("privateKey", strings.Repeat("ff", 64))),
		},
		{
			name: "an sr25519 private key as ed25519", says: "privateKey: is not an ed25519 key",
			file: object(text("privateKey", strings.Repeat("ff", 64)), `"cryptoType": 0`),
		},
		{
			name: "a private key of zero", says: "privateKey: ", is: keys.ErrWeakKey,
			file: object(text("privateKey", strings.Repeat("00", 64))),
		},
		{
			name: "secrets of two keys", says: "secretSeed is of another key",
			file: withSeed(text("secretPhrase", devPhrase)),
		},
		{
			name: "a private key of another", says: "privateKey is of another key",
			file: withSeed(text("privateKey", devPrivate)),
		},
		{
			name: "another's address",
			says: "ss58Address is not that of the secret, neither as sr25519 nor as ed25519",
			file: withSeed(text("ss58Address", bobAddress)),
		},
		{
			name: "another's address in an old spelling", says: " ss58Address is not that of the secret",
			file: withSeed(text(" ss58Address", bobAddress)),
		},
		{
			name: "another's address and a type", says: "ss58Address is not that of the secret",
			file: withSeed(text("ss58Address", bobAddress), `"cryptoType": 0`),
		},
		{
			name: "the address of another network", says: "ss58Address: ", is: keys.ErrAddress,
			file: withSeed(text("ss58Address", "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5")),
		},
		{
			name: "an address that is a number", says: "ss58Address must be a string",
			file: withSeed(`"ss58Address": 5`),
		},
		{
			name: "another's public key", says: "publicKey is not that of the secret",
			file: withSeed(text("publicKey", "0x"+strings.Repeat("01", 32))),
		},
		{
			name: "another's public key beside the address", says: "publicKey is not that of the secret",
			file: withSeed(text("ss58Address", aliceAddress), text("publicKey", edAlicePublic)),
		},
		{
			name: "a public key of the other type", says: "publicKey is not that of the secret",
			file: withSeed(text("ss58Address", aliceSeedEd), text("publicKey", alicePublic)),
		},
		{
			name: "a short public key", says: "publicKey: must be 32 bytes",
			file: withSeed(text("publicKey", "0x01")),
		},
		{
			name: "another's account", says: "accountId is not that of the secret",
			file: withSeed(text("accountId", "0x"+strings.Repeat("01", 32))),
		},
		{
			name: "an account that is no hex", says: "accountId: must be hexadecimal",
			file: withSeed(text("accountId", "topsecret")),
		},
		{
			name: "too large", says: "is larger than 65536 bytes",
			file: withSeed(text("x", strings.Repeat(" ", 64<<10))),
		},
		{
			name: "a type that is a word", says: "cryptoType must be a number",
			file: withSeed(text("cryptoType", "topsecret")),
		},
		{
			name: "a type that is negative", says: "cryptoType must be a number",
			file: withSeed(`"cryptoType": -1`),
		},

		{
			name: "no type told, by a seed", says: "its key type is not stated", is: keys.ErrUnsupported,
			file: withSeed(),
		},
		{
			name: "no type told, by a phrase", says: "its key type is not stated", is: keys.ErrUnsupported,
			file: object(text("secretPhrase", devPhrase)),
		},
		{name: "ECDSA", file: withSeed(`"cryptoType": 2`), says: "cryptoType 2", is: keys.ErrUnsupported},
		{
			name: "hashed", says: "hashed and ML-DSA keys are not", is: keys.ErrUnsupported,
			file: withSeed(text("ss58Address", aliceAddress), `"cryptoType": 4`),
		},
		{
			name: "a descriptor of a hashed key", says: "hashed or ML-DSA", is: keys.ErrUnsupported,
			file: withSeed(text("ss58Address", aliceAddress), `"cryptoType": 1`,
				text("hashedDescriptor", "0x01")),
		},
		{
			name: "an export of polkadot.js", says: "polkadot.js", is: keys.ErrUnsupported,
			file: object(text("encoded", "topsecret"), text("address", aliceAddress),
				`"encoding": {"content": ["pkcs8", "sr25519"], `+
					`"type": ["scrypt", "xsalsa20-poly1305"], "version": "3"}`),
		},
		{
			name: "a bare seed", says: "older than JSON (a bare seed)", is: keys.ErrUnsupported,
			file: "0x" + aliceSeed,
		},
		{
			name: "a bare seed in upper case and a line end",
			says: "older than JSON (a bare seed)", is: keys.ErrUnsupported,
			file: strings.ToUpper(aliceSeed) + "\n",
		},
		{
			name: "a bare private key", says: "older than JSON (a bare seed)", is: keys.ErrUnsupported,
			file: alicePrivate,
		},
		{
			name: "a bare phrase", says: "older than JSON (a bare phrase)", is: keys.ErrUnsupported,
			file: devPhrase + "\n",
		},
		{
			name: "encrypted by NaCl", file: "$NACL\x01\x02topsecret", says: "encrypted",
			is: keys.ErrEncrypted,
		},
		{
			name: "encrypted by Ansible", says: "Ansible Vault", is: keys.ErrUnsupported,
			file: "$ANSIBLE_VAULT;1.1;AES256\n3634",
		},
		{name: "encrypted by Fernet", file: "gAAAAABhtopsecret", says: "Fernet", is: keys.ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parsed, parseErr := keys.Parse([]byte(tt.file), nil)
			path := filepath.Join(t.TempDir(), "hotkey")
			require.NoError(t, os.WriteFile(path, []byte(tt.file), 0o600))
			loaded, loadErr := keys.Load(path, nil)

			require.Nil(t, parsed)
			require.Nil(t, loaded)
			require.ErrorContains(t, loadErr, path)
			for _, err := range []error{parseErr, loadErr} {
				require.ErrorContains(t, err, "keys: ")
				require.ErrorContains(t, err, tt.says)
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
				requireNoSecret(t, err.Error())
				for _, secret := range []string{"topsecret", "12345678", "lonely"} {
					require.NotContains(t, err.Error(), secret)
				}
			}
		})
	}
}

// TestEncryptedKeyfile opens a file that was written by libsodium 1.0.22. Each
// derivation takes seconds and 512 MiB, so there are two of them, one by one.
func TestEncryptedKeyfile(t *testing.T) {
	path := filepath.Join("testdata", "nacl-sr25519")
	asked := 0
	password := func(text string) func() ([]byte, error) {
		return func() ([]byte, error) {
			asked++
			return []byte(text), nil
		}
	}
	k, err := keys.Load(path, password("correct horse 7"))
	require.NoError(t, err)
	require.Equal(t, aliceAddress, k.Hotkey().String())
	require.Equal(t, 1, asked)

	k, err = keys.Load(path, password("topsecret"))
	require.ErrorIs(t, err, keys.ErrPassword)
	require.ErrorContains(t, err, path)
	require.NotContains(t, err.Error(), "topsecret")
	require.Nil(t, k)
}

func TestEncryptedKeyfileWithoutAPassword(t *testing.T) {
	t.Parallel()
	_, err := keys.Load(filepath.Join("testdata", "nacl-sr25519"), nil)
	require.ErrorIs(t, err, keys.ErrEncrypted)

	failure := errors.New("no terminal")
	_, err = keys.Load(filepath.Join("testdata", "nacl-sr25519"),
		func() ([]byte, error) { return nil, failure })
	require.ErrorIs(t, err, failure)

	_, err = keys.Parse([]byte("$NACL123"), func() ([]byte, error) { panic("must not be asked") })
	require.ErrorContains(t, err, "cut off")
}

func TestPasswordIsNotAskedForAPlainFile(t *testing.T) {
	t.Parallel()
	file := object(text("secretSeed", aliceSeed), text("ss58Address", aliceAddress))
	_, err := keys.Parse([]byte(file), func() ([]byte, error) { panic("must not be asked") })
	require.NoError(t, err)
}

func TestLoadNamesThePath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := keys.Load(filepath.Join(dir, "none"), nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(dir, "none"))
	_, err = keys.Load(dir, nil)
	require.ErrorContains(t, err, dir)
	for _, path := range []string{
		"/home/alice smith/My Wallets/.bittensor/wallets/main/hotkeys/default",
		"~/.bittensor/wallets/validator/hotkeys/default",
		"$HOME/.bittensor/wallets/default/coldkey",
		"hotkey",
		`C:\Users\Alice\.bittensor\wallets\default\hotkeys\default`,
	} {
		_, err := keys.Load(path, nil)
		require.ErrorIs(t, err, os.ErrNotExist)
		require.NotContains(t, err.Error(), "withheld")
	}
}

func TestLoadDoesNotQuoteASecretInPlaceOfAPath(t *testing.T) {
	t.Parallel()
	twentyFour := strings.Repeat("abandon ", 23) + "art"
	for name, path := range map[string]string{
		"a phrase":                    devPhrase,
		"a phrase of 24 words":        twentyFour,
		"a phrase in upper case":      strings.ToUpper(devPhrase),
		"a phrase with commas":        strings.ReplaceAll(devPhrase, " ", ","),
		"a phrase with slashes":       strings.ReplaceAll(devPhrase, " ", "/"),
		"a phrase without spaces":     strings.ReplaceAll(devPhrase, " ", ""),
		"a phrase on lines":           strings.ReplaceAll(devPhrase, " ", "\n"),
		"a phrase with typing errors": strings.ReplaceAll(devPhrase, "e", "x"),
		"half a phrase":               "bottom drive obey lake curtain smoke",
		"a few words":                 "word word word word",
		"a phrase of another language": "ábaco abdomen abeja abierto abogado abono " +
			"aborto abrazo abrir abuelo abuso acabar",
		"a phrase and a path":              devPhrase + "//validator",
		"a phrase in a folder":             "/home/me/" + devPhrase,
		"a seed":                           "0x" + aliceSeed,
		"a seed without 0x":                aliceSeed,
		"a seed in upper case":             strings.ToUpper(aliceSeed),
		"half a seed":                      "0x" + aliceSeed[:32],
		"a private key":                    alicePrivate,
		"a URI":                            "//Alice//topsecret",
		"a URI with a password":            "//Alice///topsecret",
		"the content of a file":            object(text("secretSeed", aliceSeed[:20])),
		"the content of a file, indented":  "{\n  " + text("secretSeed", aliceSeed[:20]) + "\n}",
		"a seed with a line end":           aliceSeed[:30] + "\n",
		"a path with a seed as its folder": "wallets/" + aliceSeed + "/hotkey",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := keys.Load(path, nil)
			require.ErrorContains(t, err, "withheld")
			require.NotContains(t, err.Error(), path)
			separates := func(r rune) bool { return strings.ContainsRune(" /,\n\"{}:", r) }
			for _, word := range strings.FieldsFunc(strings.ToLower(path), separates) {
				if len(word) > 4 && !strings.HasPrefix(word, "secret") {
					require.NotContains(t, err.Error(), word)
				}
			}
		})
	}
}
