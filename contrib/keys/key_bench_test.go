package keys_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/keys"
)

// requestMessage is as long as what an axon request signs.
var requestMessage = []byte(strings.Repeat("m", 211))

// BenchmarkVerify shows what keeping parsed keys saves: the floor has one.
func BenchmarkVerify(b *testing.B) {
	alice := keypairFromURI(b, "//Alice")
	hotkey := alice.Hotkey()
	signature, err := alice.Sign(requestMessage)
	require.NoError(b, err)
	key, err := hotkey.PublicKey(keys.SR25519)
	require.NoError(b, err)
	b.Run("key/floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !key.Verify(requestMessage, signature) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("key/organic", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !keys.Verify(keys.SR25519, hotkey, requestMessage, signature) {
				b.Fatal("refused")
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	alice := keypairFromURI(b, "//Alice")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := alice.Sign(requestMessage); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseSS58(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.ParseSS58(aliceAddress); err != nil {
			b.Fatal(err)
		}
	}
}
