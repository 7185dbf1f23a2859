package keys

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tyler-smith/go-bip39"
)

// shownPath returns the path for an error, unless it looks like a secret that
// was passed instead: a phrase, a seed, a secret URI, or a file's content.
func shownPath(path string) string {
	if looksSecret(path) {
		return "(path withheld, it looks like a secret)"
	}
	return strconv.Quote(path)
}

var (
	longRun    = regexp.MustCompile(`[0-9A-Za-z+=]{40}`) // a seed, a key, words without spaces
	wordOfPath = regexp.MustCompile(`[a-z]+`)
	secretMark = regexp.MustCompile(`[[:cntrl:]"{}]|0x[0-9a-fA-F]{8}|///|^//`)
)

// looksSecret errs on the side of secrecy. Six words of the BIP-39 list, or six
// words separated by spaces, are more than a path has.
func looksSecret(path string) bool {
	spaced := len(strings.Fields(path))
	if secretMark.MatchString(path) || longRun.MatchString(path) || spaced >= 6 ||
		spaced >= 3 && !strings.ContainsAny(path, `/\.`) {
		return true
	}
	words := 0
	for _, word := range wordOfPath.FindAllString(strings.ToLower(path), -1) {
		if _, ok := bip39.GetWordIndex(word); ok {
			words++
		}
	}
	return words >= 6
}
