package relay

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
)

// Chunk is one piece of an answer. Most chunks have Text alone; the other fields are optional.
// All text is the miner's, also that in Role and Finish. Printed through fmt, zap or slog a chunk
// shows its size and time only. It is a plain value; ToolCalls and Usage must not be changed.
type Chunk struct {
	// Text is what the chunk adds to the text that a user reads.
	Text string `json:"text,omitempty"`
	// Reasoning is what the chunk adds to the reasoning that some models give before their text.
	Reasoning string `json:"reasoning,omitempty"`
	// ToolCalls are pieces of calls that the model asks for.
	ToolCalls []ToolCall `json:"toolCalls,omitempty"`
	// Role is who speaks, "assistant" as a rule. It stands in the first chunk, if at all.
	Role string `json:"role,omitempty"`
	// Finish is why the model ended its answer, such as "stop", "length" or "tool_calls". An answer
	// with a Finish has its end: it is complete 2 s later at the latest.
	Finish string `json:"finish,omitempty"`
	// Usage is how many tokens the miner claims to have used, nil in all but one chunk.
	Usage *Usage `json:"usage,omitempty"`
	// At is when the miner emitted the chunk, since the query began. The relay sets it.
	At time.Duration `json:"at"`
}

// ToolCall is a call that a model asks for, or a piece of one. In a [Chunk], the pieces with the
// same Index make one call: ID and Name stand in the first piece, and the Arguments of all pieces
// are joined. Printed through fmt, zap or slog it shows its size only. It is a plain value.
type ToolCall struct {
	Index     int    `json:"index"` // which call of the answer, from 0
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"` // JSON, if the model keeps to it
}

// Usage is how many tokens a miner claims to have used. It is a plain value.
type Usage struct {
	PromptTokens     int `json:"promptTokens"`
	CompletionTokens int `json:"completionTokens"`
	TotalTokens      int `json:"totalTokens"`
}

// HasText reports whether a reader can see anything of the chunk's Text. White space, control
// characters, invisible characters such as zero-width spaces, and combining marks alone are not
// seen.
func (c Chunk) HasText() bool { return strings.IndexFunc(c.Text, visible) >= 0 }

// HasReasoning reports whether a reader can see anything of the chunk's Reasoning.
func (c Chunk) HasReasoning() bool { return strings.IndexFunc(c.Reasoning, visible) >= 0 }

// HasToolCall reports whether a tool call begins in the chunk: one of its pieces has a Name.
func (c Chunk) HasToolCall() bool {
	for _, call := range c.ToolCalls {
		if call.Name != "" {
			return true
		}
	}
	return false
}

// hasContent reports whether the chunk shows that its miner answers.
func (c Chunk) hasContent() bool { return c.HasText() || c.HasReasoning() || c.HasToolCall() }

// empty reports whether the chunk says nothing at all.
func (c Chunk) empty() bool {
	return c.Text == "" && c.Reasoning == "" && len(c.ToolCalls) == 0 && c.Role == "" &&
		c.Finish == "" && c.Usage == nil
}

// toolCallOverhead is about what a piece of a tool call takes beside its text, in bytes.
const toolCallOverhead = 64

// size is how many bytes the chunk has, as far as its miner determines them.
func (c Chunk) size() int {
	size := len(c.Text) + len(c.Reasoning) + len(c.Role) + len(c.Finish)
	for _, call := range c.ToolCalls {
		size += len(call.ID) + len(call.Name) + len(call.Arguments) + toolCallOverhead
	}
	return size
}

// String gives the chunk's size and time.
func (c Chunk) String() string { return fmt.Sprintf("chunk of %d bytes at %v", c.size(), c.At) }

// Format writes the chunk without its text, whatever the verb.
func (c Chunk) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue gives slog the chunk without its text.
func (c Chunk) LogValue() slog.Value { return slog.StringValue(c.String()) }

// String gives the size of the call's arguments.
func (t ToolCall) String() string {
	return fmt.Sprintf("tool call %d with %d bytes of arguments", t.Index, len(t.Arguments))
}

// Format writes the call without its text, whatever the verb.
func (t ToolCall) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue gives slog the call without its text.
func (t ToolCall) LogValue() slog.Value { return slog.StringValue(t.String()) }

// brailleBlank is a symbol to Unicode and a blank to a reader.
const brailleBlank = '\u2800'

// visible reports whether a reader sees the character.
func visible(r rune) bool {
	switch {
	case r < unicode.MaxASCII:
		return r > ' '
	case r == unicode.ReplacementChar, r == brailleBlank:
		return false
	case unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector):
		return false
	default:
		return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S)
	}
}

// toolCalls joins the pieces of tool calls, in the order in which the calls begin.
type toolCalls struct {
	position map[int]int // by index
	calls    []ToolCall
	texts    []*strings.Builder // the arguments
}

func (t *toolCalls) add(piece ToolCall) {
	i, known := t.position[piece.Index]
	if !known {
		if t.position == nil {
			t.position = make(map[int]int)
		}
		i = len(t.calls)
		t.position[piece.Index] = i
		t.calls = append(t.calls, ToolCall{Index: piece.Index})
		t.texts = append(t.texts, new(strings.Builder))
	}
	call := &t.calls[i]
	if call.ID == "" {
		call.ID = piece.ID
	}
	if call.Name == "" {
		call.Name = piece.Name
	}
	_, _ = t.texts[i].WriteString(piece.Arguments)
}

// joined returns the whole calls.
func (t *toolCalls) joined() []ToolCall {
	for i := range t.calls {
		t.calls[i].Arguments = t.texts[i].String()
	}
	return t.calls
}
