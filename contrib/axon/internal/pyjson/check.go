package pyjson

import (
	"bytes"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds how deep arrays and objects are nested.
const maxDepth = 64

// check refuses what the rest of the package must not meet. The depth comes
// first: json.Valid keeps memory for each level.
func check(text []byte) error {
	switch {
	case isTooDeep(text):
		return errDepth
	case !utf8.Valid(text):
		return errUTF8
	case !json.Valid(text):
		return errSyntax
	case hasLoneSurrogate(text):
		return errSurrogate
	default:
		return nil
	}
}

// isTooDeep is right for valid JSON. In other text it may miss what stands
// behind the first fault, which json.Valid does not come to see.
func isTooDeep(text []byte) bool {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i = stringEnd(text, i+1)
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// stringEnd returns where the quote stands that ends the string whose content
// begins at from, or the length of the text.
func stringEnd(text []byte, from int) int {
	length := bytes.IndexByte(text[from:], '"')
	if length < 0 {
		return len(text)
	}
	plain := bytes.IndexByte(text[from:from+length], '\\')
	if plain < 0 {
		return from + length
	}
	for i := from + plain; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return len(text)
}

// hasLoneSurrogate finds an escaped half of a UTF-16 pair. The text is valid
// JSON, where a backslash stands in strings only.
func hasLoneSurrogate(text []byte) bool {
	if !bytes.Contains(text, []byte(`\ud`)) && !bytes.Contains(text, []byte(`\uD`)) {
		return false
	}
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		text = text[i:]
		if text[1] != 'u' {
			text = text[2:]
			continue
		}
		r := hex4(text[2:])
		text = text[6:]
		if !utf16.IsSurrogate(r) {
			continue
		}
		if text[0] != '\\' || text[1] != 'u' || utf16.DecodeRune(r, hex4(text[2:])) == utf8.RuneError {
			return true
		}
		text = text[6:]
	}
}
