package recorded

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const goodLine = `{"id":"a","instruction":"Do","answers":{"m":"x"},"reference_human":"h","reference_model":"r"}`

// file writes a file for one test and returns its path.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := file(t, "prompts.jsonl", goodLine+"\n\n  \r\n"+strings.Replace(goodLine, `"a"`, `"b"`, 1))
	records, err := Read(path, ByModel)
	require.NoError(t, err)
	require.Len(t, records, 2)
	require.Equal(t, Prompt{ID: "a", Instruction: "Do"}, records[0].Prompt)
	require.Equal(t, Answer("x"), *records[0].Answers["m"])
	require.Equal(t, Answer("h"), records[0].Reference(ByHuman))
	require.Equal(t, Answer("r"), records[0].Reference(ByModel))
	require.Equal(t, "b", records[1].ID)
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	line := func(old, replacement string) string {
		return strings.Replace(goodLine, old, replacement,
			1)
	}
	for _, tt := range []struct {
		name, content, want string
	}{
		{"empty file", "", ": nothing to replay, the file has no prompts"},
		{"only empty lines", "\n \n", ": nothing to replay, the file has no prompts"},
		{"bad JSON", goodLine + "\n{\"id\":", ":2: not a prompt: unexpected end of JSON input"},
		{
			"two values on a line", goodLine + goodLine,
			":1: not a prompt: invalid character '{' after top-level value",
		},
		{"no object", "\n\n[1]", ":3: not a prompt: json: cannot unmarshal array"},
		{"wrong type", line(`"x"`, "7"), ":1: not a prompt: json: cannot unmarshal number"},
		{"no UTF-8", line(`"x"`, "\"\xff\""), ":1: not valid UTF-8"},
		{"no id", line(`"id":"a"`, `"id":""`), ":1: id is missing"},
		{"no instruction", line(`"Do"`, `" "`), ":1: instruction is missing"},
		{"no answers", line(`{"m":"x"}`, "{}"), ":1: answers is missing, must have at least one"},
		{
			"answer is null", line(`"x"`, "null"),
			":1: answer of \"m\" is null, must be a string or left out",
		},
		{"no reference", line(`"reference_model":"r"`, `"other":1`), ":1: reference_model is missing"},
		{"same id twice", goodLine + "\n\n" + goodLine, ":3: id \"a\" is that of line 1 too"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := file(t, "prompts.jsonl", tt.content)
			_, err := Read(path, ByModel)
			require.ErrorContains(t, err, path+tt.want)
		})
	}
}

func TestReadNeedsOnlyTheReferenceInUse(t *testing.T) {
	t.Parallel()
	path := file(t, "prompts.jsonl", strings.Replace(goodLine, `"h"`, `""`, 1))
	_, err := Read(path, ByModel)
	require.NoError(t, err)
	_, err = Read(path, ByHuman)
	require.ErrorContains(t, err, path+":1: reference_human is missing")
}

func TestReadWithoutFile(t *testing.T) {
	t.Parallel()
	_, err := Read(filepath.Join(t.TempDir(), "none.jsonl"), ByModel)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Read(t.TempDir(), ByModel)
	require.ErrorContains(t, err, "is a directory")
}

func TestModels(t *testing.T) {
	t.Parallel()
	answer := Answer("")
	models, err := Models([]Record{
		{Answers: map[string]*Answer{"opt": &answer, "llama": &answer}},
		{Answers: map[string]*Answer{"bloom": &answer, "llama": &answer}},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"bloom", "llama", "opt"}, models)
}
