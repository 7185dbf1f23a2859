package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"html"
	"html/template"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
)

func TestJournalTellsAllButWhatWasWritten(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path, page := filepath.Join(folder, "journal.jsonl"), filepath.Join(folder, "page.html")
	s := setup(t, "-patience 1s -rate 100 -journal "+path+" -report "+page)
	played(t, s)
	journal, err := os.ReadFile(path)
	require.NoError(t, err)
	report, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(report), "dogwood")
	for _, text := range textsOf(s) {
		require.Empty(t, leaks(text, journal), "journal")
		require.Empty(t, leaks(text, report), "page")
	}

	fates := make(map[string]map[string]int) // of each sample
	lines := bufio.NewScanner(bytes.NewReader(journal))
	for lines.Scan() {
		line := readLine(t, lines.Bytes())
		require.False(t, line.Time.IsZero())
		if line.ID != "" {
			if fates[line.ID] == nil {
				fates[line.ID] = make(map[string]int)
			}
			fates[line.ID][line.Event+" "+line.Origin]++
		}
	}
	require.NoError(t, lines.Err())
	organics := 0
	for id, fate := range fates {
		organics += fate["accepted organic"]
		require.Equal(t, 1, fate["scored organic"]+fate["scored synthetic"], id)
		require.Equal(t, fate["scored organic"], fate["accepted organic"], id)
		require.Equal(t, 1, fate["result organic"]+fate["result synthetic"], id)
	}
	require.Equal(t, 12, organics)
	require.Len(t, fates, 24)
}

// allowed is all that a line may say.
type allowed struct {
	Time    time.Time               `json:"time"`
	Event   string                  `json:"event"`
	ID      string                  `json:"id"`
	Origin  string                  `json:"origin"`
	Attempt int                     `json:"attempt"`
	Stage   string                  `json:"stage"`
	Seconds float64                 `json:"seconds"`
	Size    int                     `json:"size"`
	Error   string                  `json:"error"`
	Endings map[organic.UID]string  `json:"endings"`
	Rewards map[organic.UID]float64 `json:"rewards"`
}

func readLine(t *testing.T, data []byte) (line allowed) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&line))
	return line
}

// textsOf returns everything that users, miners and references said.
func textsOf(s *subnet) (said []string) {
	for _, r := range s.records {
		said = append(said, r.Instruction, r.Input, string(r.ReferenceModel), string(r.ReferenceHuman), textOf(r.Prompt))
		for _, answer := range r.Answers {
			said = append(said, string(*answer))
		}
	}
	return said
}

// leaks returns what data has of a text: all of it or any of its words, but for
// what is too short to be told from other words, as it is, escaped, or in
// base64.
func leaks(text string, data []byte) (found []string) {
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, part := range append(words, text) {
		if len(part) <= 8 {
			continue
		}
		for _, form := range formsOf(part) {
			if bytes.Contains(data, []byte(form)) {
				found = append(found, form)
			}
		}
	}
	return found
}

// formsOf returns the ways in which a text may be written.
func formsOf(text string) []string {
	forms := []string{text, html.EscapeString(text), template.HTMLEscapeString(text), template.JSEscapeString(text)}
	for _, escapes := range []bool{true, false} {
		var out strings.Builder
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(escapes)
		_ = encoder.Encode(text) // strings can always be encoded
		forms = append(forms, strings.Trim(out.String(), "\"\n"))
	}
	for skip := range 3 { // where the three bytes of a group begin, in a longer text
		whole := text[skip : skip+(len(text)-skip)/3*3]
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(whole)), base64.URLEncoding.EncodeToString([]byte(whole)))
	}
	return forms
}

func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	const text = "Say \"a <b> &\nunmistakable\" thing"
	raw, err := json.Marshal(text)
	require.NoError(t, err)
	answer, err := json.Marshal(spoken(text, 0)) // chunks are bytes
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"as it is":         []byte("a " + text + " b"),
		"one word":         []byte("an unmistakable word"),
		"in JSON":          raw,
		"in HTML":          []byte("<p>" + html.EscapeString(text)),
		"an answer":        answer,
		"whole, in base64": []byte(base64.StdEncoding.EncodeToString([]byte(text))),
		"part of base64":   []byte(base64.StdEncoding.EncodeToString([]byte("12345" + text))),
	} {
		require.NotEmpty(t, leaks(text, data), name)
	}
	require.NotEmpty(t, leaks(`1 "2" 3 4 5`, []byte(`"1 \"2\" 3 4 5"`)), "a text without words, in JSON")
	require.NotEmpty(t, leaks(`1 < 2 & 3`, []byte(`1 &lt; 2 &amp; 3`)), "a text without words, in HTML")
	require.Empty(t, leaks(text, []byte("Say thing, mistakable")))
}

func TestJournalThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	_, err := openJournal(t.TempDir())
	require.ErrorContains(t, err, "is a directory")

	j, err := openJournal(filepath.Join(t.TempDir(), "journal.jsonl"))
	require.NoError(t, err)
	require.NoError(t, j.file.Close())
	j.lost("id", errAway)
	j.lost("id", errAway)
	require.ErrorIs(t, j.close(), os.ErrClosed)
}
