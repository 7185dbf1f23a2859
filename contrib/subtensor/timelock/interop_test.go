package timelock_test

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// peer is a Node process with @ideallabs/timelock_wasm_wrapper, see interop/peer.mjs.
type peer struct {
	requests *json.Encoder
	answers  *json.Decoder
}

// startPeer skips the test unless "make interop" runs it.
func startPeer(t *testing.T) peer {
	t.Helper()
	if os.Getenv("TIMELOCK_INTEROP") == "" {
		t.Skip("needs Node and @ideallabs/timelock_wasm_wrapper: make interop")
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

// ask returns the peer's bytes, or the text of its error.
func (p peer) ask(t *testing.T, request map[string]string) (data []byte, failure string) {
	t.Helper()
	var answer struct {
		Data  hexText `json:"data"`
		Error string  `json:"error"`
	}
	require.NoError(t, p.requests.Encode(request))
	require.NoError(t, p.answers.Decode(&answer))
	return answer.Data, answer.Error
}

func (p peer) decrypt(
	t *testing.T,
	ciphertext, signature []byte,
) (plaintext []byte, failure string) {
	t.Helper()
	return p.ask(t, map[string]string{
		"call":       "decrypt",
		"ciphertext": hex.EncodeToString(ciphertext),
		"signature":  hex.EncodeToString(signature),
	})
}

func (p peer) encrypt(t *testing.T, round uint64, message, secret []byte) []byte {
	t.Helper()
	file := readVectors[struct {
		Key string `json:"public_key"`
	}](t, "tle.json")
	ciphertext, failure := p.ask(t, map[string]string{
		"call": "encrypt", "round": strconv.FormatUint(round, 10), "message": hex.EncodeToString(message),
		"secret": hex.EncodeToString(secret), "key": file.Key,
	})
	require.Empty(t, failure)
	return ciphertext
}

func TestInteropCiphertextsAreReadInBothDirections(t *testing.T) {
	t.Parallel()
	p := startPeer(t)
	random := rand.NewChaCha8([32]byte{7})
	cases := ciphertexts(t)
	for _, length := range []int{0, 1, 15, 16, 17, 55, 1069, timelock.MaxCommit - timelock.Overhead} {
		for i := range 3 {
			c := cases[(length+7*i)%len(cases)]
			message, secret := make([]byte, length), make([]byte, 32)
			_, _ = random.Read(message)
			_, _ = random.Read(secret)

			ours, err := timelock.Quicknet().Encrypt(message, c.Round)
			require.NoError(t, err)
			got, failure := p.decrypt(t, ours, c.Signature)
			require.Empty(t, failure)
			require.Equal(t, hex.EncodeToString(message), hex.EncodeToString(got))

			theirs := p.encrypt(t, c.Round, message, secret)
			require.Len(t, theirs, len(ours))
			got, err = timelock.Decrypt(theirs, c.Signature)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString(message), hex.EncodeToString(got))
		}
	}
}

func TestInteropOtherRoundIsRefusedByBoth(t *testing.T) {
	t.Parallel()
	p := startPeer(t)
	cases := ciphertexts(t)
	ours, err := timelock.Quicknet().Encrypt([]byte("weights"), cases[0].Round+1)
	require.NoError(t, err)
	_, failure := p.decrypt(t, ours, cases[0].Signature)
	require.NotEmpty(t, failure)
	theirs := p.encrypt(t, cases[0].Round+1, []byte("weights"), make([]byte, 32))
	_, err = timelock.Decrypt(theirs, cases[0].Signature)
	require.ErrorIs(t, err, timelock.ErrDecrypt)
}
