package pyjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// reader walks a text that check has found good.
type reader struct {
	text []byte
	at   int
}

// peek goes to the next token and returns its first byte.
func (r *reader) peek() byte {
	for {
		switch c := r.text[r.at]; c {
		case ' ', '\n', '\r', '\t':
			r.at++
		default:
			return c
		}
	}
}

// open enters an array or object and reports whether it has an element.
func (r *reader) open(end byte) bool {
	r.peek()
	r.at++
	if r.peek() != end {
		return true
	}
	r.at++
	return false
}

// more goes on behind an element and reports whether another one follows.
func (r *reader) more() bool {
	comma := r.peek() == ','
	r.at++
	return comma
}

// str reads a string and returns what stands between its quotes.
func (r *reader) str() []byte {
	r.peek()
	start := r.at + 1
	end := stringEnd(r.text, start)
	r.at = end + 1
	return r.text[start:end]
}

// colon goes on behind a key.
func (r *reader) colon() {
	r.peek()
	r.at++
}

// scalar reads a number or a literal.
func (r *reader) scalar() []byte {
	r.peek()
	start := r.at
	for ; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case ',', ']', '}', ' ', '\n', '\r', '\t':
			return r.text[start:r.at]
		}
	}
	return r.text[start:]
}

// skip reads a value of any kind and returns its text.
func (r *reader) skip() []byte {
	r.peek()
	start := r.at
	r.pass()
	return r.text[start:r.at]
}

func (r *reader) pass() {
	switch r.text[r.at] {
	case '"':
		r.str()
	case '{', '[':
		r.passContainer()
	default:
		r.scalar()
	}
}

func (r *reader) passContainer() {
	depth := 0
	for {
		switch r.text[r.at] {
		case '"':
			r.str()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		r.at++
		if depth == 0 {
			return
		}
	}
}

// unescape appends the text of a string's content.
func unescape(dst, content []byte) []byte {
	for {
		i := bytes.IndexByte(content, '\\')
		if i < 0 {
			return append(dst, content...)
		}
		dst = append(dst, content[:i]...)
		c := content[i+1]
		content = content[i+2:]
		switch c {
		case 'u':
			r := hex4(content)
			content = content[4:]
			if utf16.IsSurrogate(r) {
				r = utf16.DecodeRune(r, hex4(content[2:]))
				content = content[6:]
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, escaped(c))
		}
	}
}

// escaped returns what a backslash and c stand for.
func escaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

// hex4 reads four hexadecimal digits.
func hex4(digits []byte) rune {
	var r rune
	for _, c := range digits[:4] {
		r <<= 4
		switch {
		case c <= '9':
			r |= rune(c - '0')
		default:
			r |= rune(c|0x20-'a') + 10
		}
	}
	return r
}
