package relay_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/relay"
)

func TestMinersCannotForgeTheEndOfAnSSEStream(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, chunk, want string }{
		{"the mark", "[DONE]", ""},
		{"the mark and more", "[DONE] not", ""},
		{"blanks before", "  [DONE]", ""},
		{"a line", "a\n[DONE]\nb", "data: a\ndata: b\n\n"},
		{"other line ends", "a\r\t[DONE]\r\nb", "data: a\ndata: b\n\n"},
		{"a frame", "a\n\ndata: [DONE]\n\n", "data: a\ndata: \ndata: data: [DONE]\ndata: \ndata: \n\n"},
		{"within a line", "it is [DONE]", "data: it is [DONE]\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, string(relay.SSE{}.Chunk(nil, []byte(tt.chunk))))
			if tt.want == "" {
				require.Empty(t, relay.SSE{}.TaggedChunk(nil, 3, []byte(tt.chunk)))
				return
			}
			require.Equal(t, "event: 3\n"+tt.want, string(relay.SSE{}.TaggedChunk(nil, 3, []byte(tt.chunk))))
		})
	}
}

func TestSSECarriesAnOpenAIStreamThrough(t *testing.T) {
	t.Parallel()
	stream := events(`{"choices":[{"delta":{"role":"assistant"}}]}`, `{"choices":[{"delta":{"content":"Li\nma"}}]}`, "[DONE]")
	var out []byte
	require.NoError(t, relay.Forward(strings.NewReader(stream), func(chunk []byte) error {
		out = relay.SSE{}.Chunk(out, chunk)
		return nil
	}))
	require.Equal(t, stream, string(relay.SSE{}.Done(out)))
}

func TestTaggedRawChunks(t *testing.T) {
	t.Parallel()
	wire := relay.Raw{}
	buf := wire.TaggedChunk(nil, 0, []byte("Li\nma"))
	buf = wire.TaggedChunk(buf, 7, []byte("\xe2\x82"))
	buf = wire.MinerDone(buf, 7, relay.TimedOut)
	require.Equal(t, []string{
		`{"uid":0,"chunk":"Li\nma"}`, `{"uid":7,"base64":"4oI="}`, `{"uid":7,"end":"timed out"}`, "",
	}, strings.Split(string(wire.Done(buf)), "\n"))
}

func TestFailuresOnTheWire(t *testing.T) {
	t.Parallel()
	for _, f := range []relay.Failure{relay.NoAnswer, relay.BrokenOff, relay.TooSlow} {
		buf, told := relay.SSE{}.Fail([]byte("x"), f)
		require.True(t, told)
		require.Equal(t, "x"+events(failure(f)), string(buf))
		require.ErrorIs(t, relay.Forward(bytes.NewReader(buf[1:]), nil), relay.ErrReported, "another relay understands it")
		buf, told = relay.Raw{}.Fail([]byte("x"), f)
		require.False(t, told)
		require.Equal(t, "x", string(buf))
	}
}

func TestHeaderOfAStream(t *testing.T) {
	t.Parallel()
	for _, wire := range []relay.Wire{relay.SSE{}, relay.Raw{}} {
		header := http.Header{"Cache-Control": {"private"}}
		wire.Header(header)
		require.Equal(t, http.Header{
			"Cache-Control": {"private"}, "Content-Type": {"text/event-stream"}, "X-Accel-Buffering": {"no"},
		}, header)
	}
}
