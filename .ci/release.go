//go:build ignore

// release prepares and checks a release of all modules with one version.
//
//	go run .ci/release.go check VERSION MODULE...
//	go run .ci/release.go edit VERSION MODULE...
//
// Modules are given by their folders. Edit sets the version by which they
// require each other and prints the tags to push. Check serves them from a
// module proxy in a temporary folder, as if they were tagged, and builds
// programs that import every package of them, of each module alone and of all
// together, without replace lines. Then it builds the programs of README.md, of
// docs/getting-started.md and of examples/validator as a reader does, each in an
// empty module.
package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// root is the module path of the root; all others are below it.
const root = "github.com/organic-scoring/organic"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 3 || !strings.HasPrefix(args[1], "v") {
		return errors.New("usage: check|edit VERSION MODULE..., VERSION such as v0.1.0")
	}
	command, version := args[0], args[1]
	var modules []module
	for _, dir := range args[2:] {
		m, err := readModule(dir)
		if err != nil {
			return err
		}
		modules = append(modules, m)
	}
	switch command {
	case "edit":
		return edit(modules, version)
	case "check":
		return check(modules, version)
	default:
		return fmt.Errorf("unknown command %q", command)
	}
}

// module is a folder with a go.mod.
type module struct {
	dir      string
	path     string
	requires map[string]string // versions of siblings by path
}

func readModule(dir string) (module, error) {
	out, err := command(dir, nil, "go", "mod", "edit", "-json")
	if err != nil {
		return module{}, err
	}
	var file struct {
		Module  struct{ Path string }
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &file); err != nil {
		return module{}, fmt.Errorf("%s: go.mod: %w", dir, err)
	}
	m := module{dir: dir, path: file.Module.Path, requires: map[string]string{}}
	for _, require := range file.Require {
		if require.Path == root || strings.HasPrefix(require.Path, root+"/") {
			m.requires[require.Path] = require.Version
		}
	}
	return m, nil
}

// tag is the git tag of a module's version.
func (m module) tag(version string) string {
	return path.Join(strings.TrimPrefix(strings.TrimPrefix(m.path, root), "/"), version)
}

func edit(modules []module, version string) error {
	for _, m := range modules {
		for sibling := range m.requires {
			require := "-require=" + sibling + "@" + version
			if _, err := command(m.dir, nil, "go", "mod", "edit", require); err != nil {
				return err
			}
		}
	}
	fmt.Println("Commit, run make release-check, and then push these tags:")
	for _, m := range modules {
		fmt.Println("  " + m.tag(version))
	}
	return nil
}

func check(modules []module, version string) error {
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer func() {
		cache := "GOMODCACHE=" + filepath.Join(work, "cache")
		_, _ = command(".", []string{cache}, "go", "clean", "-modcache")
		_ = os.RemoveAll(work)
	}()
	for _, m := range modules {
		for sibling, required := range m.requires {
			if required != version {
				return fmt.Errorf("%s requires %s %s, not %s", m.dir, sibling, required, version)
			}
		}
		if err := publish(filepath.Join(work, "proxy"), m, version); err != nil {
			return err
		}
	}
	env, err := consumerEnv(work)
	if err != nil {
		return err
	}
	for _, m := range modules {
		if err := consume(filepath.Join(work, "one"), env, version, m); err != nil {
			return fmt.Errorf("a program that uses %s: %w", m.path, err)
		}
		fmt.Println("ok", m.path)
	}
	if err := consume(filepath.Join(work, "all"), env, version, modules...); err != nil {
		return fmt.Errorf("a program that uses all modules: %w", err)
	}
	fmt.Println("ok all together")
	return follow(filepath.Join(work, "reader"), env, version, modules)
}

// consumerEnv lets go find the published modules first, then what is in the
// module cache, then the rest.
func consumerEnv(work string) ([]string, error) {
	out, err := command(".", nil, "go", "env", "GOMODCACHE", "GOPROXY")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 {
		return nil, fmt.Errorf("go env: %q", out)
	}
	proxies := []string{
		"file://" + filepath.Join(work, "proxy"),
		"file://" + filepath.Join(lines[0], "cache", "download"),
		lines[1],
	}
	return []string{
		"GOMODCACHE=" + filepath.Join(work, "cache"),
		"GOPROXY=" + strings.Join(proxies, ","),
		"GONOSUMDB=" + root + "," + root + "/*",
		"GOFLAGS=-mod=mod",
		"GOWORK=off",
	}, nil
}

