package relay_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// blanks are texts of which a reader sees nothing.
var blanks = map[string]string{
	"blank": " ", "line": "\n", "lines": "\r\n\r\n", "tab": "\t", "no-break space": "\u00a0",
	"ideographic space": "\u3000", "line separator": "\u2028", "zero-width space": "\u200b",
	"zero-width joiner": "\u200d", "word joiner": "\u2060", "byte order mark": "\ufeff",
	"soft hyphen": "\u00ad", "direction": "\u202e", "variation": "\ufe0f", "tag": "\U000e0041",
	"filler": "\u3164", "joiner of marks": "\u034f", "mark alone": "\u0301", "braille blank": "\u2800",
	"zero": "\x00", "escape": "\x1b", "delete": "\x7f", "replacement": "\ufffd", "no UTF-8": "\xff",
	"private": "\ue000", "unassigned": "\U000e0fff", "several": " \u200b\n\u2800",
}

func TestTextThatAReaderSees(t *testing.T) {
	t.Parallel()
	for name, text := range blanks {
		require.False(t, relay.Chunk{Text: text}.HasText(), name)
		require.False(t, relay.Chunk{Reasoning: text}.HasReasoning(), name)
	}
	for _, text := range []string{
		"a", " a", "\n0", ".", "é", "e\u0301", "日", "ا", "ไ", "🙂", "€", "~", "\u200b!",
	} {
		require.True(t, relay.Chunk{Text: text}.HasText(), text)
		require.True(t, relay.Chunk{Reasoning: text}.HasReasoning(), text)
	}
	require.False(t, relay.Chunk{Role: "assistant", Finish: "stop", Reasoning: "a"}.HasText())
	require.False(t, relay.Chunk{Text: "a"}.HasReasoning())
	require.False(t, relay.Chunk{ToolCalls: []relay.ToolCall{{Arguments: "{}"}}}.HasToolCall())
	require.True(t, relay.Chunk{ToolCalls: []relay.ToolCall{{}, {Name: "f"}}}.HasToolCall())
}

func TestWhenTheFirstAndTheHalfOfTheTextWereThere(t *testing.T) {
	t.Parallel()
	at := func(second int, text string) relay.Chunk {
		return relay.Chunk{Text: text, At: time.Duration(second) * time.Second}
	}
	tests := []struct {
		name        string
		chunks      []relay.Chunk
		first, half int // seconds since the miner was asked, at 10 s; 0: never
	}{
		{"nothing", nil, 0, 0},
		{"blanks", []relay.Chunk{at(11, " "), at(12, "\n")}, 0, 0},
		{"at once", []relay.Chunk{at(11, "abcd")}, 1, 1},
		{"evenly", []relay.Chunk{at(11, "ab"), at(12, "cd"), at(13, "ef"), at(14, "gh")}, 1, 2},
		{
			"a word to win, the rest late",
			[]relay.Chunk{at(11, "I"), at(19, " think it is Lima.")},
			1, 9,
		},
		{
			"blanks do not count",
			[]relay.Chunk{at(11, "a          "), at(12, "\n\n\n\n\n"), at(18, "bcd")},
			1, 8,
		},
		{
			"reasoning does not count",
			[]relay.Chunk{{Reasoning: "hm, hm", At: 11 * time.Second}, at(15, "abc")},
			5, 5,
		},
		{"a character is one, however long", []relay.Chunk{at(11, "日本"), at(12, "abc")}, 1, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answer := relay.Answer{Started: 10 * time.Second, Chunks: tt.chunks}
			first, ok := answer.FirstText()
			require.Equal(t, tt.first > 0, ok)
			require.Equal(t, time.Duration(tt.first)*time.Second, first)
			half, ok := answer.HalfText()
			require.Equal(t, tt.half > 0, ok)
			require.Equal(t, time.Duration(tt.half)*time.Second, half)
		})
	}
}

func TestToolCallsAreJoined(t *testing.T) {
	t.Parallel()
	answer := relay.Answer{Chunks: []relay.Chunk{
		{ToolCalls: []relay.ToolCall{{Index: 1_000_000_000, ID: "b", Name: "g"}}},
		{Text: "meanwhile"},
		{
			ToolCalls: []relay.ToolCall{
				{Index: 0, ID: "a", Name: "f", Arguments: "{"},
				{Index: 1_000_000_000, Arguments: "[]"},
			},
		},
		{ToolCalls: []relay.ToolCall{{Index: 0, Name: "f", Arguments: "}"}}},
	}}
	require.Equal(t, []relay.ToolCall{
		{Index: 1_000_000_000, ID: "b", Name: "g", Arguments: "[]"}, {
			Index: 0, ID: "a", Name: "f", Arguments: "{}",
		},
	}, answer.ToolCalls())
	require.Nil(t, relay.Answer{}.ToolCalls())
}

func TestWhatAnAnswerClaims(t *testing.T) {
	t.Parallel()
	answer := relay.Answer{Chunks: []relay.Chunk{
		{Text: "a", Usage: &relay.Usage{TotalTokens: 1}}, {Finish: "length"}, {
			Usage: &relay.Usage{TotalTokens: 2},
		},
	}}
	require.Equal(t, "length", answer.Finish())
	usage, ok := answer.Usage()
	require.True(t, ok)
	require.Equal(t, 2, usage.TotalTokens, "the newest")
	require.Empty(t, relay.Answer{}.Finish())
	_, ok = relay.Answer{}.Usage()
	require.False(t, ok)
}
