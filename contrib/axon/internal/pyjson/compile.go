package pyjson

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// ErrClass says that a class cannot be compiled.
var ErrClass = errors.New("axon: bad class")

// maxTypeDepth bounds how deep types are nested: an object is read once for
// each model around it.
const maxTypeDepth = 16

// Class is a class ready to hash bodies. It is safe for concurrent use.
type Class struct {
	hashed *model
}

// shape is a compiled type: optionals have become a flag.
type shape struct {
	kind     kind
	nullable bool
	elem     *shape // of any, list and dict
	model    *model
}

var anyShape = func() *shape {
	s := &shape{kind: kindAny, nullable: true}
	s.elem = s
	return s
}()

type model struct {
	fields []field
	index  map[string]int // by name without case
}

type field struct {
	name     string
	shape    *shape
	key      []byte // what stands before the value in a Python dict
	required bool
	top      []byte // the default's Python text by itself
	nested   []byte // the default's Python text inside a container
}

// Compile checks a class and prepares it. It reports all faults at once, each
// of them an [ErrClass]. Other are the fields without default that are not
// hashed; they are checked only.
func Compile(name string, hashed, other []Field) (*Class, error) {
	var c compiler
	if !isIdentifier(name) {
		c.fail("name", "must be an ASCII identifier")
	}
	class := &Class{hashed: c.model("", hashed, 1)}
	rest := c.model("", other, 1)
	for _, f := range rest.fields {
		at := fmt.Sprintf("field %q", f.name)
		if _, doubled := class.hashed.index[fold(f.name)]; doubled {
			c.fail(at, faultTwice)
		}
		if !f.required {
			c.fail(at, "has a default, but is not hashed")
		}
	}
	if c.faults != nil {
		return nil, errors.Join(c.faults...)
	}
	return class, nil
}

const faultTwice = "comes twice, or twice without case"

type compiler struct {
	faults []error
}

func (c *compiler) fail(path, fault string) {
	c.faults = append(c.faults, fmt.Errorf("%w: %s: %s", ErrClass, path, fault))
}

// model compiles the fields of a model or, where path is empty, of a class.
func (c *compiler) model(path string, fields []Field, depth int) *model {
	m := &model{index: make(map[string]int, len(fields))}
	for i, f := range fields {
		at := fmt.Sprintf("field %q", f.Name)
		if path != "" {
			at = path + ": " + at
		}
		c.name(at, f.Name, path == "")
		if _, doubled := m.index[fold(f.Name)]; doubled {
			c.fail(at, faultTwice)
		}
		m.index[fold(f.Name)] = i
		m.fields = append(m.fields, c.field(at, f, depth))
	}
	return m
}

// name checks a field's name. Those of a class become part of a header's name.
func (c *compiler) name(at, name string, header bool) {
	switch {
	case name == "":
		c.fail(at, "has no name")
	case header && !isIdentifier(name):
		c.fail(at, "must be an ASCII identifier")
	case !utf8.ValidString(name):
		c.fail(at, "must be valid UTF-8")
	}
}

func (c *compiler) field(at string, f Field, depth int) field {
	faults := len(c.faults)
	compiled := field{
		name: f.Name, shape: c.shape(at, f.Type, depth), required: f.Default == "",
		key: pythonText(func(s *scratch) {
			s.out.repr([]byte(f.Name))
			s.out.text(": ")
		}),
	}
	if !compiled.required && len(c.faults) == faults { // a shape with a fault has holes
		c.byDefault(at, &compiled, f.Default)
	}
	return compiled
}

// byDefault sets the Python texts of a field's default.
func (c *compiler) byDefault(at string, f *field, text string) {
	if err := check([]byte(text)); err != nil {
		c.fail(at, "its default: "+err.Error())
		return
	}
	var err error
	written := func(top bool) []byte {
		return pythonText(func(s *scratch) { err = s.value(f.shape, &reader{text: []byte(text)}, top) })
	}
	f.top, f.nested = written(true), written(false)
	if err != nil {
		c.fail(at, "its default: "+err.Error())
	}
}

// shape compiles a type; it returns nil for one that is nested too deep.
func (c *compiler) shape(at string, t Type, depth int) *shape {
	if depth > maxTypeDepth {
		c.fail(at, fmt.Sprintf("its type is nested deeper than %d", maxTypeDepth))
		return nil
	}
	switch t.kind {
	case kindAny:
		return anyShape
	case kindList, kindDict:
		return &shape{kind: t.kind, elem: c.shape(at, *t.elem, depth+1)}
	case kindModel:
		return &shape{kind: t.kind, model: c.model(at, t.fields, depth+1)}
	case kindOptional:
		inner := c.shape(at, *t.elem, depth+1)
		if inner == nil {
			return nil
		}
		nullable := *inner
		nullable.nullable = true
		return &nullable
	default:
		return &shape{kind: t.kind}
	}
}

// pythonText returns what write leaves in a scratch's output.
func pythonText(write func(s *scratch)) []byte {
	var text bytes.Buffer
	s := newScratch()
	defer s.release()
	s.out.reset(&text, math.MaxInt)
	write(s)
	s.out.flush()
	return text.Bytes()
}

func isIdentifier(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
