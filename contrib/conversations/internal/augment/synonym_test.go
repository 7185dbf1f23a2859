package augment_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/conversations/internal/augment"
	"github.com/organic-scoring/organic/internal/random"
)

func TestSynonymIsWrittenAsTheWordWas(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, synonym, want string }{
		{"lower case", "sorbet", "ice_cream", "ice cream"},
		{"capitalised", "Sorbet", "ice_cream", "Ice cream"},
		{"all capitals", "SORBET", "ice_cream", "ICE CREAM"},
		{"one capital is a capitalised word", "I", "we", "We"},
		{"mixed", "iPhone", "telephone", "telephone"},
		{"a name keeps its capital", "town", "Paris", "Paris"},
		{"no letter", "42", "forty-two", "forty-two"},
		{"punctuation stays", "(“Sorbet!”),", "ice_cream", "(“Ice cream!”),"},
		{"white space stays", "\n\t sorbet \r\n", "ice_cream", "\n\t ice cream \r\n"},
		{"an apostrophe is part of the word", "don't", "do not", "do not"},
		{"line breaks in the synonym become blanks", "sorbet", "\nice\n\ncream_", "ice cream"},
		{"a digraph gets its title case", "Town", "ǆungla", "ǅungla"},
		{"the word itself is no synonym", "Sorbet", "sORBET", "Sorbet"},
		{"an empty synonym is none", "sorbet", "", "sorbet"},
		{"a blank synonym is none", "sorbet", "_ _", "sorbet"},
		{"an invalid synonym is none", "sorbet", "\xff", "sorbet"},
		{"no word", "?! …", "ice_cream", "?! …"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lookup := func(string) []string { return []string{tt.synonym} }
			require.Equal(t, tt.want, augment.Synonyms(tt.text, lookup, seeded(1)))
		})
	}
}

func TestLookupGetsBareLowerCaseWords(t *testing.T) {
	t.Parallel()
	var asked []string
	lookup := func(word string) []string {
		asked = append(asked, word)
		return nil
	}
	text := "“Is” IT — (well-known), O'Neill? http://a.b/c ÉLAN"
	require.Equal(t, text, augment.Synonyms(text, lookup, seeded(1)))
	require.ElementsMatch(t, []string{"is", "it", "well-known", "o'neill", "http://a.b/c", "élan"},
		asked)
}

func TestOnlyWordsWithSynonymsAreChosen(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("the ", 8) + "dog " + strings.Repeat("the ", 8) + "dog"
	lookup := func(word string) []string {
		if word == "dog" {
			return []string{"hound", "cur"}
		}
		return nil
	}
	seen := outcomes(func(random *random.Source) string {
		return augment.Synonyms(text, lookup,
			random)
	})
	require.NotContains(t, seen, text)
	require.Len(t, seen, 4, "either dog, either synonym")
	for changed, times := range seen {
		require.Greater(t, times, 60, changed)
	}
}

func TestNumberOfSynonyms(t *testing.T) {
	t.Parallel()
	lookup := func(string) []string { return []string{"X"} }
	for _, tt := range []struct {
		name  string
		words int
		most  int
	}{
		{"one word", 1, 1},
		{"below a tenth", 19, 1},
		{"two tenths", 20, 2},
		{"many", 57, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Repeat("w ", tt.words)
			counts := map[int]int{}
			for changed := range outcomes(func(random *random.Source) string {
				return augment.Synonyms(text,
					lookup, random)
			}) {
				require.Len(t, strings.Fields(changed), tt.words)
				counts[strings.Count(changed, "X")]++
			}
			require.Len(t, counts, tt.most, "every number from 1")
			require.NotContains(t, counts, 0)
			require.Contains(t, counts, tt.most)
		})
	}
}

func TestBuiltin(t *testing.T) {
	t.Parallel()
	require.Empty(t, augment.Builtin("zyzzyva"))
	require.Empty(t, augment.Builtin(""))
	require.Equal(t, []string{"large", "huge"}, augment.Builtin("big"))
	seen := outcomes(func(random *random.Source) string {
		return augment.Synonyms("Show me a BIG house.", augment.Builtin, random)
	})
	require.Contains(t, seen, "Display me a BIG house.")
	require.Contains(t, seen, "Show me a HUGE house.")
	require.Contains(t, seen, "Show me a BIG dwelling.")
}
