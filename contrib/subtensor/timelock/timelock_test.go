package timelock_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

// hexText is bytes that a vector file writes as hexadecimal digits.
type hexText []byte

func (h *hexText) UnmarshalText(text []byte) error {
	data, err := hex.DecodeString(string(text))
	*h = data
	return err
}

type vector struct {
	Round                         uint64
	Signature, Plaintext          hexText
	Sigma, Key, Nonce, Ciphertext hexText
	Length                        int
}

func readVectors[T any](tb testing.TB, name string) T {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(tb, err)
	var vectors T
	require.NoError(tb, json.Unmarshal(data, &vectors))
	return vectors
}

func ciphertexts(tb testing.TB) []vector {
	tb.Helper()
	file := readVectors[struct{ Cases []vector }](tb, "tle.json")
	require.NotEmpty(tb, file.Cases)
	return file.Cases
}

func TestCiphertextsOfPeersAreDecrypted(t *testing.T) {
	t.Parallel()
	for i, c := range ciphertexts(t) {
		require.Len(t, c.Ciphertext, c.Length)
		require.Len(t, c.Ciphertext, len(c.Plaintext)+timelock.Overhead)
		plaintext, err := timelock.Decrypt(c.Ciphertext, c.Signature)
		require.NoError(t, err, "case %d", i)
		require.True(t, bytes.Equal(c.Plaintext, plaintext), "case %d", i)
	}
}

func TestEncryptMatchesKnownAnswers(t *testing.T) {
	t.Parallel()
	known := 0
	for i, c := range ciphertexts(t) {
		if len(c.Sigma) == 0 {
			continue
		}
		known++
		got, err := timelock.Quicknet().EncryptWith(c.Plaintext, c.Round, c.Sigma, c.Key, c.Nonce)
		require.NoError(t, err)
		require.Equal(t, []byte(c.Ciphertext), got, "case %d", i)
	}
	require.Equal(t, 15, known)
}

func TestEncryptedTextIsReadWithTheSignatureOfItsRoundAlone(t *testing.T) {
	t.Parallel()
	cases := ciphertexts(t)
	for _, length := range []int{0, 1, 31, 256, 4756} {
		plaintext := bytes.Repeat([]byte{0xa5}, length)
		first, err := timelock.Quicknet().Encrypt(plaintext, cases[0].Round)
		require.NoError(t, err)
		second, err := timelock.Quicknet().Encrypt(plaintext, cases[0].Round)
		require.NoError(t, err)
		require.NotEqual(t, first, second)
		for _, c := range cases {
			got, err := timelock.Decrypt(first, c.Signature)
			if c.Round != cases[0].Round {
				require.ErrorIs(t, err, timelock.ErrDecrypt)
				continue
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(plaintext, got))
		}
	}
}

func TestChangedCiphertextIsRefused(t *testing.T) {
	t.Parallel()
	c := ciphertexts(t)[2]
	for i := range c.Ciphertext {
		changed := bytes.Clone(c.Ciphertext)
		changed[i] ^= 1
		_, err := timelock.Decrypt(changed, c.Signature)
		require.Error(t, err, "byte %d", i)
	}
	for _, length := range []int{0, 95, 96, 200, len(c.Ciphertext) - 1} {
		_, err := timelock.Decrypt(c.Ciphertext[:length], c.Signature)
		require.ErrorIs(t, err, timelock.ErrMalformed, "length %d", length)
	}
	_, err := timelock.Decrypt(append(bytes.Clone(c.Ciphertext), 0), c.Signature)
	require.ErrorIs(t, err, timelock.ErrMalformed)
}

func TestSignatureMustBeAPoint(t *testing.T) {
	t.Parallel()
	c := ciphertexts(t)[0]
	for name, signature := range map[string][]byte{
		"empty":        nil,
		"short":        c.Signature[:47],
		"not a point":  bytes.Repeat([]byte{0xff}, 48),
		"uncompressed": append(bytes.Clone(c.Signature), c.Signature...),
	} {
		_, err := timelock.Decrypt(c.Ciphertext, signature)
		require.ErrorIs(t, err, timelock.ErrMalformed, name)
		require.ErrorIs(t, timelock.Quicknet().Verify(c.Round, signature), timelock.ErrMalformed, name)
	}
}

func TestVerifyAcceptsTheBeaconsSignaturesAlone(t *testing.T) {
	t.Parallel()
	for _, c := range ciphertexts(t)[:10] {
		require.NoError(t, timelock.Quicknet().Verify(c.Round, c.Signature))
		require.ErrorIs(t, timelock.Quicknet().Verify(c.Round+1, c.Signature), timelock.ErrDecrypt)
	}
}

func FuzzDecrypt(f *testing.F) {
	for _, c := range ciphertexts(f)[:6] {
		f.Add([]byte(c.Ciphertext), []byte(c.Signature))
	}
	f.Fuzz(func(t *testing.T, ciphertext, signature []byte) {
		plaintext, err := timelock.Decrypt(ciphertext, signature)
		if err == nil {
			require.Len(t, ciphertext, len(plaintext)+timelock.Overhead)
		}
	})
}
