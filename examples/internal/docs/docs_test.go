// Package docs compiles the Go code of README.md and of the pages in docs.
package docs

import (
	"context"
	"fmt"
	"go/ast"
	"go/format"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/organic-scoring/organic"

// imported are the packages that snippets use, by the name by which they use them.
var imported = func() map[string]string {
	names := map[string]string{
		"organic": module, "rand": "math/rand/v2",
		"organicprom": module + "/contrib/prometheus",
		"prometheus":  "github.com/prometheus/client_golang/prometheus",
	}
	for _, others := range []string{
		"bytes", "context", "crypto/tls", "encoding/json", "errors", "fmt", "io", "log", "log/slog",
		"maps", "net", "net/http", "net/http/httptest", "net/netip", "os", "os/signal",
		"path/filepath", "slices", "strings", "sync", "sync/atomic", "syscall", "testing",
		"testing/synctest", "time",
		"github.com/nats-io/nats.go/jetstream",
		"github.com/prometheus/client_golang/prometheus/promhttp",
		"github.com/stretchr/testify/require", "go.uber.org/zap", "golang.org/x/sync/errgroup",
	} {
		names[path.Base(others)] = others
	}
	for _, ours := range []string{
		"axon", "boltqueue", "conversations", "dashboard", "durable", "keys", "natsqueue",
		"natsqueue/embedded",
		"organictest", "prometheus/promaxon", "prometheus/promchain", "prometheus/promqueue",
		"prometheus/promrelay", "prometheus/promweights", "relay", "relay/copies", "service", "subtensor",
		"subtensor/subtensortest", "subtensor/timelock", "weights",
	} {
		names[path.Base(ours)] = module + "/contrib/" + ours
	}
	return names
}()

// snippet is a block of Go code of a page.
type snippet struct {
	page string // README.md or docs/….md, from the root of the checkout
	line int
	code string
}

var fences = regexp.MustCompile("(?ms)^( *)```go\n(.*?)^ *```$")

// snippets returns the Go blocks of a page.
func snippets(t *testing.T, page string) []snippet {
	t.Helper()
	return snippetsOf(t, page, read(t, page))
}

// read returns a page, by its name from the root of the checkout.
func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../..", page))
	require.NoError(t, err)
	return string(text)
}

// snippetsOf returns the Go blocks of a part of a page.
func snippetsOf(t *testing.T, page, text string) []snippet {
	t.Helper()
	require.Len(t, fences.FindAllString(text, -1), strings.Count(text, "```go\n"), page)
	var found []snippet
	for _, at := range fences.FindAllStringSubmatchIndex(text, -1) {
		indent := text[at[2]:at[3]]
		code := strings.ReplaceAll("\n"+text[at[4]:at[5]], "\n"+indent, "\n")[1:]
		line := 2 + strings.Count(text[:at[0]], "\n")
		found = append(found, snippet{page: page, line: line, code: code})
	}
	return found
}

// library has the packages that snippets import. It reads each once, whatever the number of
// snippets, and is safe for concurrent use.
type library struct {
	files    *token.FileSet
	compiled map[string]string // the go command's file for each package

	mu       sync.Mutex
	importer types.Importer // guarded by mu
}

// openLibrary has the go command compile the packages with all that they import.
var openLibrary = sync.OnceValues(func() (*library, error) {
	arguments := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}
	arguments = append(arguments, slices.Sorted(maps.Values(imported))...)
	list := exec.CommandContext(context.Background(), "go", arguments...)
	list.Stderr = os.Stderr
	lines, err := list.Output()
	if err != nil {
		return nil, err
	}
	l := &library{files: token.NewFileSet(), compiled: make(map[string]string)}
	for line := range strings.Lines(string(lines)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		l.compiled[name] = file
	}
	l.importer = importer.ForCompiler(l.files, "gc", l.open)
	return l, nil
})

// open is what the importer needs.
func (l *library) open(name string) (io.ReadCloser, error) {
	file := l.compiled[name]
	if file == "" {
		return nil, fmt.Errorf("package %s is not among those that snippets import", name)
	}
	return os.Open(file)
}

// Import is that of [types.Importer].
func (l *library) Import(name string) (*types.Package, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.importer.Import(name)
}

// TestCodeOfTheDocsCompiles takes every block of Go for a file, declarations, or statements of a
// function, whichever it is, and has it type-checked. What it does not declare itself is declared by
// docs/README.md or by other blocks of its page. As in a document, variables may stand unused.
func TestCodeOfTheDocsCompiles(t *testing.T) {
	t.Parallel()
	l, err := openLibrary()
	require.NoError(t, err)
	total := 0
	for _, file := range pages(t) {
		page, err := filepath.Rel("../../..", file)
		require.NoError(t, err)
		found := snippets(t, page)
		for i, s := range found {
			if s.isFile() && page == startPage {
				continue // TestGettingStartedIsOneProgram
			}
			total++
			assumed := assumptions(t, s, slices.Concat(found[:i], found[i+1:]))
			t.Run(fmt.Sprintf("%s:%d", s.page, s.line), func(t *testing.T) {
				t.Parallel()
				formatted, err := format.Source([]byte(s.code))
				require.NoError(t, err)
				require.Equal(t, string(formatted), s.code, "gofmt")
				require.NoError(t, l.check(assumed, s))
			})
		}
	}
	require.Greater(t, total, 25, "snippets are found")
}

