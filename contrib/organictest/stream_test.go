package organictest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

type streamMiner = organictest.StreamMiner

// heard is what came of an answer.
type heard struct{ text, reasoning, calls, finish string }

// hear collects what a miner says.
func hear(ask func(emit func(relay.Chunk) error) error) (heard, error) {
	var answer relay.Answer
	err := ask(func(chunk relay.Chunk) error {
		answer.Chunks = append(answer.Chunks, chunk)
		return nil
	})
	calls := ""
	for _, call := range answer.ToolCalls() {
		calls += call.Name + call.Arguments
	}
	return heard{answer.Text(), answer.Reasoning(), calls, answer.Finish()}, err
}

func TestStreamMiners(t *testing.T) {
	t.Parallel()
	text := []string{"Li", "ma"}
	call := []relay.ToolCall{{ID: "a", Name: "f", Arguments: "{"}, {Arguments: "}"}}
	tests := []struct {
		name  string
		miner streamMiner
		want  heard
		err   error // nil: none
		fails bool  // with another error
	}{
		{name: "zero", want: heard{finish: "stop"}},
		{name: "text", miner: streamMiner{Text: text}, want: heard{text: "Lima", finish: "stop"}},
		{
			name: "blank first", miner: streamMiner{Text: []string{" ", "\n", "a"}},
			want: heard{text: " \na", finish: "stop"},
		},
		{
			name: "reasoning", miner: streamMiner{Reasoning: []string{"h", "m"}, Text: text},
			want: heard{text: "Lima", reasoning: "hm", finish: "stop"},
		},
		{
			name: "tool call", miner: streamMiner{ToolCalls: call},
			want: heard{calls: "f{}", finish: "tool_calls"},
		},
		{
			name: "its own reason", miner: streamMiner{Text: text, Finish: "length"},
			want: heard{text: "Lima", finish: "length"},
		},
		{
			name: "without done", miner: streamMiner{Text: text, End: organictest.EndsWithoutDone},
			want: heard{text: "Lima", finish: "stop"},
		},
		{
			name: "cut", miner: streamMiner{Text: text, End: organictest.EndsCut},
			want: heard{text: "Lima"}, fails: true,
		},
		{
			name: "early", miner: streamMiner{Text: text, End: organictest.EndsEarly},
			want: heard{text: "Lima"}, err: io.ErrUnexpectedEOF,
		},
		{
			name: "error", miner: streamMiner{Text: text, End: organictest.EndsInError},
			want: heard{text: "Lima"}, err: relay.ErrReported,
		},
		{
			name: "named error", miner: streamMiner{Text: text, End: organictest.EndsInNamedError},
			want: heard{text: "Lima"}, err: relay.ErrReported,
		},
		{
			name: "error body", miner: streamMiner{Text: text, End: organictest.IsErrorBody},
			err: relay.ErrReported,
		},
		{name: "refused", miner: streamMiner{Text: text, End: organictest.IsRefused}, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			verify := func(got heard, err error) {
				t.Helper()
				require.Equal(t, tt.want, got)
				switch {
				case tt.err != nil:
					require.ErrorIs(t, err, tt.err)
				default:
					require.Equal(t, tt.fails, err != nil, "%v", err)
				}
			}
			verify(
				hear(
					func(emit func(relay.Chunk) error) error {
						return tt.miner.Ask(
							t.Context(), emit,
						)
					},
				),
			)
			server := httptest.NewServer(tt.miner)
			defer server.Close()
			verify(
				hear(
					func(emit func(relay.Chunk) error) error {
						return overHTTP(
							t.Context(), server.URL, emit,
						)
					},
				),
			)
		})
	}
}

// overHTTP asks a miner as a validator does.
func overHTTP(ctx context.Context, url string, emit func(relay.Chunk) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return relay.OpenAI(response.Body, emit)
}

// TestStreamMinersTakeTheirTime in a relay, in which one never ends.
func TestStreamMinersTakeTheirTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, err := relay.New(relay.WithTimeout(time.Minute))
		require.NoError(t, err)
		answers, err := r.Ask(t.Context(), relay.Query{Miners: map[organic.UID]relay.Miner{
			1: streamMiner{Latency: 2 * time.Second, Pause: time.Second, Text: []string{" ", "Lima"}}.Ask,
			2: streamMiner{Text: []string{"a"}, End: organictest.EndsNever}.Ask,
			3: streamMiner{Latency: time.Hour, End: organictest.IsRefused}.Ask,
		}})
		require.NoError(t, err)
		first, ok := answers[1].FirstText()
		require.True(t, ok)
		require.Equal(t, 4*time.Second, first)
		require.Equal(t, relay.Complete, answers[1].Ending)
		require.Equal(t, relay.TimedOut, answers[2].Ending)
		require.Equal(t, relay.Silent, answers[3].Ending)
		require.NoError(t, r.Close(t.Context()))
	})
}
