package keys_test

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/keys"
)

// peer is a Node process with @polkadot/util-crypto and libsodium, see interop/peer.mjs.
type peer struct {
	requests *json.Encoder
	answers  *json.Decoder
}

// peerAnswer is whatever the peer answers; each call sets its own fields.
type peerAnswer struct {
	Address, PublicKey, PrivateKey, Signature, File string
	OK                                              bool
}

// startPeer skips the test unless "make interop" runs it.
func startPeer(t *testing.T) peer {
	t.Helper()
	if os.Getenv("KEYS_INTEROP") == "" {
		t.Skip("needs Node and @polkadot/util-crypto: make interop")
	}
	node := exec.CommandContext(t.Context(), "node", "peer.mjs")
	node.Dir, node.Stderr = "interop", os.Stderr
	in, err := node.StdinPipe()
	require.NoError(t, err)
	out, err := node.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		_ = node.Wait() // t.Context has ended, which may kill it first
	})
	return peer{requests: json.NewEncoder(in), answers: json.NewDecoder(out)}
}

func (p peer) ask(t *testing.T, call string, arguments map[string]string) (answer peerAnswer) {
	t.Helper()
	request := maps.Clone(arguments)
	request["call"] = call
	require.NoError(t, p.requests.Encode(request))
	require.NoError(t, p.answers.Decode(&answer))
	return answer
}

// interopURIs are secret URIs of all kinds, on which sp_core and polkadot-js agree.
func interopURIs() []string {
	random := rand.NewChaCha8([32]byte{5})
	uris := []string{
		devPhrase, "//Alice", "//Bob", "//Alice//stash", "//0", "//007", "//18446744073709551615", "//-1",
		"//é//日本",
		"legal winner thank year wave sausage worth useful legal winner thank yellow//validator//3",
		strings.Repeat("abandon ", 23) + "art",
	}
	for i := range 20 {
		var seed [32]byte
		_, _ = random.Read(seed[:])
		uris = append(uris, "0x"+hex.EncodeToString(seed[:])+"//"+strconv.Itoa(i)+"//"+strings.Repeat("x",
			1+5*i))
	}
	return uris
}

var interopSchemes = []keys.Scheme{keys.SR25519, keys.Ed25519}

func TestInteropKeys(t *testing.T) {
	t.Parallel()
	node := startPeer(t)
	uris := interopURIs()
	for _, scheme := range interopSchemes {
		for _, uri := range uris {
			theirs := node.ask(t, "key", map[string]string{"uri": uri, "scheme": scheme.String()})
			ours, err := keys.FromURI(uri, scheme)
			require.NoError(t, err)
			hotkey := ours.Hotkey()
			require.Equal(t, theirs.PublicKey, hex.EncodeToString(hotkey[:]))
			require.Equal(t, theirs.Address, hotkey.String())

			fromFile, err := keys.Parse([]byte(object(text("privateKey", "0x"+theirs.PrivateKey),
				text("ss58Address", theirs.Address))), nil)
			require.NoError(t, err)
			require.Equal(t, hotkey, fromFile.Hotkey())
			require.Equal(t, scheme, fromFile.Scheme())
		}
	}
	t.Logf("%d secret URIs under two schemes: the same public keys, addresses and private keys",
		len(uris))
}

func TestInteropSignatures(t *testing.T) {
	t.Parallel()
	node := startPeer(t)
	uris := interopURIs()
	for _, scheme := range interopSchemes {
		for i, uri := range uris {
			message := []byte(strings.Repeat("m", 37*i))
			ours, err := keys.FromURI(uri, scheme)
			require.NoError(t, err)
			hotkey, encoded := ours.Hotkey(), hex.EncodeToString(message)

			theirs := hexBytes(node.ask(t, "sign",
				map[string]string{"uri": uri, "scheme": scheme.String(), "message": encoded}).Signature)
			require.True(t, keys.Verify(scheme, hotkey, message, theirs))
			require.False(t, keys.Verify(scheme, hotkey, append(message, 'm'), theirs))

			signature, err := ours.Sign(message)
			require.NoError(t, err)
			check := map[string]string{
				"publicKey": hex.EncodeToString(hotkey[:]), "message": encoded,
				"signature": hex.EncodeToString(signature), "scheme": scheme.String(),
			}
			require.True(t, node.ask(t, "verify", check).OK)
			check["message"] += "00"
			require.False(t, node.ask(t, "verify", check).OK)
		}
	}
	t.Logf("%d messages under two schemes: Node's signatures are good for Go, and Go's for Node; none for another message", len(uris))
}

// TestInteropKeyfile opens a key file that libsodium has encrypted. The
// derivation takes its time on both sides.
func TestInteropKeyfile(t *testing.T) {
	t.Parallel()
	node := startPeer(t)
	theirs := node.ask(t, "key", map[string]string{"uri": "//Alice", "scheme": "ed25519"})
	content := object(text("privateKey", "0x"+theirs.PrivateKey), text("ss58Address", theirs.Address))
	file := hexBytes(node.ask(t, "keyfile",
		map[string]string{"content": content, "password": "pässword 1"}).File)
	k, err := keys.Parse(file, func() ([]byte, error) { return []byte("pässword 1"), nil })
	require.NoError(t, err)
	require.Equal(t, theirs.Address, k.Hotkey().String())
	require.Equal(t, keys.Ed25519, k.Scheme())
	t.Log("a key file of libsodium: opened")
}

func TestInteropAddresses(t *testing.T) {
	t.Parallel()
	node := startPeer(t)
	random := rand.NewChaCha8([32]byte{6})
	const rounds = 200
	for range rounds {
		var hotkey keys.Hotkey
		_, err := random.Read(hotkey[:])
		require.NoError(t, err)
		text := hex.EncodeToString(hotkey[:])

		theirs := node.ask(t, "encode", map[string]string{"publicKey": text}).Address
		parsed, err := keys.ParseSS58(theirs)
		require.NoError(t, err)
		require.Equal(t, hotkey, parsed)
		require.Equal(t, text, node.ask(t, "decode",
			map[string]string{"address": hotkey.String()}).PublicKey)
	}
	t.Logf("%d addresses: the same both ways", rounds)
}
