package axon_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon"
)

// TestEveryOptionIsInTheDocs finds each option of the package on the page.
func TestEveryOptionIsInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/axon.md")
	require.NoError(t, err)
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	found := 0
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(entry.Name())
		require.NoError(t, err)
		for line := range strings.Lines(string(source)) {
			name, ok := strings.CutPrefix(line, "func With")
			if !ok {
				continue
			}
			name, _, _ = strings.Cut(name, "(")
			require.Contains(t, string(page), "With"+name)
			found++
		}
	}
	require.Positive(t, found)
}

// TestEveryReasonIsInTheDocs sends nothing: the list of reasons is in one file.
func TestEveryReasonIsInTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/axon.md")
	require.NoError(t, err)
	source, err := os.ReadFile("reason.go")
	require.NoError(t, err)
	found := 0
	for line := range strings.Lines(string(source)) {
		_, value, ok := strings.Cut(line, " Reason = \"")
		if !ok {
			continue
		}
		value, _, _ = strings.Cut(value, "\"")
		if value != string(axon.ReasonHook) { // its status is the hook's
			require.Contains(t, string(page), "`"+value+"`")
		}
		found++
	}
	require.Positive(t, found)
}