// assumptions are the declarations that a snippet may assume: those of docs/README.md, those of the
// other blocks of its page, both, or one of the files for the page. It has to fit one of them.
func assumptions(t *testing.T, s snippet, others []snippet) []string {
	t.Helper()
	names := snippets(t, "docs/README.md")
	require.Len(t, names, 1)
	var hooks, page strings.Builder // the hooks that a Validator must have, but those of the snippet
	for hook := range strings.SplitSeq(read(t, "examples/internal/docs/testdata/hooks.go"), "\n\n") {
		if signature, _, _ := strings.Cut(hook, "("+"\n"); !strings.Contains(s.code, signature+"(") {
			hooks.WriteString(hook + "\n")
		}
	}
	for _, other := range others {
		if !other.isFile() && other.isDeclaration() {
			page.WriteString(other.code)
		}
	}
	index := hooks.String() + names[0].code
	texts := []string{index, "package snippet\n" + page.String(), index + page.String()}
	own, err := filepath.Glob("testdata/" + strings.TrimSuffix(filepath.Base(s.page), ".md") + "*.go")
	require.NoError(t, err)
	for _, file := range own {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		texts = append(texts, string(text))
	}
	return texts
}

// isFile reports whether a snippet is a whole file.
func (s snippet) isFile() bool {
	return strings.HasPrefix(s.code, "package ") || strings.Contains(s.code, "\npackage ")
}

// isDeclaration reports whether a snippet is declarations, and not statements.
func (s snippet) isDeclaration() bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+s.code, 0)
	return err == nil
}

// check compiles a snippet in each of the forms that it may have, until one fits. The error is
// that of the first.
func (l *library) check(assumed []string, s snippet) error {
	if s.isFile() {
		return l.compile(s.code)
	}
	line := fmt.Sprintf("\n//line %s:%d\n", s.page, s.line)
	forms := []string{
		"func _() (err error) {" + line + s.code + "\nreturn }",
		"func _() error {" + line + s.code + "\nreturn nil }",
		"func _() (_ any, err error) {" + line + s.code + "\nreturn }",
	}
	if s.isDeclaration() {
		forms = []string{line + s.code}
	}
	var first error
	for _, declarations := range assumed {
		for _, form := range forms {
			err := l.compile(withImports(declarations) + "\n" + form)
			if err == nil {
				return nil
			}
			if first == nil {
				first = err
			}
		}
	}
	return first
}

// withImports puts the imports behind the package clause of a file.
func withImports(file string) string {
	clause, rest, _ := strings.Cut(file, "\n")
	var b strings.Builder
	b.WriteString(clause)
	for _, name := range slices.Sorted(maps.Keys(imported)) {
		fmt.Fprintf(&b, "; import %s %q", name, imported[name])
	}
	return b.String() + "\n" + rest
}

// compile type-checks a file. An unused variable or import is no error here.
func (l *library) compile(source string) error {
	file, err := parser.ParseFile(l.files, "", source, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	var first error
	config := types.Config{
		Importer: l,
		Error: func(err error) {
			e, ok := err.(types.Error) //nolint:errorlint // it is not wrapped
			if (!ok || !e.Soft) && first == nil {
				first = err
			}
		},
	}
	_, _ = config.Check("snippet", l.files, []*ast.File{file}, nil) // the error is the first one
	return first
}

// startPage shows whole files, each with its name in the first line.
const startPage = "docs/getting-started.md"

// TestGettingStartedIsOneProgram puts the files of the page together, a later one in the place of an
// earlier one of the same name, and type-checks them as the compiler does at the end of each step.
func TestGettingStartedIsOneProgram(t *testing.T) {
	t.Parallel()
	l, err := openLibrary()
	require.NoError(t, err)
	program := make(map[string]*ast.File)
	steps := 0
	for step := range strings.SplitSeq(read(t, startPage), "\n## ") {
		found := snippetsOf(t, startPage, step)
		if len(found) == 0 {
			continue
		}
		for _, s := range found {
			first, _, _ := strings.Cut(s.code, "\n")
			name, ok := strings.CutPrefix(first, "// ")
			require.True(t, ok && s.isFile() && strings.HasSuffix(name, ".go"), first)
			formatted, err := format.Source([]byte(s.code))
			require.NoError(t, err)
			require.Equal(t, string(formatted), s.code, "gofmt")
			program[name], err = parser.ParseFile(l.files, name, s.code, parser.SkipObjectResolution)
			require.NoError(t, err)
		}
		title, _, _ := strings.Cut(step, "\n")
		config := types.Config{Importer: l}
		_, err = config.Check("main", l.files, slices.Collect(maps.Values(program)), nil)
		require.NoError(t, err, title)
		steps++
	}
	require.Equal(t, 4, steps)
}

func TestCodeThatDoesNotCompileIsFound(t *testing.T) {
	t.Parallel()
	l, err := openLibrary()
	require.NoError(t, err)
	for _, tt := range []struct{ name, code, err string }{
		{"statements", "x := 1\n", ""},
		{"statements that return", "return fmt.Errorf(\"x\")\n", ""},
		{"declarations", "func f() organic.UID { return 1 }\n", ""},
		{"unknown name", "x := y\n", "p.md:7: undefined: y"},
		{"unknown function", "axon.Missing()\n", "p.md:7: undefined: axon.Missing"},
		{"wrong type", "var uid organic.UID = \"x\"\n", "p.md:7: cannot use"},
		{"no Go", "a b c\n", "p.md:7: expected"},
		{"whole file", "package p\n\nfunc f() int {}\n", "missing return"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := snippet{page: "p.md", line: 7, code: tt.code}
			err := l.check([]string{"package snippet\n"}, s)
			if tt.err == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.err)
		})
	}
}
