// Package rouge measures how many words an answer shares with a reference.
package rouge

import (
	"strings"
	"unicode"
)

// F1 is the unigram ROUGE F1 of an answer against a reference: the
// harmonic mean of the share of the answer's words that the reference has and
// of the reference's words that the answer has. A word counts as often as both
// have it. Where nothing overlaps it is 0.
func F1(answer, reference string) float64 {
	said, wanted := words(answer), words(reference)
	both := overlap(said, wanted)
	if both == 0 {
		return 0
	}
	return 2 * float64(both) / float64(len(said)+len(wanted))
}

// words splits a text into runs of letters, digits and underscores, in lower
// case.
func words(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// overlap counts the words that both have, repeated ones as often as the one
// that has fewer of them.
func overlap(a, b []string) int {
	left := make(map[string]int, len(a))
	for _, word := range a {
		left[word]++
	}
	both := 0
	for _, word := range b {
		if left[word] > 0 {
			left[word]--
			both++
		}
	}
	return both
}
