package relay_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

func TestPlainTextHasTheTextAlone(t *testing.T) {
	t.Parallel()
	encoder := relay.PlainText{}.Open(relay.Start{ID: "id"})
	buf := encoder.Chunk(nil, 3, relay.Chunk{Role: "assistant"})
	buf = encoder.Chunk(
		buf, 3, relay.Chunk{Reasoning: "hm", ToolCalls: []relay.ToolCall{{Name: "f"}}},
	)
	require.Empty(t, buf)
	buf = encoder.Chunk(buf, 3, relay.Chunk{Text: "Li\nma", Finish: "stop"})
	buf = encoder.MinerDone(buf, 3, relay.Complete)
	require.Equal(t, "Li\nma", string(encoder.KeepAlive(encoder.Done(buf))))
	buf, reported := encoder.Fail(buf, relay.BrokenOff)
	require.False(t, reported)
	require.Equal(t, "Li\nma", string(buf))
}

func TestTaggedPlainText(t *testing.T) {
	t.Parallel()
	encoder := relay.PlainText{}.Open(relay.Start{All: true})
	buf := encoder.Chunk(nil, 0, relay.Chunk{Text: "Li\nma"})
	buf = encoder.Chunk(buf, 7, relay.Chunk{Reasoning: "hm"})
	buf = encoder.KeepAlive(buf)
	buf = encoder.MinerDone(buf, 7, relay.TimedOut)
	require.Equal(t, []string{
		`{"uid":0,"text":"Li\nma"}`, "", `{"uid":7,"end":"timed out"}`, "",
	}, strings.Split(string(encoder.Done(buf)), "\n"))
}

func TestHeaderOfAStream(t *testing.T) {
	t.Parallel()
	for _, wire := range []relay.Wire{relay.SSE{}, relay.PlainText{}} {
		header := http.Header{"Cache-Control": {"private"}}
		wire.Header(header)
		require.Equal(t, http.Header{
			"Cache-Control": {"private"}, "Content-Type": {"text/event-stream"}, "X-Accel-Buffering": {"no"},
		}, header)
	}
}
