package pyjson

import (
	"bytes"
	"io"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// sink gathers Python text and hands it on in blocks, which keeps the memory
// small however long the text is.
type sink struct {
	to    io.Writer // never fails
	left  int       // how much more may be written; below 0 something was dropped
	muted bool      // drops what is written
	used  int
	block [4096]byte
}

func (s *sink) reset(to io.Writer, limit int) {
	s.to, s.left, s.muted, s.used = to, limit, false, 0
}

func (s *sink) flush() {
	_, _ = s.to.Write(s.block[:s.used])
	s.used = 0
}

func (s *sink) write(text []byte) {
	if s.muted {
		return
	}
	if s.left -= len(text); s.left < 0 {
		return
	}
	for {
		n := copy(s.block[s.used:], text)
		s.used += n
		text = text[n:]
		if len(text) == 0 {
			return
		}
		s.flush()
	}
}

func (s *sink) text(text string) { s.write([]byte(text)) }

func (s *sink) char(c byte) { s.write([]byte{c}) }

// float writes a float as Python's repr does: the shortest digits that read
// back the same, in exponent form below 1e-4 and from 1e16.
func (s *sink) float(f float64) {
	var buf [32]byte
	abs := max(f, -f)
	if abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		s.write(strconv.AppendFloat(buf[:0], f, 'e', -1, 64))
		return
	}
	text := strconv.AppendFloat(buf[:0], f, 'f', -1, 64)
	if bytes.IndexByte(text, '.') < 0 {
		text = append(text, ".0"...)
	}
	s.write(text)
}

// repr writes a string as Python's repr does. What counts as printable depends
// on the version of Unicode, here package unicode's.
func (s *sink) repr(text []byte) {
	quote := byte('\'')
	if bytes.IndexByte(text, '\'') >= 0 && bytes.IndexByte(text, '"') < 0 {
		quote = '"'
	}
	s.char(quote)
	written := 0
	for i := 0; i < len(text); {
		if c := text[i]; ' ' <= c && c < 0x7f && c != quote && c != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r >= utf8.RuneSelf && unicode.IsPrint(r) {
			i += size
			continue
		}
		s.write(text[written:i])
		s.escape(r)
		i += size
		written = i
	}
	s.write(text[written:])
	s.char(quote)
}

func (s *sink) escape(r rune) {
	switch {
	case r == '\n':
		s.text(`\n`)
	case r == '\r':
		s.text(`\r`)
	case r == '\t':
		s.text(`\t`)
	case ' ' <= r && r < 0x7f: // a quote or a backslash
		s.write([]byte{'\\', byte(r)})
	case r < 0x100:
		s.hex('x', r, 2)
	case r < 0x10000:
		s.hex('u', r, 4)
	default:
		s.hex('U', r, 8)
	}
}

func (s *sink) hex(letter byte, r rune, digits int) {
	const digit = "0123456789abcdef"
	buf := [10]byte{'\\', letter}
	for i := digits + 1; i > 1; i-- {
		buf[i] = digit[r&0xf]
		r >>= 4
	}
	s.write(buf[:digits+2])
}
