package pyjson_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon/internal/pyjson"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	class, err := pyjson.Compile("C", []pyjson.Field{
		{Name: "name", Type: pyjson.Str},
		{Name: "size", Type: pyjson.Float, Default: "2"},
		{Name: "tags"},
	}, nil)
	require.NoError(t, err)

	texts, err := class.Texts([]byte(`{"tags": ["a", null], "name": "it's \u00e9"}`))
	require.NoError(t, err)
	require.Equal(t, []string{"it's é", "2.0", "['a', None]"}, texts)

	for name, body := range map[string]string{
		"no object":     `[]`,
		"field missing": `{"tags": 1}`,
		"wrong type":    `{"tags": 1, "name": 2}`,
		"long string":   `{"tags": 1, "name": "` + strings.Repeat("x", 1025) + `"}`,
		"long list":     `{"name": "", "tags": [` + strings.Repeat("1, ", 400) + `1]}`,
	} {
		_, err := class.Texts([]byte(body))
		require.ErrorIs(t, err, pyjson.ErrBody, name)
	}
	_, err = class.Texts([]byte(`{"tags": 1, "name": "` + strings.Repeat("x", 1024) + `"}`))
	require.NoError(t, err)
}
