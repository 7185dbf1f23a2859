package augment

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/organic-scoring/organic/internal/random"
)

// Typos makes typos in the text: none at least, one for each fifty characters
// (but one in a shorter text) at most. A typo removes a character or puts a
// blank between two. White space is never removed, a character is never torn
// from its marks, and one character always stays.
func Typos(text string, random *random.Source) string {
	if !utf8.ValidString(text) {
		return text
	}
	wanted := random.IntN(max(1, utf8.RuneCountInString(text)/50) + 1)
	if wanted == 0 {
		return text
	}
	t := newTypist(text)
	for range wanted {
		t.strike(random)
	}
	return t.text()
}

// typo is what happens to one character.
type typo uint8

const (
	removed typo = iota + 1
	blankAfter
)

// typist is a text while typos are made in it. Typos are never at or beside a
// character that has one, so that none changes what another was allowed by.
type typist struct {
	runes  []rune
	solids []int        // indices of runes where a typo can be
	left   int          // how many of them are not removed
	typos  map[int]typo // by index in runes
}

func newTypist(text string) *typist {
	t := &typist{runes: []rune(text), typos: map[int]typo{}}
	for i, r := range t.runes {
		if solid(r) {
			t.solids = append(t.solids, i)
		}
	}
	t.left = len(t.solids)
	return t
}

// strike makes a typo at a random index, if there can be one.
func (t *typist) strike(random *random.Source) {
	if len(t.solids) == 0 {
		return
	}
	index := t.solids[random.IntN(len(t.solids))]
	remove := random.IntN(2) == 0
	if t.typos[index-1] != 0 || t.typos[index] != 0 || t.typos[index+1] != 0 {
		return
	}
	switch removable, splittable := t.removable(index), t.splittable(index); {
	case removable && (remove || !splittable):
		t.typos[index] = removed
		t.left--
	case splittable:
		t.typos[index] = blankAfter
	}
}

// removable reports whether the character can go: it is not the last one, and
// no mark or joiner hangs on it.
func (t *typist) removable(index int) bool {
	return t.left > 1 && t.free(index-1) && t.free(index+1)
}

func (t *typist) splittable(index int) bool {
	return index+1 < len(t.runes) && solid(t.runes[index+1])
}

// free reports whether there is no mark or joiner at the index.
func (t *typist) free(index int) bool {
	if index < 0 || index >= len(t.runes) {
		return true
	}
	return solid(t.runes[index]) || unicode.IsSpace(t.runes[index])
}

func (t *typist) text() string {
	var b strings.Builder
	for i, r := range t.runes {
		switch t.typos[i] {
		case removed:
		case blankAfter:
			b.WriteRune(r)
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
