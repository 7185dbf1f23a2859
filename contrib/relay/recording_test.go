package relay_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// recorded is what a relay makes of the texts of chunks.
func recorded(tb testing.TB, pieces ...string) []string {
	tb.Helper()
	r, err := relay.New()
	require.NoError(tb, err)
	chunks := make([]relay.Chunk, len(pieces))
	for i, piece := range pieces {
		chunks[i] = text(piece)
	}
	answers, err := r.Ask(tb.Context(), relay.Query{Miners: miners{1: emits(chunks...)}})
	require.NoError(tb, err)
	require.NoError(tb, r.Close(tb.Context()))
	return texts(answers[1])
}

func TestTextIsUTF8(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		pieces []string
		want   []string
	}{
		{"whole characters", []string{"€", "a€"}, []string{"€", "a€"}},
		{"split in two", []string{"a\xe2\x82", "\xacb"}, []string{"a", "€b"}},
		{"split in three", []string{"\xe2", "\x82", "\xac"}, []string{"€"}},
		{"four bytes", []string{"\xf0\x9f\x99", "\x82"}, []string{"🙂"}},
		{"never ended", []string{"a", "\xe2\x82"}, []string{"a"}},
		{"not continued", []string{"\xe2\x82", "a"}, []string{"\ufffda"}},
		{"no UTF-8", []string{"a\xffb", "\x80"}, []string{"a\ufffdb", "\ufffd"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, recorded(t, tt.pieces...))
		})
	}
}

func TestAllOfAChunkIsUTF8(t *testing.T) {
	t.Parallel()
	r, err := relay.New()
	require.NoError(t, err)
	calls := []relay.ToolCall{{Name: "f"}, {ID: "\xff", Name: "\xff", Arguments: "\xff"}}
	chunk := relay.Chunk{Reasoning: "\xff", Role: "\xff", Finish: "\xff", ToolCalls: calls}
	answers, err := r.Ask(t.Context(), relay.Query{Miners: miners{1: emits(chunk)}})
	require.NoError(t, err)
	got := answers[1].Chunks[0]
	for _, s := range []string{
		got.Reasoning, got.Role, got.Finish, got.ToolCalls[1].ID, got.ToolCalls[1].Name,
		got.ToolCalls[1].Arguments,
	} {
		require.Equal(t, "\ufffd", s)
	}
	require.Equal(t, "\xff", calls[1].ID, "the miner's own are not changed")
	require.NoError(t, r.Close(t.Context()))
}

func TestLimitsCountAllOfAChunk(t *testing.T) {
	t.Parallel()
	for _, chunk := range []relay.Chunk{
		text("123456"), reasoning("123456"),
		{Role: "123456"},
		{Finish: "123456"},
		{ToolCalls: make([]relay.ToolCall, 1)},
		{ToolCalls: []relay.ToolCall{{Arguments: "123456"}}},
	} {
		r, err := relay.New(relay.WithMaxAnswer(5, 9))
		require.NoError(t, err)
		answers, err := r.Ask(t.Context(), relay.Query{Miners: miners{1: emits(chunk)}})
		require.NoError(t, err)
		require.Equal(t, relay.CutOff, answers[1].Ending)
		require.NoError(t, r.Close(t.Context()))
	}
}

// FuzzText checks that text which is split anywhere is put together.
func FuzzText(f *testing.F) {
	f.Add("a€🙂", uint8(1), uint8(4))
	f.Add("\xff\xe2\x82", uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, whole string, a, b uint8) {
		first := min(int(a), len(whole))
		second := min(first+int(b), len(whole))
		joined := ""
		for _, piece := range recorded(t, whole[:first], whole[first:second], whole[second:]) {
			require.True(t, utf8.ValidString(piece))
			joined += piece
		}
		if utf8.ValidString(whole) {
			require.Equal(t, whole, joined)
		}
	})
}
