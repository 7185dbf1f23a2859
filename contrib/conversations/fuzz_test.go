package conversations_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/conversations"
)

func FuzzConversations(f *testing.F) {
	written, err := os.ReadFile(handWritten)
	require.NoError(f, err)
	f.Add(written, 3, 1000, uint64(1))
	f.Add([]byte(""), 1, 1, uint64(2))
	f.Add([]byte("\ufeff"+translation+"\r\n\xff\n"+unasked), 1, 400, uint64(3))
	f.Add([]byte(asked("a")+asked(" ")+"{}"), 1, 50, uint64(4))
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), 1, 50, uint64(5))
	f.Fuzz(func(t *testing.T, data []byte, shuffle, maxLine int, seed uint64) {
		path := filepath.Join(t.TempDir(), "fuzz")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		dataset, err := conversations.Open(path,
			conversations.WithShuffle(shuffle), conversations.WithMaxLine(maxLine), conversations.WithSeed(seed))
		if err != nil {
			return
		}
		for range 10 {
			conversation, err := dataset.Sample(t.Context())
			if err != nil {
				require.ErrorAs(t, err, new(*conversations.Error))
				require.Nil(t, conversation)
				continue
			}
			last := conversation[len(conversation)-1]
			require.Equal(t, "user", last.Role)
			require.NotEmpty(t, strings.TrimSpace(last.Content))
		}
		require.NoError(t, dataset.Close())
	})
}

func FuzzTurns(f *testing.F) {
	f.Add("You are a big\n\thelp.", "Please\n\texplain  this.\r\n", "This is\u00a0important.\n",
		uint64(1))
	f.Add("\xff", " ", "", uint64(2))
	f.Fuzz(func(t *testing.T, system, user, assistant string, seed uint64) {
		system, user, assistant = strings.ToValidUTF8(system, "?"), strings.ToValidUTF8(user,
			"?"), strings.ToValidUTF8(assistant, "?")
		line, err := json.Marshal(map[string]conversations.Conversation{
			"conversation": {{"system", system}, {"user", user}, {"assistant", assistant}, {"user", "end"}},
		})
		require.NoError(t, err)
		path := filepath.Join(t.TempDir(), "fuzz")
		require.NoError(t, os.WriteFile(path, line, 0o600))
		dataset, err := conversations.Open(path, conversations.WithSeed(seed))
		require.NoError(t, err)
		for range 3 {
			conversation, err := dataset.Sample(t.Context())
			require.NoError(t, err)
			require.Equal(t, system, conversation[0].Content)
			require.Equal(t, skeleton(user), skeleton(conversation[1].Content))
			require.Equal(t, strings.TrimSpace(user) == "", strings.TrimSpace(conversation[1].Content) == "")
			if len(conversation) > 2 {
				require.Equal(t, assistant, conversation[2].Content)
			}
		}
		require.NoError(t, dataset.Close())
	})
}

// skeleton returns the white space of a text without its plain blanks.
func skeleton(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}
