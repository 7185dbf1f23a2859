package axon_test

import (
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

var promptText = strings.Repeat("Explain how rivers carve valleys. ", 30)

// BenchmarkBodyHash: the floor decodes the hashed field and hashes it, which is
// the least a server does; of the messages it hashes the JSON as it came.
func BenchmarkBodyHash(b *testing.B) {
	prompt := axon.Class{Name: "Organic", Hashed: []axon.Field{field("prompt", axon.Str())}}
	messages := axon.Class{Name: "Organic", Hashed: []axon.Field{field("messages", messagesType)}}
	escaped := strings.Repeat(`It's \"late\"\n\u2014 caf\u00e9? `, 32)
	for _, bb := range []struct {
		name  string
		class axon.Class
		body  string
		floor func(b *testing.B, body []byte) string
	}{
		{"prompt-1KiB", prompt, `{"prompt": "` + promptText + `"}`, promptFloor},
		{"prompt-escaped-1KiB", prompt, `{"prompt": "` + escaped + `"}`, promptFloor},
		{"messages-4KiB", messages, `{"messages": [` + strings.Repeat(`{"role": "user", "content": "`+promptText+`"},`, 3) + `{"role": "user", "content": "` + promptText + `"}]}`, messagesFloor},
	} {
		body := []byte(bb.body)
		b.Run(bb.name+"/floor", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bb.floor(b, body)
			}
		})
		b.Run(bb.name+"/organic", func(b *testing.B) {
			b.ReportAllocs()
			hash, err := axon.Hasher(bb.class)
			require.NoError(b, err)
			var buf [64]byte
			for b.Loop() {
				if _, err := hash(buf[:0], body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func promptFloor(b *testing.B, body []byte) string {
	b.Helper()
	var synapse struct {
		Prompt string `json:"prompt"`
	}
	if err := json.Unmarshal(body, &synapse); err != nil {
		b.Fatal(err)
	}
	return twice([]byte(synapse.Prompt))
}

func messagesFloor(b *testing.B, body []byte) string {
	b.Helper()
	var synapse struct {
		Messages json.RawMessage `json:"messages"`
	}
	if err := json.Unmarshal(body, &synapse); err != nil {
		b.Fatal(err)
	}
	return twice(synapse.Messages)
}

// twice is the body hash of one field.
func twice(text []byte) string {
	var digits [64]byte
	for range 2 {
		sum := sha3.Sum256(text)
		hex.Encode(digits[:], sum[:])
		text = digits[:]
	}
	return string(text)
}
