package pyjson_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/axon/internal/pyjson"
)

// TestFoldAgreesWithEqualFold compares every rune that has a case with all
// that Unicode holds to be the same letter.
func TestFoldAgreesWithEqualFold(t *testing.T) {
	t.Parallel()
	for r := range unicode.MaxRune + 1 {
		if !utf8.ValidRune(r) || r > unicode.MaxASCII && unicode.SimpleFold(r) == r && unicode.ToLower(r) == r && unicode.ToUpper(r) == r {
			continue
		}
		one := string(r)
		for _, other := range []rune{
			unicode.ToLower(r), unicode.ToUpper(r), unicode.ToTitle(r),
			unicode.SimpleFold(r), r ^ 0x20,
		} {
			if strings.EqualFold(one, string(other)) != (pyjson.Fold(one) == pyjson.Fold(string(other))) {
				require.Failf(t, "they disagree", "%U and %U", r, other)
			}
		}
	}
	require.Equal(t, pyjson.Fold("ask"), pyjson.Fold("A\u017f\u212a"))
	require.NotEqual(t, pyjson.Fold("i"), pyjson.Fold("\u0130"),
		"a dotted capital I is another letter")
}
