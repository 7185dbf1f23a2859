package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exportedErrors returns the exported sentinels and error types of the package in a folder.
func exportedErrors(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	require.NoError(t, err)
	var found []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.GenDecl:
				found = append(found, sentinels(d)...)
			case *ast.FuncDecl:
				if d.Name.Name == "Error" && d.Recv != nil {
					found = append(found, receiver(d))
				}
			}
		}
	}
	return found
}

func sentinels(d *ast.GenDecl) (found []string) {
	for _, spec := range d.Specs {
		values, ok := spec.(*ast.ValueSpec)
		if !ok || d.Tok != token.VAR {
			continue
		}
		for _, name := range values.Names {
			if strings.HasPrefix(name.Name, "Err") {
				found = append(found, name.Name)
			}
		}
	}
	return found
}

// receiver returns the name of a method's type with a star, or nothing if it is not exported.
func receiver(d *ast.FuncDecl) string {
	of := d.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if name, ok := of.(*ast.Ident); ok && name.IsExported() {
		return "*" + name.Name
	}
	return ""
}

var named = regexp.MustCompile("`(Err[A-Z]\\w*)`")

// TestEveryErrorHasCauseAndCure looks for each exported error in the section of its package, and
// for no other.
func TestEveryErrorHasCauseAndCure(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/troubleshooting.md")
	require.NoError(t, err)
	sections := make(map[string]string)
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = text
	}
	known := make(map[string]bool) // section and name
	look := func(section, folder string) {
		for _, name := range exportedErrors(t, folder) {
			if name != "" {
				require.Contains(t, sections[section], "`"+name+"`", "%s of %s", name, folder)
				known[section+" "+name] = true
			}
		}
	}
	look("organic", "../../..")
	const contrib = "../../../contrib"
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		switch entry.Name() {
		case "internal", "testdata", "node_modules", "interop", "oracle":
			return fs.SkipDir
		}
		below, _ := filepath.Rel(contrib, path)
		top, _, _ := strings.Cut(filepath.ToSlash(below), "/")
		look(top, path)
		return nil
	}
	require.NoError(t, filepath.WalkDir(contrib, walk))
	require.Greater(t, len(known), 90)
	for title, text := range sections {
		for _, name := range named.FindAllStringSubmatch(text, -1) {
			require.True(t, known[title+" "+name[1]], "%s of %s does not exist", name[1], title)
		}
	}
}

// TestEveryReasonHasCauseAndCure looks for each reason for which an axon refuses a request.
func TestEveryReasonHasCauseAndCure(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/troubleshooting.md")
	require.NoError(t, err)
	_, section, _ := strings.Cut(string(page), "\n## axon\n")
	section, _, _ = strings.Cut(section, "\n## ")
	source, err := os.ReadFile("../../../contrib/axon/reason.go")
	require.NoError(t, err)
	constants := regexp.MustCompile(`(?m)^\tReason\w+ +Reason = "([a-z-]+)"`)
	reasons := constants.FindAllSubmatch(source, -1)
	require.Greater(t, len(reasons), 25)
	for _, reason := range reasons {
		require.Contains(t, section, "`"+string(reason[1])+"`")
	}
}
