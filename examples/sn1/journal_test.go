package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

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
	html, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(html), "dogwood")
	requireWithoutText(t, s, journal)
	requireWithoutText(t, s, html)

	fates := make(map[string]map[string]int) // of each sample
	lines := bufio.NewScanner(bytes.NewReader(journal))
	for lines.Scan() {
		var line entry
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
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

// requireWithoutText looks for everything that users, miners and references
// said, but for what is too short to be told from other words.
func requireWithoutText(t *testing.T, s *subnet, data []byte) {
	t.Helper()
	for _, r := range s.records {
		said := []string{r.Instruction, r.Input, string(r.ReferenceModel), string(r.ReferenceHuman)}
		for _, answer := range r.Answers {
			said = append(said, string(*answer))
		}
		for _, text := range said {
			if len(text) > 8 {
				require.NotContains(t, string(data), text)
			}
		}
	}
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
