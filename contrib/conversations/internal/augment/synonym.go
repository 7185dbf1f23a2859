package augment

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/organic-scoring/organic/internal/random"
)

// Synonyms swaps words of the text for synonyms: one at least, a tenth of the
// words at most. The choice is among the words that have a synonym, each with
// the same probability; a text without any stays as it is. A word stands
// between white space, without the punctuation round it.
func Synonyms(text string, lookup Lookup, random *random.Source) string {
	if !utf8.ValidString(text) {
		return text
	}
	words := wordsOf(text)
	if len(words) == 0 {
		return text
	}
	wanted := 1 + random.IntN(max(1, len(words)/10))
	return replaced(text, swaps(text, words, wanted, lookup, random))
}

// span is a part of a text: where it starts, where it ends, and what comes in
// its place.
type span struct {
	start, end int
	with       string
}

// wordsOf returns where the words of a text are.
func wordsOf(text string) []span {
	var words []span
	start := 0
	for field := range strings.FieldsSeq(text) {
		start += strings.Index(text[start:], field)
		end := start + len(field)
		if word := trimmed(text, span{start: start, end: end}); word.start < word.end {
			words = append(words, word)
		}
		start = end
	}
	return words
}

// trimmed takes the punctuation off both ends of a word.
func trimmed(text string, word span) span {
	inner := strings.TrimLeftFunc(text[word.start:word.end], notWordRune)
	word.start = word.end - len(inner)
	word.end = word.start + len(strings.TrimRightFunc(inner, notWordRune))
	return word
}

func notWordRune(r rune) bool { return !wordRune(r) }

// swaps draws words without putting them back until it has found a synonym for
// as many as are wanted.
func swaps(text string, words []span, wanted int, lookup Lookup, random *random.Source) []span {
	var found []span
	for left := len(words); left > 0 && len(found) < wanted; left-- {
		i := random.IntN(left)
		word := words[i]
		words[i] = words[left-1]
		if word.with = synonym(text[word.start:word.end], lookup, random); word.with != "" {
			found = append(found, word)
		}
	}
	return found
}

// synonym returns one of a word's synonyms, or "".
func synonym(word string, lookup Lookup, random *random.Source) string {
	var usable []string
	for _, candidate := range lookup(strings.ToLower(word)) {
		candidate = strings.Join(strings.FieldsFunc(candidate, blankOrUnderscore), " ")
		if candidate != "" && utf8.ValidString(candidate) && !strings.EqualFold(candidate, word) {
			usable = append(usable, candidate)
		}
	}
	if len(usable) == 0 {
		return ""
	}
	return matchCase(word, usable[random.IntN(len(usable))])
}

func blankOrUnderscore(r rune) bool { return r == '_' || unicode.IsSpace(r) }

// replaced returns the text with the spans replaced.
func replaced(text string, spans []span) string {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var b strings.Builder
	done := 0
	for _, s := range spans {
		b.WriteString(text[done:s.start])
		b.WriteString(s.with)
		done = s.end
	}
	b.WriteString(text[done:])
	return b.String()
}
