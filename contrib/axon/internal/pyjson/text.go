package pyjson

import (
	"bytes"
	"fmt"
	"io"
)

// longestText is the longest text of a field that Texts returns.
const longestText = 1 << 10

// Texts returns Python's str of each hashed field of a body, by the same rules
// as AppendHash. It is for short fields: a longer text is an [ErrBody].
func (c *Class) Texts(body []byte) ([]string, error) {
	s := newScratch()
	defer s.release()
	if err := s.locate(c.hashed, body); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, err)
	}
	texts := make([]string, len(c.hashed.fields))
	for i := range c.hashed.fields {
		f := &c.hashed.fields[i]
		text, err := s.short(f, s.values[i])
		if err != nil {
			return nil, fmt.Errorf("%w: field %q: %w", ErrBody, f.name, err)
		}
		texts[i] = text
	}
	return texts, nil
}

// short returns the text of one field.
func (s *scratch) short(f *field, value []byte) (string, error) {
	var text bytes.Buffer
	s.out.reset(&text, longestText)
	defer s.out.reset(io.Discard, 0)
	err := s.whole(f, value)
	return text.String(), err
}
