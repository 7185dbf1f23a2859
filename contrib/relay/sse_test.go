package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

// sse writes chunks of one answer and its end.
func sse(form relay.SSE, chunks ...relay.Chunk) string {
	encoder := form.Open(relay.Start{ID: "id", Time: time.Unix(7, 0)})
	var buf []byte
	for _, chunk := range chunks {
		buf = encoder.Chunk(buf, 3, chunk)
	}
	return string(encoder.Done(buf))
}

// sseEvent is an event of such an answer.
func sseEvent(choices string) string {
	return `{"id":"chatcmpl-id","object":"chat.completion.chunk","created":7,"model":"organic","choices":` + choices + `}`
}

func sseDelta(delta string) string {
	return sseEvent(`[{"index":0,"delta":` + delta + `,"finish_reason":null}]`)
}

func sseFinish(reason string) string {
	return sseEvent(`[{"index":0,"delta":{},"finish_reason":"` + reason + `"}]`)
}

func TestSSEIsTheFormOfOpenAI(t *testing.T) {
	t.Parallel()
	role := sseDelta(`{"role":"assistant","content":""}`)
	usage := &relay.Usage{PromptTokens: 1, CompletionTokens: 2, TotalTokens: 3}
	tests := []struct {
		name   string
		form   relay.SSE
		chunks []relay.Chunk
		want   []string
	}{
		{"text", relay.SSE{}, []relay.Chunk{{Text: "Li"}, {Text: "ma"}}, []string{
			role, sseDelta(`{"content":"Li"}`), sseDelta(`{"content":"ma"}`), sseFinish("stop"),
		}},
		{"a role and an end of the miner's own", relay.SSE{}, []relay.Chunk{
			{Role: "assistant"}, {Text: "Li", Finish: "length"},
		}, []string{role, sseDelta(`{"content":"Li"}`), sseFinish("length")}},
		{"reasoning", relay.SSE{}, []relay.Chunk{{Reasoning: "hm"}, {Text: "Li"}}, []string{
			role, sseDelta(`{"reasoning_content":"hm"}`), sseDelta(`{"content":"Li"}`), sseFinish(
				"stop",
			),
		}},
		{"tool calls", relay.SSE{}, []relay.Chunk{
			{ToolCalls: []relay.ToolCall{{ID: "c", Name: "f", Arguments: "{"}}},
			{ToolCalls: []relay.ToolCall{{Arguments: "}"}, {Index: 1, ID: "d", Name: "g"}}},
		}, []string{
			role,
			sseDelta(
				`{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{"}}]}`,
			),
			sseDelta(
				`{"tool_calls":[{"index":0,"function":{"arguments":"}"}},{"index":1,"id":"d","type":"function","function":{"name":"g","arguments":""}}]}`,
			),
			sseFinish("tool_calls"),
		}},
		{"usage that was not asked for", relay.SSE{}, []relay.Chunk{{Text: "a", Usage: usage}}, []string{
			role, sseDelta(`{"content":"a"}`), sseFinish("stop"),
		}},
		{"usage", relay.SSE{Usage: true}, []relay.Chunk{{Text: "a"}, {Usage: usage}}, []string{
			role, sseDelta(`{"content":"a"}`), sseFinish("stop"),
			strings.TrimSuffix(sseEvent(`[]`),
				"}") + `,"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
		}},
		{
			"usage that the miner does not give",
			relay.SSE{Usage: true},
			[]relay.Chunk{{Text: "a"}},
			[]string{
				role, sseDelta(`{"content":"a"}`), sseFinish("stop"),
			},
		},
		{
			"text that looks like an event",
			relay.SSE{},
			[]relay.Chunk{{Text: "\n\ndata: [DONE]\r\n"}, {Text: "[DONE]"}},
			[]string{
				role, sseDelta(`{"content":"\n\ndata: [DONE]\r\n"}`), sseDelta(`{"content":"[DONE]"}`),
				sseFinish("stop"),
			},
		},
		{"code as it is", relay.SSE{}, []relay.Chunk{{Text: "a<b && c>\"d\""}}, []string{
			role, sseDelta(`{"content":"a<b && c>\"d\""}`), sseFinish("stop"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, events(append(tt.want, "[DONE]")...), sse(tt.form, tt.chunks...))
		})
	}
}

func TestSSENamesTheModel(t *testing.T) {
	t.Parallel()
	require.Contains(t, sse(relay.SSE{Model: "llama"}, relay.Chunk{Text: "a"}), `"model":"llama"`)
}

func TestSSEOfSeveralAnswers(t *testing.T) {
	t.Parallel()
	encoder := relay.SSE{}.Open(relay.Start{ID: "id", Time: time.Unix(7, 0), All: true})
	buf := encoder.Chunk(nil, 3, relay.Chunk{Role: "assistant"})
	buf = encoder.Chunk(buf, 5, relay.Chunk{Text: "a"})
	buf = encoder.MinerDone(buf, 5, relay.Complete)
	require.Equal(t, "event: 5\n"+events(sseDelta(`{"content":"a"}`))+
		"event: end\n"+events(`{"uid":5,"end":"complete"}`, "[DONE]"), string(encoder.Done(buf)))
}

// TestSSEAfterAFailover has the end of the second answer, not of the first.
func TestSSEAfterAFailover(t *testing.T) {
	t.Parallel()
	encoder := relay.SSE{Usage: true}.Open(relay.Start{ID: "id", Time: time.Unix(7, 0)})
	buf := encoder.Chunk(nil, 3, relay.Chunk{Reasoning: "hm", Usage: &relay.Usage{TotalTokens: 1}})
	buf = encoder.Chunk(buf, 3, relay.Chunk{Finish: "length"})
	buf = encoder.Chunk(buf, 5, relay.Chunk{Text: "a"})
	require.Equal(t, events(
		sseDelta(`{"role":"assistant","content":""}`), sseDelta(`{"reasoning_content":"hm"}`),
		sseDelta(`{"content":"a"}`), sseFinish("stop"), "[DONE]",
	), string(encoder.Done(buf)))
}

func TestSSECarriesAnAnswerThrough(t *testing.T) {
	t.Parallel()
	chunks := []relay.Chunk{
		{Role: "assistant"},
		{Reasoning: "hm\u2028"},
		{Text: "Li\nma"},
		{Text: "<b> \u00e9 \U0001F600"},
		{ToolCalls: []relay.ToolCall{{Index: 0, ID: "c", Name: "f", Arguments: `{"a":1}`}}},
		{Finish: "tool_calls", Usage: &relay.Usage{PromptTokens: 1, TotalTokens: 1}},
	}
	read, err := readOpenAI(strings.NewReader(sse(relay.SSE{Usage: true}, chunks...)))
	require.NoError(t, err)
	require.Equal(t, relay.Answer{Chunks: chunks}.Text(), read.Text())
	require.Equal(t, "hm\u2028", read.Reasoning())
	require.Equal(t, chunks[4].ToolCalls, read.ToolCalls())
	require.Equal(t, "tool_calls", read.Finish())
	usage, ok := read.Usage()
	require.True(t, ok)
	require.Equal(t, *chunks[5].Usage, usage)
}

func TestFailuresInSSE(t *testing.T) {
	t.Parallel()
	for _, f := range []relay.Failure{relay.NoAnswer, relay.BrokenOff, relay.TooSlow} {
		buf, reported := relay.SSE{}.Open(relay.Start{}).Fail([]byte("x"), f)
		require.True(t, reported)
		require.Equal(t, "x"+events(failure(f)), string(buf))
		_, err := readOpenAI(strings.NewReader(string(buf[1:])))
		require.ErrorIs(t, err, relay.ErrReported, "another relay understands it")
	}
}
