package augment_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/conversations/internal/augment"
	"github.com/organic-scoring/organic/internal/random"
)

// seeded returns a repeatable source.
func seeded(seed uint64) *random.Source {
	return random.New(&seed)
}

// outcomes returns what a change makes of a text under many seeds.
func outcomes(change func(random *random.Source) string) map[string]int {
	seen := map[string]int{}
	for seed := range uint64(400) {
		seen[change(seeded(seed))]++
	}
	return seen
}

// oddTexts are texts that are easily broken.
var oddTexts = []string{
	"", " ", "\n\t ", "x", "hi", "?", "…!", "a b", "\x00", "\u200b", "e\u0301", "\u0301",
	"a\u0301\u0302b\u0303",
	"👩\u200d💻", "👍🏽 ok", "🇩🇪", "日本語のテキスト", "नमस्ते दुनिया", "שלום",
	"one\r\ntwo\n\n\tthree  four\u00a0five",
	strings.Repeat(" ", 200) + "xy", "İstanbul ǅungla", "BIG", "Big", "big!",
}

// spaces returns the white space of a text that is not a plain blank.
func spaces(text string) string {
	return strings.Map(func(r rune) rune {
		if r != ' ' && unicode.IsSpace(r) {
			return r
		}
		return -1
	}, text)
}

// requireSound fails unless a changed text keeps what every change must keep.
func requireSound(t *testing.T, before, after string) {
	t.Helper()
	if !utf8.ValidString(before) {
		require.Equal(t, before, after)
		return
	}
	require.True(t, utf8.ValidString(after))
	require.Equal(t, spaces(before), spaces(after))
	require.Equal(t, strings.TrimSpace(before) == "", strings.TrimSpace(after) == "", "%q became %q",
		before, after)
}

func TestOddTextsStaySound(t *testing.T) {
	t.Parallel()
	odd := append([]string{"bad \xff utf-8", "\xc3", "big\xed\xa0\x80"}, oddTexts...)
	for _, text := range odd {
		for seed := range uint64(50) {
			requireSound(t, text, augment.Typos(text, seeded(seed)))
			requireSound(t, text, augment.Synonyms(text, augment.Builtin, seeded(seed)))
		}
	}
}

func TestHugeTextStaysSound(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("the big house\n", 100_000)
	requireSound(t, text, augment.Typos(text, seeded(1)))
	requireSound(t, text, augment.Synonyms(text, augment.Builtin, seeded(1)))
}

func TestSameSeedSameText(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("please explain the main idea of this story ", 40)
	change := func(seed uint64) string {
		random := seeded(seed)
		return augment.Typos(augment.Synonyms(text, augment.Builtin, random), random)
	}
	for seed := range uint64(20) {
		first, again := change(seed), change(seed)
		require.Equal(t, first, again)
		require.NotEqual(t, first, change(seed+1))
	}
}

func FuzzAugment(f *testing.F) {
	for i, text := range oddTexts {
		f.Add(text, "ice_cream", uint64(i))
	}
	f.Add("big \xff", "\xff", uint64(0))
	f.Fuzz(func(t *testing.T, text, synonym string, seed uint64) {
		requireSound(t, text, augment.Typos(text, seeded(seed)))
		lookup := func(string) []string { return []string{synonym} }
		requireSound(t, text, augment.Synonyms(text, lookup, seeded(seed)))
		requireSound(t, text, augment.Synonyms(text, augment.Builtin, seeded(seed)))
	})
}
