package axon_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// FuzzBodyHash checks that a handler sees what was hashed: what encoding/json
// makes of a body that was accepted has the same hash.
func FuzzBodyHash(f *testing.F) {
	for _, body := range []string{
		`{"prompt": "x", "opts": {"a": [1, 2.5, null, true, "it's"]}}`,
		`{"prompt": "x", "Prompt": "y", "opts": 1}`,
		`{"\u0070rompt": "\ud83d\ude80\n", "opts": [{}, [], -0, -0.0, 1e16]}`,
		`{"prompt": "\ud800", "opts": "x"}`, `{"prompt`, `[[[`, `"\`, "{\"prompt\": \"\xff\"}",
		`{"opts": {"a": 1, "a": 2}, "prompt": ""}`, `{"prompt": "a", "opts": 1e999}`,
	} {
		f.Add([]byte(body))
	}
	hash, err := axon.Hasher(axon.Class{
		Name:   "Organic",
		Hashed: []axon.Field{field("prompt", axon.Str()), field("opts", axon.Any())},
	})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := hash([]byte("kept"), body)
		if err != nil {
			require.ErrorIs(t, err, axon.ErrBadBody)
			require.Equal(t, "kept", string(got))
			return
		}
		var seen struct {
			Prompt string          `json:"prompt"`
			Opts   json.RawMessage `json:"opts"`
		}
		require.NoError(t, json.Unmarshal(body, &seen))
		require.Equal(t, "kept"+bodyHash(seen.Prompt, pythonOf(t, string(seen.Opts), true)), string(got))
	})
}

// FuzzPythonRepr compares strings and floats inside a list with the plain way.
func FuzzPythonRepr(f *testing.F) {
	f.Add("it's \"x\"\\\n\r\t\x00\x7f\u00a0\u200b\U000e0001\U0010ffff", 1e16)
	f.Add("it's", 0.0001)
	f.Add(`say "x"`, -5e-324)
	hash, err := axon.Hasher(classOf(axon.List(axon.Any())))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text string, number float64) {
		text = strings.ToValidUTF8(text, "?")
		value, err := json.Marshal([]any{text, number, map[string]any{text: text}})
		if err != nil {
			return // NaN and the infinities
		}
		got, err := hash(nil, bodyOf(string(value)))
		require.NoError(t, err)
		require.Equal(t, bodyHash(pythonOf(t, string(value), true)), string(got))
	})
}
