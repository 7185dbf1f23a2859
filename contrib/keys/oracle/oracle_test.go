package oracle_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	schnorrkel "github.com/ChainSafe/go-schnorrkel"
	"github.com/oasisprotocol/curve25519-voi/primitives/sr25519"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"
)

var label = []byte("substrate")

func hexBytes(text string) []byte {
	data, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil {
		return nil
	}
	return data
}

// pairs returns pairs of keys of one random seed: ours and theirs.
func pairs(t *testing.T, random *rand.ChaCha8) (*keys.Keypair, *schnorrkel.Keypair, [32]byte) {
	t.Helper()
	var seed [32]byte
	_, err := random.Read(seed[:])
	require.NoError(t, err)
	ours, err := keys.FromSeed(seed[:], keys.SR25519)
	require.NoError(t, err)
	mini, err := schnorrkel.NewMiniSecretKeyFromRaw(seed)
	require.NoError(t, err)
	theirs, err := mini.ExpandEd25519().Keypair()
	require.NoError(t, err)
	return ours, theirs, seed
}

// theirVerdict is what go-schnorrkel says of a signature.
func theirVerdict(hotkey keys.Hotkey, message, signature []byte) bool {
	key, err := schnorrkel.NewPublicKey(hotkey)
	if err != nil || len(signature) != schnorrkel.SignatureSize {
		return false
	}
	var parsed schnorrkel.Signature
	if parsed.Decode([schnorrkel.SignatureSize]byte(signature)) != nil {
		return false
	}
	ok, err := key.Verify(&parsed, schnorrkel.NewSigningContext(label, message))
	return ok && err == nil
}

func TestSignaturesAreGoodForBoth(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{1})
	for i := range 100 {
		ours, theirs, _ := pairs(t, random)
		message := make([]byte, i*7)
		_, err := random.Read(message)
		require.NoError(t, err)
		other := slices.Concat(message, []byte{0})

		signature, err := ours.Sign(message)
		require.NoError(t, err)
		require.True(t, theirVerdict(ours.Hotkey(), message, signature))
		require.False(t, theirVerdict(ours.Hotkey(), other, signature))

		their, err := theirs.Sign(schnorrkel.NewSigningContext(label, message))
		require.NoError(t, err)
		encoded := their.Encode()
		require.True(t, keys.Verify(keys.SR25519, ours.Hotkey(), message, encoded[:]))
		require.False(t, keys.Verify(keys.SR25519, ours.Hotkey(), other, encoded[:]))
	}
}

func TestBothSayTheSameOfDamagedSignatures(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{2})
	ours, _, _ := pairs(t, random)
	message := []byte("message")
	good, err := ours.Sign(message)
	require.NoError(t, err)
	for bit := range 8 * len(good) {
		signature := append([]byte{}, good...)
		signature[bit/8] ^= 1 << (bit % 8)
		require.False(t, keys.Verify(keys.SR25519, ours.Hotkey(), message, signature), "bit %d", bit)
		require.False(t, theirVerdict(ours.Hotkey(), message, signature), "bit %d", bit)
	}
}

func TestPublicKeysOfSeedsAreTheSame(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{3})
	for range 200 {
		ours, _, seed := pairs(t, random)
		mini, err := schnorrkel.NewMiniSecretKeyFromRaw(seed)
		require.NoError(t, err)
		require.Equal(t, keys.Hotkey(mini.Public().Encode()), ours.Hotkey())
	}
}

// TestHardDerivationsAreTheSame writes the junctions' chain codes by hand:
// go-schnorrkel knows nothing of URIs.
func TestHardDerivationsAreTheSame(t *testing.T) {
	t.Parallel()
	random := rand.NewChaCha8([32]byte{4})
	for i := range 100 {
		_, _, seed := pairs(t, random)
		number := random.Uint64() >> (i % 64)
		var numeric, text [32]byte
		binary.LittleEndian.PutUint64(numeric[:], number)
		name := strings.Repeat("n", 1+i%31)
		copy(text[1:], name)
		text[0] = byte(len(name) << 2) // SCALE's length of a short text

		ours, err := keys.FromURI(fmt.Sprintf("0x%x//%d//%s", seed, number, name), keys.SR25519)
		require.NoError(t, err)

		mini, err := schnorrkel.NewMiniSecretKeyFromRaw(seed)
		require.NoError(t, err)
		for _, code := range [][32]byte{numeric, text} {
			mini, _, err = mini.HardDeriveMiniSecretKey(nil, code)
			require.NoError(t, err)
		}
		require.Equal(t, keys.Hotkey(mini.Public().Encode()), ours.Hotkey())
	}
}

// vector is one signature of testdata.
type vector struct {
	ID        string
	Kind      string
	Headers   map[string]string
	Message   string `json:"verifier_message"`
	PublicKey string `json:"hotkey_public_key"`
	Valid     *bool  `json:"raw_signature_valid_over_verifier_message"`
}

func (v vector) signature() []byte {
	for header, text := range v.Headers {
		switch strings.ToLower(header) {
		case "bt_header_dendrite_signature", "epistula-request-signature", "body-signature":
			return hexBytes(text)
		}
	}
	return nil
}

// readVectors returns the vectors that have one signature each.
func readVectors(t *testing.T) []vector {
	t.Helper()
	var all []vector
	for _, name := range []string{"axon.json", "epistula.json"} {
		data, err := os.ReadFile(filepath.Join("..", "testdata", name))
		require.NoError(t, err)
		var file struct{ Vectors []vector }
		require.NoError(t, json.Unmarshal(data, &file))
		for _, v := range file.Vectors {
			if v.Valid != nil {
				all = append(all, v)
			}
		}
	}
	require.Len(t, all, 139)
	return all
}

func TestVerdictsOnVectorsAreTheSame(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t) {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			hotkey, message := keys.Hotkey(hexBytes(v.PublicKey)), []byte(v.Message)
			require.Equal(t, *v.Valid, keys.Verify(keys.SR25519, hotkey, message, v.signature()))
			require.Equal(t, *v.Valid, theirVerdict(hotkey, message, v.signature()))
		})
	}
}

// TestForgeriesForTheIdentityAreRefused shows why a hotkey is looked at before
// its signature: curve25519-voi alone takes the forgeries of the vectors, for
// any message.
func TestForgeriesForTheIdentityAreRefused(t *testing.T) {
	t.Parallel()
	identity, err := sr25519.NewPublicKeyFromBytes(make([]byte, sr25519.PublicKeySize))
	require.NoError(t, err)
	context, forgeries := sr25519.NewSigningContext(label), 0
	for _, v := range readVectors(t) {
		if v.Kind != "identity-key" {
			continue
		}
		forgeries++
		signature, err := sr25519.NewSignatureFromBytes(v.signature())
		require.NoError(t, err)
		for _, message := range []string{v.Message, "", "anything at all"} {
			require.True(t, identity.Verify(context.NewTranscriptBytes([]byte(message)), signature))
			require.False(t, keys.Verify(keys.SR25519, keys.Hotkey{}, []byte(message), v.signature()))
			require.False(t, theirVerdict(keys.Hotkey{}, []byte(message), v.signature()))
		}
	}
	require.Equal(t, 5, forgeries)
}
