package axon_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// requestMessage is as long as what an axon request signs.
var requestMessage = []byte(strings.Repeat("m", 211))

// BenchmarkVerify shows what keeping parsed keys saves: the floor has one.
func BenchmarkVerify(b *testing.B) {
	alice := keypairFromURI(b, "//Alice")
	hotkey := alice.Hotkey()
	signature, err := alice.Sign(requestMessage)
	require.NoError(b, err)
	key, err := hotkey.PublicKey()
	require.NoError(b, err)
	b.Run("key/floor", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !axon.VerifyParsed(key, requestMessage, signature) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("key/organic", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !hotkey.Verify(requestMessage, signature) {
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

func BenchmarkParseHotkey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := axon.ParseHotkey(aliceAddress); err != nil {
			b.Fatal(err)
		}
	}
}
