// Package augment changes texts a little, so that no two samples made from one
// source are alike: it swaps words for synonyms and makes typos. It never
// fails and never empties a text, and it keeps white space as it is. A text
// that is not valid UTF-8 is returned unchanged.
package augment

import (
	"strings"
	"unicode"
)

// Lookup returns the synonyms of a word, which is in lower case. Underscores
// in them stand for blanks. No synonyms means that the word stays as it is.
type Lookup func(word string) []string

// matchCase writes a synonym as the word was written: all in capitals, with a
// capital first letter, or as the synonym came.
func matchCase(word, synonym string) string {
	runes := []rune(word)
	switch {
	case len(runes) > 1 && word == strings.ToUpper(word) && word != strings.ToLower(word):
		return strings.ToUpper(synonym)
	case unicode.IsUpper(runes[0]):
		return capitalised(synonym)
	}
	return synonym
}

func capitalised(text string) string {
	runes := []rune(text)
	runes[0] = unicode.ToTitle(runes[0])
	return string(runes)
}

// solid reports whether a rune shows on its own: it is neither white space nor
// a mark, joiner or control character.
func solid(r rune) bool { return unicode.IsPrint(r) && r != ' ' && !unicode.IsMark(r) }

// wordRune reports whether a rune can begin or end a word.
func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}
