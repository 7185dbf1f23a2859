package pyjson

import (
	"unicode"
	"unicode/utf8"
)

// appendFold appends a name so that two are equal afterwards exactly when
// strings.EqualFold finds them equal, by which encoding/json pairs keys with
// struct fields. That is more than upper and lower case: U+017F is an s and U+212A a k.
func appendFold(dst, name []byte) []byte {
	for len(name) > 0 {
		r, size := utf8.DecodeRune(name)
		name = name[size:]
		if r >= utf8.RuneSelf {
			r = leastFold(r)
		}
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

func fold(name string) string { return string(appendFold(nil, []byte(name))) }

// leastFold returns the smallest of the runes that differ by case only.
func leastFold(r rune) rune {
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	return least
}
