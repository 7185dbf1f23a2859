package keys_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/keys"
)

const (
	aliceAddress    = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
	bobAddress      = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
	identityAddress = "5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM"
)

// readVectors decodes a file of testdata.
func readVectors(tb testing.TB, name string, into any) {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(tb, err)
	require.NoError(tb, json.Unmarshal(data, into))
}

// hexBytes reads hexadecimal digits with or without "0x"; what is none gives
// nil, since some vectors have such signatures.
func hexBytes(text string) []byte {
	data, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil {
		return nil
	}
	return data
}

func TestParseSS58OnVectors(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct {
			ID, Kind, Address string
			Accept            bool
			PublicKey         string `json:"public_key"`
		}
	}
	readVectors(t, "ss58.json", &file)
	require.Len(t, file.Vectors, 21)
	for _, vector := range file.Vectors {
		t.Run(vector.ID, func(t *testing.T) {
			t.Parallel()
			hotkey, err := keys.ParseSS58(vector.Address)
			switch {
			case vector.Accept:
				require.NoError(t, err)
				require.Equal(t, hexBytes(vector.PublicKey), hotkey[:])
				require.Equal(t, vector.Address, hotkey.String())
				return
			case vector.Kind == "identity-key":
				require.ErrorIs(t, err, keys.ErrWeakKey)
				require.NotErrorIs(t, err, keys.ErrAddress)
			default:
				require.ErrorIs(t, err, keys.ErrAddress)
			}
			require.Zero(t, hotkey)
			if vector.Address != "" {
				require.NotContains(t, err.Error(), vector.Address)
			}
		})
	}
}

func TestParseSS58Refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		address string
		says    string
	}{
		{"a space before", " " + aliceAddress, "48 characters"},
		{"a space for a character", " " + aliceAddress[1:], "base58"},
		{"a line end", aliceAddress + "\n", "48 characters"},
		{"a letter outside ASCII", "é" + aliceAddress[2:], "base58"},
		{"a zero byte", "\x00" + aliceAddress[1:], "base58"},
		{"a leading one, which base58 reads as a zero byte", "1" + aliceAddress[1:], "prefix"},
		{"only ones", strings.Repeat("1", 48), "prefix"},
		{"only the highest digit", strings.Repeat("z", 48), "prefix"},
		{"two characters swapped", aliceAddress[:20] + "DpWS57CtERHpNehXCPcNoHGKutQY", "checksum"},
		{"very long", strings.Repeat(aliceAddress, 1000), "48 characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := keys.ParseSS58(tt.address)
			require.ErrorIs(t, err, keys.ErrAddress)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), tt.address)
		})
	}
}

func TestHotkeyIsText(t *testing.T) {
	t.Parallel()
	alice, err := keys.ParseSS58(aliceAddress)
	require.NoError(t, err)

	text, err := json.Marshal(map[keys.Hotkey]keys.Hotkey{alice: alice})
	require.NoError(t, err)
	require.JSONEq(t, `{"`+aliceAddress+`": "`+aliceAddress+`"}`, string(text))

	var back map[keys.Hotkey]keys.Hotkey
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, map[keys.Hotkey]keys.Hotkey{alice: alice}, back)

	kept := alice
	require.ErrorIs(t, kept.UnmarshalText([]byte("5Grw")), keys.ErrAddress)
	require.ErrorIs(t, kept.UnmarshalText([]byte(identityAddress)), keys.ErrWeakKey)
	require.Equal(t, alice, kept)
	require.NoError(t, kept.UnmarshalText([]byte(bobAddress)))
	require.Equal(t, bobAddress, kept.String())
	require.Equal(t, identityAddress, keys.Hotkey{}.String())
}

// signed is a signature of the vectors.
type signed struct {
	id                 string
	hotkey             keys.Hotkey
	message, signature []byte
	valid              bool
}

// readSigned returns all signatures of axon.json and epistula.json.
func readSigned(t *testing.T) []signed {
	t.Helper()
	var all []signed
	for _, name := range []string{"axon.json", "epistula.json"} {
		var file struct {
			Vectors []struct {
				ID        string
				Headers   map[string]string
				Message   string `json:"verifier_message"`
				PublicKey string `json:"hotkey_public_key"`
				Valid     *bool  `json:"raw_signature_valid_over_verifier_message"`
			}
		}
		readVectors(t, name, &file)
		for _, vector := range file.Vectors {
			if vector.Valid == nil {
				continue // secret signatures, which have another form
			}
			s := signed{id: vector.ID, message: []byte(vector.Message), valid: *vector.Valid}
			require.Equal(t, len(s.hotkey), copy(s.hotkey[:], hexBytes(vector.PublicKey)))
			for header, text := range vector.Headers {
				switch strings.ToLower(header) {
				case "bt_header_dendrite_signature", "epistula-request-signature", "body-signature":
					s.signature = hexBytes(text)
				}
			}
			all = append(all, s)
		}
	}
	return all
}

