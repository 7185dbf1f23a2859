package relay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"github.com/organic-scoring/organic"
)

// SSE writes a stream as OpenAI's chat completions do, for the clients of that API:
//
//	data: {"id":"chatcmpl-…","object":"chat.completion.chunk",…,"delta":{"role":"assistant",…}…}
//
//	data: {…"choices":[{"index":0,"delta":{"content":"Lima"},"finish_reason":null}]}
//
//	data: {…"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}
//
//	data: [DONE]
//
// Reasoning goes out as delta.reasoning_content. The reason of the end is the miner's; if it gave
// none it is "tool_calls" after a tool call, and else "stop". A failure is the event {"error":
// {"message", "type", "param", "code"}} in place of the last two. In the view All the name of an
// event is the miner's UID, and {"uid", "end"} under the name "end" says how its answer ended.
//
// SSE is a plain value and safe for concurrent use.
type SSE struct {
	// Model is what the chunks name as the model: as a rule, what the request names. Empty means
	// "organic".
	Model string
	// Usage adds what the miner claims to have used, as an event without choices before the end, if
	// the miner claims anything. Set it if the request has stream_options.include_usage: clients
	// that did not ask for that event do not expect it.
	Usage bool
}

var _ Wire = SSE{}

// Header sets the content type and forbids caches and proxies to hold the stream back, where
// nothing else is set yet.
func (SSE) Header(header http.Header) { streamHeader(header) }

// Open returns the encoder of one stream.
func (s SSE) Open(start Start) Encoder {
	model := cmp.Or(s.Model, "organic")
	e := &sseEncoder{all: start.All, usage: s.Usage}
	head := marshal(completion{
		"chatcmpl-" + start.ID, "chat.completion.chunk", start.Time.Unix(), model,
	})
	e.head = slices.Concat(head[:len(head)-1], []byte(`,"choices":[`))
	e.encoder = json.NewEncoder(&e.data)
	e.encoder.SetEscapeHTML(false)
	return e
}

// completion is what the data of all events of a stream begin with.
type completion struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
}

type delta struct {
	Role      string     `json:"role,omitempty"`
	Content   *string    `json:"content,omitempty"`
	Reasoning string     `json:"reasoning_content,omitempty"`
	ToolCalls []toolCall `json:"tool_calls,omitempty"`
}

type toolCall struct {
	Index    int      `json:"index"`
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type,omitempty"`
	Function function `json:"function"`
}

type function struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// sseEncoder writes one stream.
type sseEncoder struct {
	all     bool
	usage   bool
	head    []byte // of the data of an event, up to its choices
	data    bytes.Buffer
	encoder *json.Encoder

	begun bool // whether the role is out

	// Of the one answer, for its end.
	uid     organic.UID
	called  bool
	finish  string
	claimed *Usage
}

// Chunk appends an event, if the chunk has anything to read: a role goes out with the first text,
// and the reason of the end and the usage with the end.
func (e *sseEncoder) Chunk(buf []byte, uid organic.UID, chunk Chunk) []byte {
	if uid != e.uid { // after a failover
		e.uid, e.called, e.finish, e.claimed = uid, false, "", nil
	}
	if chunk.Finish != "" {
		e.finish = chunk.Finish
	}
	if chunk.Usage != nil {
		e.claimed = chunk.Usage
	}
	d := delta{Reasoning: chunk.Reasoning, ToolCalls: e.toolCalls(chunk.ToolCalls)}
	if text := chunk.Text; text != "" {
		d.Content = &text
	}
	if d.Content == nil && d.Reasoning == "" && d.ToolCalls == nil {
		return buf
	}
	name := ""
	if e.all {
		name = strconv.Itoa(int(uid))
	} else if !e.begun {
		e.begun = true
		buf = e.event(buf, name, delta{Role: "assistant", Content: new(string)}, "null")
	}
	return e.event(buf, name, d, "null")
}

func (e *sseEncoder) toolCalls(calls []ToolCall) []toolCall {
	var list []toolCall
	for _, call := range calls {
		e.called = true
		entry := toolCall{
			Index: call.Index, ID: call.ID,
			Function: function{Name: call.Name, Arguments: call.Arguments},
		}
		if call.Name != "" {
			entry.Type = "function"
		}
		list = append(list, entry)
	}
	return list
}

// MinerDone appends an event of the name "end".
func (e *sseEncoder) MinerDone(buf []byte, uid organic.UID, ending Ending) []byte {
	data := marshal(taggedLine{UID: uid, End: ending.String()})
	return AppendEvent(buf, Event{Name: "end", Data: data})
}

// Done appends the reason of the end, the usage if it is wanted, and [DONE].
func (e *sseEncoder) Done(buf []byte) []byte {
	if !e.all {
		finish := cmp.Or(e.finish, "stop")
		if e.finish == "" && e.called {
			finish = "tool_calls"
		}
		buf = e.event(buf, "", delta{}, string(marshal(finish)))
		if e.usage && e.claimed != nil {
			buf = e.encode(buf, "", (*usage)(e.claimed), `],"usage":`, "}")
		}
	}
	return AppendEvent(buf, Event{Data: doneMark})
}

// Fail appends an error as OpenAI's clients know it.
func (e *sseEncoder) Fail(buf []byte, failure Failure) ([]byte, bool) {
	type reason struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	}
	data := marshal(map[string]reason{
		"error": {Message: failure.String(), Type: "relay_error", Code: failure.Code()},
	})
	return AppendEvent(buf, Event{Data: data}), true
}

// KeepAlive appends a comment, which is no event.
func (e *sseEncoder) KeepAlive(buf []byte) []byte { return append(buf, ":\n\n"...) }

// event appends the event of one delta. Finish is JSON.
func (e *sseEncoder) event(buf []byte, name string, d delta, finish string) []byte {
	return e.encode(buf, name, d, `{"index":0,"delta":`, `,"finish_reason":`, finish, `}]}`)
}

// encode appends an event whose data are the head, before, the value as JSON, and after.
func (e *sseEncoder) encode(
	buf []byte, name string, value any, before string, after ...string,
) []byte {
	e.data.Reset()
	e.data.Write(e.head)
	e.data.WriteString(before)
	_ = e.encoder.Encode(value)       // cannot fail: strings and numbers, into memory
	e.data.Truncate(e.data.Len() - 1) // a line feed
	for _, text := range after {
		e.data.WriteString(text)
	}
	buf = AppendEvent(buf, Event{Name: name, Data: e.data.Bytes()})
	if e.data.Cap() > maxEncoderBuffer {
		e.data = bytes.Buffer{}
	}
	return buf
}

// maxEncoderBuffer is how many bytes an encoder keeps for its next event.
const maxEncoderBuffer = 64 << 10
