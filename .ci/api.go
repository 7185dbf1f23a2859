// Command api prints the exported API of every public package of the modules
// whose folders are its arguments, one line for each thing that users can name.
//
// It prints types, not source: comments, bodies, and the names of parameters
// change nothing, and methods promoted from unexported types are there. Other
// packages are written with their full path, so that a new major version of a
// dependency shows. The platform is fixed, so that every machine prints the
// same.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	var blocks []string
	for _, module := range os.Args[1:] {
		packages, err := load(module)
		if err != nil {
			fmt.Fprintln(os.Stderr, "api:", module, err)
			os.Exit(1)
		}
		for _, pkg := range packages {
			blocks = append(blocks, describe(pkg))
		}
	}
	slices.Sort(blocks)
	fmt.Print(strings.Join(blocks, "\n"))
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Name, Export string
	DepOnly                  bool
}

func (l listed) public() bool {
	return !l.DepOnly && l.Name != "main" &&
		!slices.Contains(strings.Split(l.ImportPath, "/"), "internal")
}

// load returns the types of the public packages of the module in dir.
func load(dir string) ([]*types.Package, error) {
	list := exec.Command("go", "list", "-buildvcs=false", "-deps", "-export",
		"-json=ImportPath,Name,Export,DepOnly", "./...")
	list.Dir = dir
	list.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "GOWORK=off")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := map[string]string{}
	var paths []string
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[l.ImportPath] = l.Export
		if l.public() {
			paths = append(paths, l.ImportPath)
		}
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	var packages []*types.Package
	for _, path := range paths {
		pkg, err := imp.Import(path)
		if err != nil {
			return nil, err
		}
		packages = append(packages, pkg)
	}
	return packages, nil
}

// describe returns a package's API: constants, variables, functions, then
// types, each sorted by name.
func describe(pkg *types.Package) string {
	p := printer{pkg: pkg}
	scope := pkg.Scope()
	var objects []types.Object
	for _, name := range scope.Names() {
		if obj := scope.Lookup(name); obj.Exported() {
			objects = append(objects, obj)
		}
	}
	slices.SortStableFunc(objects, func(a, b types.Object) int {
		return cmp.Compare(kind(a), kind(b))
	})
	p.linef("package %s", pkg.Path())
	p.linef("")
	for _, obj := range objects {
		p.object(obj)
	}
	return p.out.String()
}

func kind(obj types.Object) int {
	switch obj.(type) {
	case *types.Const:
		return 0
	case *types.Var:
		return 1
	case *types.Func:
		return 2
	default:
		return 3
	}
}

type printer struct {
	pkg *types.Package
	out strings.Builder
}

func (p *printer) linef(format string, args ...any) { fmt.Fprintf(&p.out, format+"\n", args...) }

func (p *printer) object(obj types.Object) {
	switch obj := obj.(type) {
	case *types.Const:
		p.linef("const %s %s = %s", obj.Name(), p.typ(obj.Type()), obj.Val().ExactString())
	case *types.Var:
		p.linef("var %s %s", obj.Name(), p.typ(obj.Type()))
	case *types.Func:
		params := p.params(obj.Signature().TypeParams())
		p.linef("func %s%s%s", obj.Name(), params, p.signature(obj.Type()))
	case *types.TypeName:
		p.typeName(obj)
	}
}

func (p *printer) typeName(obj *types.TypeName) {
	if alias, ok := obj.Type().(*types.Alias); ok {
		p.linef("")
		p.linef("type %s%s = %s", obj.Name(), p.params(alias.TypeParams()), p.typ(alias.Rhs()))
		return
	}
	named, ok := obj.Type().(*types.Named)
	if !ok {
		panic(fmt.Sprintf("%s is a %T", obj.Name(), obj.Type()))
	}
	head := obj.Name() + p.params(named.TypeParams())
	var lines []string
	switch under := named.Underlying().(type) {
	case *types.Struct:
		var hidden bool
		lines, hidden = p.fields(under)
		head += " struct" + mark(hidden, "unexported fields") +
			mark(!types.Comparable(named), "not comparable")
	case *types.Interface:
		var hidden bool
		lines, hidden = p.interfaceLines(under)
		head += " interface" + mark(hidden, "unexported methods")
	default:
		head += " " + p.typ(under)
	}
	if !types.IsInterface(named) {
		lines = append(lines, p.methods(named)...)
	}
	p.linef("")
	p.linef("type %s", head)
	for _, line := range lines {
		p.linef("\t%s", line)
	}
}

func mark(on bool, text string) string {
	if on {
		return ", " + text
	}
	return ""
}

