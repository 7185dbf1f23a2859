package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// pages returns the Markdown files for users, from the root of the checkout.
func pages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	files = append(files, "../../../README.md", "../../../examples/README.md")
	return files
}

// anchors returns the names under which a page's headings can be linked.
func anchors(page string) map[string]bool {
	found := make(map[string]bool)
	for _, heading := range headings.FindAllStringSubmatch(page, -1) {
		name := noAnchor.ReplaceAllString(strings.ToLower(heading[1]), "")
		found[strings.ReplaceAll(name, " ", "-")] = true
	}
	return found
}

// TestLinksLeadSomewhere looks for the file, and the heading, of every link between pages.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	count := 0
	for _, file := range pages(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, link := range links.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(link[1], "://") {
				continue
			}
			count++
			name, anchor, _ := strings.Cut(link[1], "#")
			target := file
			if name != "" {
				target = filepath.Join(filepath.Dir(file), name)
			}
			_, err := os.Stat(target)
			require.NoError(t, err, "%s: %s", file, link[1])
			if anchor != "" {
				page, err := os.ReadFile(target)
				require.NoError(t, err)
				require.True(t, anchors(string(page))[anchor], "%s: %s", file, link[1])
			}
		}
	}
	require.Greater(t, count, 50)
}

// TestLinesAreShort allows long lines in tables alone.
func TestLinesAreShort(t *testing.T) {
	t.Parallel()
	for _, file := range pages(t) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			length := utf8.RuneCountInString(strings.TrimRight(line, "\n"))
			require.True(t, length <= 100 || strings.HasPrefix(line, "|"),
				"%s:%d has %d columns", file, number, length)
		}
	}
}

var option = regexp.MustCompile(`(?m)^func (With\w+)[\[(]`)

// TestEveryOptionIsOnAPage looks for each option of each package, on the pages of all packages.
func TestEveryOptionIsOnAPage(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for _, file := range pages(t) {
		page, err := os.ReadFile(file)
		require.NoError(t, err)
		text.Write(page)
	}
	var options int
	var missing []string
	require.NoError(t, filepath.WalkDir("../../..",
		func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir():
				switch entry.Name() {
				case "internal", "examples", "node_modules":
					return fs.SkipDir
				}
				return nil
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			source, err := os.ReadFile(path)
			for _, found := range option.FindAllStringSubmatch(string(source), -1) {
				if options++; !regexp.MustCompile(`\b` + found[1] + `\b`).MatchString(text.String()) {
					missing = append(missing, path+" "+found[1])
				}
			}
			return err
		}))
	require.Empty(t, missing)
	require.Greater(t, options, 100)
}

// TestIndexHasEveryPage: each page is in docs/README.md.
func TestIndexHasEveryPage(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile("../../../docs/README.md")
	require.NoError(t, err)
	for _, file := range pages(t) {
		if name := filepath.Base(file); name != "README.md" {
			require.Contains(t, string(index), "]("+name+")")
		}
	}
}
