package pyjson

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strconv"
	"unsafe"
)

// maxDigits is the longest number that is read: Python's own limit for an
// integer, and far beyond what any writer of JSON gives a float.
const maxDigits = 4300

// value writes the Python text of the next value; top is whether it stands
// alone and not inside a container.
func (s *scratch) value(t *shape, r *reader, top bool) error {
	if s.out.left < 0 {
		return errLong
	}
	c := r.peek()
	if !t.takes(c) {
		return errType
	}
	switch c {
	case '"':
		s.str(r.str(), top)
		return nil
	case '[':
		return s.list(t.elem, r)
	case '{':
		if t.kind == kindModel {
			return s.model(t.model, r)
		}
		return s.dict(t.elem, r)
	case 'n', 't', 'f':
		r.scalar()
		s.out.text(literal(c))
		return nil
	default:
		return s.number(t.kind, r.scalar())
	}
}

// takes reports whether a value that begins with c can be of the type.
func (t *shape) takes(c byte) bool {
	if c == 'n' {
		return t.nullable
	}
	switch t.kind {
	case kindAny:
		return true
	case kindStr:
		return c == '"'
	case kindInt, kindFloat:
		return c == '-' || '0' <= c && c <= '9'
	case kindBool:
		return c == 't' || c == 'f'
	case kindList:
		return c == '['
	default:
		return c == '{'
	}
}

func literal(c byte) string {
	switch c {
	case 't':
		return "True"
	case 'f':
		return "False"
	default:
		return "None"
	}
}

// unquote returns the text of a string's content. It lasts until the next call.
func (s *scratch) unquote(content []byte) []byte {
	if bytes.IndexByte(content, '\\') < 0 {
		return content
	}
	s.unescaped = unescape(s.unescaped[:0], content)
	return s.unescaped
}

func (s *scratch) str(content []byte, top bool) {
	text := s.unquote(content)
	if top {
		s.out.write(text)
		return
	}
	s.out.repr(text)
}

func (s *scratch) number(kind kind, text []byte) error {
	if len(bytes.TrimPrefix(text, []byte("-"))) > maxDigits {
		return errNumber
	}
	isInt := !bytes.ContainsAny(text, ".eE")
	if !isInt && kind == kindInt {
		return errType
	}
	if isInt && string(text) == "-0" {
		text = text[1:] // an int has no negative zero, nor the float made of it
	}
	if isInt && kind != kindFloat {
		s.out.write(text)
		return nil
	}
	// A copy for each number would let the body choose how much is allocated. The text is
	// neither written to nor kept.
	digits := unsafe.String(&text[0], len(text)) //nolint:gosec // see above
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return errRange
	}
	s.out.float(f)
	return nil
}

func (s *scratch) list(elem *shape, r *reader) error {
	s.out.char('[')
	separator := ""
	for ok := r.open(']'); ok; ok = r.more() {
		s.out.text(separator)
		if err := s.value(elem, r, false); err != nil {
			return err
		}
		separator = ", "
	}
	s.out.char(']')
	return nil
}

func (s *scratch) dict(elem *shape, r *reader) error {
	s.out.char('{')
	keys := len(s.keys)
	separator := ""
	for ok := r.open('}'); ok; ok = r.more() {
		s.out.text(separator)
		key := s.unquote(r.str())
		r.colon()
		s.note(key)
		s.out.repr(key)
		s.out.text(": ")
		if err := s.value(elem, r, false); err != nil {
			return err
		}
		separator = ", "
	}
	s.out.char('}')
	return s.distinct(keys)
}

// model writes a model's fields in the model's order.
func (s *scratch) model(m *model, r *reader) error {
	base := len(s.values)
	if err := s.find(m, r, true); err != nil {
		return err
	}
	s.out.char('{')
	for i := range m.fields {
		f := &m.fields[i]
		if i > 0 {
			s.out.text(", ")
		}
		s.out.write(f.key)
		if err := s.field(f, s.values[base+i], false); err != nil {
			return err
		}
	}
	s.out.char('}')
	s.values = s.values[:base]
	return nil
}

// field writes a value that find has found, or the default.
func (s *scratch) field(f *field, value []byte, top bool) error {
	switch {
	case value == nil && f.required:
		return errMissing
	case value == nil && top:
		s.out.write(f.top)
	case value == nil:
		s.out.write(f.nested)
	case value[0] == '"' && f.shape.takes('"'): // its end is known
		s.str(value[1:len(value)-1], top)
	default:
		return s.value(f.shape, &reader{text: value}, top)
	}
	return nil
}

// find reads an object and adds the values of a model's fields to s.values, nil
// for those that are absent. What else the object holds must be sound only if it is nested:
// at the top it is not signed.
func (s *scratch) find(m *model, r *reader, nested bool) error {
	base, keys := len(s.values), len(s.keys)
	for range m.fields {
		s.values = append(s.values, nil)
	}
	for ok := r.open('}'); ok; ok = r.more() {
		key := s.unquote(r.str())
		r.colon()
		i, known := s.lookup(m, key)
		switch {
		case known && m.fields[i].name != string(key):
			return errCase
		case known && s.values[base+i] != nil:
			return errDoubled
		case known:
			s.values[base+i] = r.skip()
		case nested:
			s.note(key)
			if err := s.drop(r); err != nil {
				return err
			}
		default:
			r.skip()
		}
	}
	return s.distinct(keys)
}

// lookup finds the field that encoding/json would pair with a key.
func (s *scratch) lookup(m *model, key []byte) (index int, known bool) {
	s.folded = appendFold(s.folded[:0], key)
	index, known = m.index[string(s.folded)]
	return index, known
}

// drop reads a value that is not part of the text.
func (s *scratch) drop(r *reader) error {
	muted := s.out.muted
	s.out.muted = true
	err := s.value(anyShape, r, false)
	s.out.muted = muted
	return err
}

var seed = maphash.MakeSeed()

// note remembers a key of the object that is being read. Of a key 64 bits of a
// seeded hash are kept: equal keys are always found, and the chance that two
// others are taken for equal is below one in 10^9 for a body of 1 MiB.
func (s *scratch) note(key []byte) {
	s.keys = append(s.keys, maphash.Bytes(seed, key))
}

// distinct checks the keys noted since, and forgets them.
func (s *scratch) distinct(since int) error {
	keys := s.keys[since:]
	s.keys = s.keys[:since]
	if len(keys) > 1 {
		slices.Sort(keys)
	}
	for i := 1; i < len(keys); i++ {
		if keys[i] == keys[i-1] {
			return errDoubled
		}
	}
	return nil
}
