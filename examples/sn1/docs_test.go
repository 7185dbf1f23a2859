package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Go code of docs/sn1.md is that of the program.
func TestCodeOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/sn1.md")
	require.NoError(t, err)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var program strings.Builder
	for _, file := range files {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		program.WriteString(strings.Join(strings.Fields(string(code)), " "))
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		code := strings.Join(strings.Fields(block[1]), " ")
		found := strings.Contains(program.String(), code)
		require.True(t, found, block[1]) // not Contains, which prints the whole program
	}
}