// publish writes a module into the proxy.
func publish(proxy string, m module, version string) error {
	dir := filepath.Join(proxy, filepath.FromSlash(m.path), "@v")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	goMod, err := os.ReadFile(filepath.Join(m.dir, "go.mod"))
	if err != nil {
		return err
	}
	archive, err := zipModule(m, version)
	if err != nil {
		return err
	}
	info := fmt.Sprintf(`{"Version":%q,"Time":%q}`, version, time.Now().UTC().Format(time.RFC3339))
	for name, data := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": []byte(info),
		version + ".mod":  goMod,
		version + ".zip":  archive,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// zipModule packs the files that git tracks or does not ignore, without those
// of nested modules.
func zipModule(m module, version string) ([]byte, error) {
	out, err := command(m.dir, nil, "git", "-c", "safe.directory=*",
		"ls-files", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, err
	}
	files := strings.Split(strings.TrimSpace(string(out)), "\n")
	var nested []string
	for _, file := range files {
		if path.Base(file) == "go.mod" && file != "go.mod" {
			nested = append(nested, path.Dir(file)+"/")
		}
	}
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	for _, file := range files {
		if slices.ContainsFunc(nested, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(file)))
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, not committed yet
		}
		if err != nil {
			return nil, err
		}
		entry, err := archive.Create(m.path + "@" + version + "/" + file)
		if err != nil {
			return nil, err
		}
		if _, err := entry.Write(data); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// consume builds a program in an empty module that imports all packages of the
// modules.
func consume(dir string, env []string, version string, modules ...module) error {
	var imports []string
	for _, m := range modules {
		packages, err := command(m.dir, []string{"GOWORK=off"}, "go", "list", "-f",
			"{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}", "./...")
		if err != nil {
			return err
		}
		for pkg := range strings.FieldsSeq(string(packages)) {
			if !slices.Contains(strings.Split(pkg, "/"), "internal") {
				imports = append(imports, fmt.Sprintf("_ %q", pkg))
			}
		}
	}
	program := "package main\n\nimport (\n\t" + strings.Join(imports, "\n\t") +
		"\n)\n\nfunc main() {}\n"
	return build(dir, env, version, modules, map[string]string{"main.go": program})
}

// fences finds the blocks of Go code of a document.
var fences = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// follow builds the programs that the documents show.
func follow(dir string, env []string, version string, modules []module) error {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	page, err := os.ReadFile("docs/getting-started.md")
	if err != nil {
		return err
	}
	example, err := os.ReadFile("examples/validator/main.go")
	if err != nil {
		return err
	}
	started := make(map[string]string)
	for _, block := range fences.FindAllStringSubmatch(string(page), -1) { // a later file replaces
		first, _, _ := strings.Cut(block[1], "\n")
		started[strings.TrimPrefix(first, "// ")] = block[1]
	}
	first := fences.FindStringSubmatch(string(readme))
	if len(first) == 0 || len(started) == 0 {
		return errors.New("README.md or docs/getting-started.md has no program")
	}
	for _, program := range []struct {
		of    string
		files map[string]string
	}{
		{"README.md", map[string]string{"main.go": first[1]}},
		{"docs/getting-started.md", started},
		{"examples/validator", map[string]string{"main.go": string(example)}},
	} {
		if err := build(dir, env, version, modules, program.files); err != nil {
			return fmt.Errorf("the program of %s: %w", program.of, err)
		}
		fmt.Println("ok the program of", program.of)
	}
	return nil
}

// build builds a program in an empty module that requires the modules.
func build(
	dir string, env []string, version string, modules []module, files map[string]string,
) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if _, err := command(dir, env, "go", "mod", "init", "example.com/consumer"); err != nil {
		return err
	}
	get := []string{"get"}
	for _, m := range modules {
		get = append(get, m.path+"@"+version)
	}
	if _, err := command(dir, env, "go", get...); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-o", os.DevNull, "."}} {
		if _, err := command(dir, env, "go", args...); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program and returns what it prints.
func command(dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...) //nolint:gosec // go and git, with arguments of this program
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return out, nil
}
