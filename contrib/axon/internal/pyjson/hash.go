package pyjson

import (
	"crypto/sha3"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
)

// Defaults of models can make the text much longer than the body: these bound
// the work that a body can ask for.
const (
	textPerByte = 16
	textAtLeast = 64 << 10
)

// scratch is what one hashing needs. All of it is used again.
type scratch struct {
	out       sink
	inner     sha3.SHA3 // SHA3-256 of one field's text
	outer     sha3.SHA3 // SHA3-256 of the fields' digests
	digest    [32]byte
	digits    [64]byte
	unescaped []byte   // text of the last string that had escapes
	folded    []byte   // the last key without case
	keys      []uint64 // of the objects being read, each behind the one around it
	values    [][]byte // of the models being read, likewise
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func newScratch() *scratch {
	s, _ := scratches.Get().(*scratch)
	return s
}

// release gives the scratch back, ready for the next body.
func (s *scratch) release() {
	s.out.reset(io.Discard, 0)
	clear(s.values[:cap(s.values)]) // they would keep the body alive
	s.keys, s.values = s.keys[:0], s.values[:0]
	scratches.Put(s)
}

// AppendHash appends the body hash, 64 lower-case hex digits, to dst. An error
// is an [ErrBody], and dst is returned as it was. What it allocates does not
// depend on the body once the pool is warm.
func (c *Class) AppendHash(dst, body []byte) ([]byte, error) {
	s := newScratch()
	defer s.release()
	if err := s.locate(c.hashed, body); err != nil {
		return dst, fmt.Errorf("%w: %w", ErrBody, err)
	}
	s.outer.Reset()
	s.out.reset(&s.inner, textAtLeast+textPerByte*len(body))
	for i := range c.hashed.fields {
		f := &c.hashed.fields[i]
		s.inner.Reset()
		if err := s.whole(f, s.values[i]); err != nil {
			return dst, fmt.Errorf("%w: field %q: %w", ErrBody, f.name, err)
		}
		hex.Encode(s.digits[:], s.inner.Sum(s.digest[:0]))
		_, _ = s.outer.Write(s.digits[:])
	}
	return hex.AppendEncode(dst, s.outer.Sum(s.digest[:0])), nil
}

// whole writes all of a field's text, or fails.
func (s *scratch) whole(f *field, value []byte) error {
	if err := s.field(f, value, true); err != nil {
		return err
	}
	if s.out.left < 0 {
		return errLong
	}
	s.out.flush()
	return nil
}

// locate checks a body and finds its hashed fields.
func (s *scratch) locate(m *model, body []byte) error {
	if err := check(body); err != nil {
		return err
	}
	r := &reader{text: body}
	if r.peek() != '{' {
		return errObject
	}
	return s.find(m, r, false)
}
