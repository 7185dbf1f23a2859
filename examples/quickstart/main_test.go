package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadmeShowsThisProgram(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)

	_, shown, found := strings.Cut(string(program), "\n") // without its comment
	require.True(t, found)
	require.Contains(t, string(readme), "```go\n"+shown+"```\n")
	require.LessOrEqual(t, strings.Count(shown, "\n"), 64)
}