func TestVerifyOnVectors(t *testing.T) {
	t.Parallel()
	vectors := readSigned(t)
	require.Len(t, vectors, 69+70)
	for _, vector := range vectors {
		t.Run(vector.id, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, vector.valid,
				keys.Verify(keys.SR25519, vector.hotkey, vector.message, vector.signature))
			key, err := vector.hotkey.PublicKey(keys.SR25519)
			if vector.hotkey == (keys.Hotkey{}) {
				require.ErrorIs(t, err, keys.ErrWeakKey)
				return
			}
			require.NoError(t, err)
			require.Equal(t, vector.valid, key.Verify(vector.message, vector.signature))
		})
	}
}

func TestVerifyOnSecretSignatures(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct {
			Signer     keys.Hotkey
			Signatures []map[string]any
		}
	}
	readVectors(t, "epistula.json", &file)
	checked := 0
	for _, vector := range file.Vectors {
		for _, signatures := range vector.Signatures {
			for _, spelling := range []string{"python", "go_hub", "gobt"} {
				message, signature := signatures[spelling+"_message"].(string), signatures[spelling+"_signature"].(string)
				require.True(t, keys.Verify(keys.SR25519, vector.Signer, []byte(message), hexBytes(signature)))
				checked++
			}
		}
	}
	require.Equal(t, 2*3*3, checked)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	alice, err := keys.FromURI("//Alice", keys.SR25519)
	require.NoError(t, err)
	message := []byte("message")
	good, err := alice.Sign(message)
	require.NoError(t, err)
	changed := func(i int, bits byte) []byte {
		signature := bytes.Clone(good)
		signature[i] ^= bits
		return signature
	}
	// The order of the group, little endian: s and s + order are the same scalar.
	order := hexBytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	again, carry := bytes.Clone(good), 0
	for i, b := range order {
		carry += int(again[32+i]&^(0x80*byte(i/31))) + int(b)
		again[32+i] = byte(carry)
		carry >>= 8
	}
	again[63] |= 0x80

	tests := []struct {
		name      string
		hotkey    keys.Hotkey
		message   string
		signature []byte
	}{
		{"no signature", alice.Hotkey(), "message", nil},
		{"63 bytes", alice.Hotkey(), "message", good[:63]},
		{"65 bytes", alice.Hotkey(), "message", append(bytes.Clone(good), 0)},
		{"another message", alice.Hotkey(), "massage", good},
		{"no message", alice.Hotkey(), "", good},
		{"one bit of the point", alice.Hotkey(), "message", changed(0, 1)},
		{"one bit of the scalar", alice.Hotkey(), "message", changed(32, 1)},
		{"no marker", alice.Hotkey(), "message", changed(63, 0x80)},
		{"the same scalar written otherwise", alice.Hotkey(), "message", again},
		{"zeros with the marker", alice.Hotkey(), "message", append(make([]byte, 63), 0x80)},
		{"the wrong key", keys.Hotkey{1}, "message", good},
		{"a key that is no point", keys.Hotkey(bytes.Repeat([]byte{0xff}, 32)), "message", good},
		{"the identity", keys.Hotkey{}, "message", good},
		// The base point and the scalar one: forged for the identity and any message.
		{"a forgery for the identity", keys.Hotkey{}, "message", hexBytes(
			"e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76" +
				"0100000000000000000000000000000000000000000000000000000000000080")},
		// sp_core's verify_known_old_message_should_work: made before schnorrkel had the marker.
		{
			"an old signature of 2019",
			keys.Hotkey(hexBytes("b4bfa1f7a5166695eb75299fd1c4c03ea212871c342f2c5dfea0902b2c246918")),
			"Verifying that I am the owner of 5G9hQLdsKQswNPgB499DeA5PkFBbgkLPJWkkS6FAM6xGQ8xD. Hash: 221455a3\n",
			hexBytes("5a9755f069939f45d96aaf125cf5ce7ba1db998686f87f2fb3cbdea922078741" +
				"a73891ba265f70c31436e18a9acd14d189d73c12317ab6c313285cd938453202"),
		},
	}
	require.True(t, keys.Verify(keys.SR25519, alice.Hotkey(), message, good))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.False(t, keys.Verify(keys.SR25519, tt.hotkey, []byte(tt.message), tt.signature))
		})
	}
}

func TestHotkeyThatIsNoPointHasNoPublicKey(t *testing.T) {
	t.Parallel()
	_, err := keys.Hotkey(bytes.Repeat([]byte{0xff}, 32)).PublicKey(keys.SR25519)
	require.ErrorIs(t, err, keys.ErrAddress)
}
