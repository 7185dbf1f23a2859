package rouge

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestF1(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		answer, reference string
		want              float64
	}{
		{"same text", "the cat sat", "the cat sat", 1},
		{"order does not count", "sat cat the", "the cat sat", 1},
		{"case and punctuation do not count", "The CAT, (sat)!", "the cat sat.", 1},
		{"nothing in common", "a dog", "the cat sat", 0},
		{"half of each", "the dog", "the cat", 0.5},
		{"precision 2/2, recall 2/6", "the mat", "the cat sat on the mat", 0.5},
		{"precision 2/6, recall 2/2", "the cat sat on the mat", "the mat", 0.5},
		{"a word counts as often as both have it", "the the the the", "the cat and the dog", 4.0 / 9},
		{"an underscore is part of a word", "old_name", "old name", 0},
		{"a hyphen and an apostrophe are not", "it's re-used", "it s re used", 1},
		{"digits are words", "2, 3, 5", "3 5 7 11", 4.0 / 7},
		{"letters of any script", "Très bon CAFÉ, ДОБРОЕ утро", "café très bon доброе утро", 1},
		{"digits of any script", "٣ ٤", "٣", 2.0 / 3},
		{"empty answer", "", "the cat", 0},
		{"empty reference", "the cat", "", 0},
		{"both empty", "", "", 0},
		{"no word in either", "?!", "...", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.InDelta(t, tt.want, F1(tt.answer, tt.reference), 1e-15)
		})
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"mv", "old_name", "txt", "2", "été", "x1"},
		words("mv OLD_name.txt 2—Été\tx1\n"))
	require.Empty(t, words(" .,;\n"))
}