// fields returns what can be selected, in order, because order matters to
// literals without field names; hidden tells of fields that cannot.
func (p *printer) fields(s *types.Struct) (lines []string, hidden bool) {
	for i := range s.NumFields() {
		field := s.Field(i)
		switch {
		case field.Exported() && field.Embedded():
			lines = append(lines, "embeds "+p.typ(field.Type())+tag(s.Tag(i)))
		case field.Exported():
			lines = append(lines, "field "+field.Name()+" "+p.typ(field.Type())+tag(s.Tag(i)))
		default:
			hidden = true
			if inner, ok := pointee(field.Type()).Underlying().(*types.Struct); ok && field.Embedded() {
				promoted, _ := p.fields(inner)
				lines = append(lines, promoted...)
			}
		}
	}
	return lines, hidden
}

func tag(text string) string {
	if text == "" {
		return ""
	}
	return " `" + text + "`"
}

func pointee(t types.Type) types.Type {
	if pointer, ok := types.Unalias(t).(*types.Pointer); ok {
		return pointer.Elem()
	}
	return t
}

// interfaceLines returns an interface's whole method set, embedded ones too,
// and its type unions; hidden tells of methods that seal it.
func (p *printer) interfaceLines(i *types.Interface) (lines []string, hidden bool) {
	for m := range i.Methods() {
		if !m.Exported() {
			hidden = true
			continue
		}
		lines = append(lines, "method "+m.Name()+p.signature(m.Type()))
	}
	slices.Sort(lines)
	for embedded := range i.EmbeddedTypes() {
		if under, ok := embedded.Underlying().(*types.Interface); !ok || !under.IsMethodSet() {
			lines = append(lines, "embeds "+p.typ(embedded))
		}
	}
	return lines, hidden
}

// methods returns the method set of a type and its pointer, without what comes
// from an exported embedded type, whose own line says it.
func (p *printer) methods(named *types.Named) []string {
	// Methods name their receiver's type parameters as they like; those of
	// the type applied to its own parameters have the type's names.
	var typ types.Type = named
	if params := named.TypeParams(); params.Len() > 0 {
		var args []types.Type
		for param := range params.TypeParams() {
			args = append(args, param)
		}
		instance, err := types.Instantiate(nil, named, args, false)
		if err != nil {
			panic(err) // a type's own parameters are as many as it has
		}
		typ = instance
	}
	byValue := types.NewMethodSet(typ)
	var lines []string
	for selection := range types.NewMethodSet(types.NewPointer(typ)).Methods() {
		method := selection.Obj()
		if !method.Exported() || fromExported(named, selection) {
			continue
		}
		receiver := "(*) " // only a pointer has it
		if byValue.Lookup(method.Pkg(), method.Name()) != nil {
			receiver = ""
		}
		lines = append(lines, "method "+receiver+method.Name()+p.signature(selection.Type()))
	}
	return lines
}

func fromExported(named *types.Named, selection *types.Selection) bool {
	if len(selection.Index()) == 1 {
		return false
	}
	under, ok := named.Underlying().(*types.Struct)
	return ok && under.Field(selection.Index()[0]).Exported()
}

func (p *printer) params(list *types.TypeParamList) string {
	var params []string
	for param := range list.TypeParams() {
		params = append(params, param.Obj().Name()+" "+p.typ(param.Constraint()))
	}
	if params == nil {
		return ""
	}
	return "[" + strings.Join(params, ", ") + "]"
}

func (p *printer) typ(t types.Type) string {
	return types.TypeString(unnamed(t), types.RelativeTo(p.pkg))
}

// signature is a function's type after its name.
func (p *printer) signature(t types.Type) string { return strings.TrimPrefix(p.typ(t), "func") }

// unnamed takes the names of parameters and results out of function types.
func unnamed(t types.Type) types.Type {
	switch t := t.(type) {
	case *types.Signature:
		params, results := unnamedTuple(t.Params()), unnamedTuple(t.Results())
		return types.NewSignatureType(nil, nil, nil, params, results, t.Variadic())
	case *types.Pointer:
		return types.NewPointer(unnamed(t.Elem()))
	case *types.Slice:
		return types.NewSlice(unnamed(t.Elem()))
	case *types.Array:
		return types.NewArray(unnamed(t.Elem()), t.Len())
	case *types.Map:
		return types.NewMap(unnamed(t.Key()), unnamed(t.Elem()))
	case *types.Chan:
		return types.NewChan(t.Dir(), unnamed(t.Elem()))
	default:
		return t
	}
}

func unnamedTuple(tuple *types.Tuple) *types.Tuple {
	var vars []*types.Var
	for v := range tuple.Variables() {
		vars = append(vars, types.NewParam(token.NoPos, nil, "", unnamed(v.Type())))
	}
	return types.NewTuple(vars...)
}
