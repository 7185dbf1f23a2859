package augment_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/conversations/internal/augment"
	"github.com/organic-scoring/organic/internal/random"
)

func TestAllTyposOfShortTexts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		text string
		want []string
	}{
		{"nothing", "", []string{""}},
		{"blanks", " \n ", []string{" \n "}},
		{"one character", "x", []string{"x"}},
		{"one character among blanks", "\n x", []string{"\n x"}},
		{"two", "ab", []string{"ab", "b", "a", "a b"}},
		{"two lines", "a\nb", []string{"a\nb", "\nb", "a\n"}},
		{"two words", "a b", []string{"a b", " b", "a "}},
		{"a character with its mark stays whole", "e\u0301", []string{"e\u0301"}},
		{"a mark is not torn off", "xe\u0301", []string{"xe\u0301", "e\u0301", "x e\u0301"}},
		{"joined emoji", "👩\u200d💻", []string{"👩\u200d💻"}},
		{"two emoji", "🙂🎈", []string{"🙂🎈", "🙂", "🎈", "🙂 🎈"}},
		{"invisible only", "\u200b\u200b", []string{"\u200b\u200b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := outcomes(func(random *random.Source) string { return augment.Typos(tt.text, random) })
			require.ElementsMatch(t, tt.want, slices.Collect(maps.Keys(seen)))
		})
	}
}

func TestNumberOfTypos(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		characters int
		most       int
	}{
		{"short", 20, 1},
		{"just below two", 99, 1},
		{"two", 100, 2},
		{"many", 1000, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Repeat("ö", tt.characters)
			fewest, most := tt.most, 0
			for changed := range outcomes(func(random *random.Source) string {
				return augment.Typos(text,
					random)
			}) {
				blanks := strings.Count(changed, " ")
				typos := blanks + tt.characters - (utf8.RuneCountInString(changed) - blanks)
				fewest, most = min(fewest, typos), max(most, typos)
			}
			require.Zero(t, fewest)
			require.LessOrEqual(t, most, tt.most)
			require.GreaterOrEqual(t, most, tt.most-2, "typos may fall together")
		})
	}
}

func TestTyposKeepTheWhiteSpace(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("def add(one, two):\r\n    return one + two\n\n\t# done\n", 20)
	for seed := range uint64(50) {
		changed := augment.Typos(text, seeded(seed))
		requireSound(t, text, changed)
		for i, line := range strings.Split(changed, "\n") {
			before := strings.Split(text, "\n")[i]
			indent := len(before) - len(strings.TrimLeft(before, " \t"))
			require.True(t, strings.HasPrefix(line, before[:indent]))
			require.False(t, strings.HasSuffix(line, " "), "a blank stands between two characters")
		}
	}
}

// Two characters in a long run of blanks: the number of typos is above the
// number of characters.
func TestTyposLeaveACharacter(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(" ", 300) + "a  b" + strings.Repeat(" ", 300)
	seen := outcomes(func(random *random.Source) string { return augment.Typos(text, random) })
	require.Len(t, seen, 3)
	for changed := range seen {
		require.NotEmpty(t, strings.TrimSpace(changed))
	}
}
