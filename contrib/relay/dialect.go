package relay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The objects of a stream, as far as a reader needs them. Nothing in them fails to be decoded: what
// has an unexpected type is taken for absent, since servers differ in what they leave out and what
// they fill with null.

type object struct {
	Object  lenientString   `json:"object"`
	Type    lenientString   `json:"type"`
	Message lenientString   `json:"message"`
	Msg     lenientString   `json:"msg"`
	Detail  json.RawMessage `json:"detail"`
	Error   json.RawMessage `json:"error"`
	Errors  json.RawMessage `json:"errors"`
	Choices []wireChoice    `json:"choices"`
	Usage   *wireUsage      `json:"usage"`
}

type wireChoice struct {
	Index   int             `json:"index"`
	Delta   *wireMessage    `json:"delta"`
	Message *wireMessage    `json:"message"`
	Text    lenientString   `json:"text"`
	Finish  finishReason    `json:"finish_reason"`
	Error   json.RawMessage `json:"error"`
	Usage   *wireUsage      `json:"usage"`
}

type wireMessage struct {
	Role    lenientString `json:"role"`
	Content parts         `json:"content"`
	Refusal joinedParts   `json:"refusal"`

	// The names of reasoning. Some servers send the same text under several of them.
	ReasoningContent joinedParts `json:"reasoning_content"`
	Reasoning        joinedParts `json:"reasoning"`
	Thinking         joinedParts `json:"thinking"`
	ReasoningText    joinedParts `json:"reasoning_text"`
	ReasoningDetails joinedParts `json:"reasoning_details"`
	ThinkingBlocks   joinedParts `json:"thinking_blocks"`

	ToolCalls    []wireToolCall `json:"tool_calls"`
	FunctionCall *wireFunction  `json:"function_call"`
}

type wireToolCall struct {
	Index    *int          `json:"index"`
	ID       lenientString `json:"id"`
	Function wireFunction  `json:"function"`
}

type wireFunction struct {
	Name      lenientString `json:"name"`
	Arguments arguments     `json:"arguments"`
}

type wireUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func (u *wireUsage) usage() *Usage {
	if u == nil || *u == (wireUsage{}) {
		return nil
	}
	return new(Usage(*u))
}

// choice returns the choice with index 0; without one, an empty choice.
func (o *object) choice() wireChoice {
	for _, c := range o.Choices {
		if c.Index == 0 {
			return c
		}
	}
	return wireChoice{}
}

// isCompletion reports whether the object says that it is one.
func (o *object) isCompletion() bool {
	return strings.Contains(string(o.Object), "completion") || o.Usage != nil
}

// reportsError reports whether the object is, or has, an error.
func (o *object) reportsError() bool {
	switch {
	case isError(o.Error), isError(o.Errors), o.Object == "error", o.Type == "error":
		return true
	case len(o.Choices) > 0:
		return false
	default:
		return !o.isCompletion() && (o.Message != "" || o.Msg != "" || isError(o.Detail))
	}
}

// reportsError reports whether the choice ended with an error.
func (c *wireChoice) reportsError() bool { return isError(c.Error) || c.Finish == "error" }

// isError reports whether the value of an error field says anything.
func isError(value json.RawMessage) bool {
	switch string(bytes.TrimSpace(value)) {
	case "", "null", "false", `""`, "0", "{}", "[]":
		return false
	default:
		return true
	}
}

// text is what a user reads of the message.
func (m *wireMessage) text() string { return m.Content.text + string(m.Refusal) }

// reasoning is the reasoning of the message.
func (m *wireMessage) reasoning() string {
	reasoning := cmp.Or(m.ReasoningContent, m.Reasoning, m.Thinking, m.ReasoningText,
		m.ReasoningDetails, m.ThinkingBlocks)
	return m.Content.reasoning + string(reasoning)
}

// lenientString is a string, or empty.
type lenientString string

// UnmarshalJSON takes a string and leaves anything else out.
func (s *lenientString) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*s = lenientString(decodeString(data))
	}
	return nil
}

// finishReason is why a model ended, or empty.
type finishReason string

// UnmarshalJSON takes a string and leaves anything else out, the string "null" too.
func (f *finishReason) UnmarshalJSON(data []byte) error {
	if data[0] != '"' {
		return nil
	}
	if reason := decodeString(data); reason != "null" {
		*f = finishReason(reason)
	}
	return nil
}

// arguments are those of a function: JSON in a string, or as it is.
type arguments string

// UnmarshalJSON takes any value.
func (a *arguments) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case '"':
		*a = arguments(decodeString(data))
	case 'n': // null
	default:
		var compact bytes.Buffer
		_ = json.Compact(&compact, data) // it is valid
		*a = arguments(compact.String())
	}
	return nil
}

// decodeString decodes a JSON string.
func decodeString(data []byte) string {
	if inner := data[1 : len(data)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var text string
	_ = json.Unmarshal(data, &text) // it is valid, and a string
	return text
}

// parts are the text of a string, of an object with text, or of a list of these. Those that are
// typed as reasoning are kept separate.
type parts struct {
	text, reasoning string

	// Servers that split text into units of UTF-16 send the halves of a character in two strings.
	// In the text such a half is U+FFFD.
	low  rune // the second half of a character, with which the text begins
	high rune // the first half of a character, with which it ends
}

// UnmarshalJSON takes any value.
func (p *parts) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case '"':
		p.text = decodeString(data)
		p.low, p.high = halves(data[1 : len(data)-1])
	case '{', '[':
		var value any
		_ = json.Unmarshal(data, &value) // it is valid
		var text, reasoning strings.Builder
		collectText(value, &text, &reasoning)
		p.text, p.reasoning = text.String(), reasoning.String()
	}
	return nil
}

// halves returns the halves of characters with which a JSON string begins and ends, or 0.
func halves(inner []byte) (low, high rune) {
	const escape = len(`\u0000`)
	if len(inner) < escape || bytes.IndexByte(inner, '\\') < 0 {
		return 0, 0
	}
	if r := escaped(inner[:escape]); r >= 0xdc00 && r <= 0xdfff {
		low = r
	}
	before, last := inner[:len(inner)-escape], inner[len(inner)-escape:]
	slashes := len(before) - len(bytes.TrimRight(before, `\`))
	if r := escaped(last); r >= 0xd800 && r <= 0xdbff && slashes%2 == 0 {
		high = r
	}
	return low, high
}

// escaped returns the unit of UTF-16 that a JSON escape stands for, or 0.
func escaped(text []byte) rune {
	digits, found := bytes.CutPrefix(text, []byte(`\u`))
	unit, err := strconv.ParseUint(string(digits), 16, 16)
	if !found || err != nil {
		return 0
	}
	return rune(unit)
}

// joinedParts are parts whose type does not matter.
type joinedParts string

// UnmarshalJSON takes any value.
func (j *joinedParts) UnmarshalJSON(data []byte) error {
	var p parts
	err := p.UnmarshalJSON(data)
	*j = joinedParts(p.text + p.reasoning)
	return err
}

// collectText writes the text in a value, in order, to where it belongs.
func collectText(value any, text, reasoning *strings.Builder) {
	switch value := value.(type) {
	case string:
		text.WriteString(value)
	case []any:
		for _, element := range value {
			collectText(element, text, reasoning)
		}
	case map[string]any:
		kind, _ := value["type"].(string)
		if strings.Contains(kind, "thinking") || strings.Contains(kind, "reasoning") {
			text = reasoning
		}
		for _, name := range []string{"reasoning_content", "reasoning", "thinking"} {
			collectText(value[name], reasoning, reasoning)
		}
		if kind == "" || text == reasoning || strings.Contains(kind, "text") || kind == "refusal" {
			for _, name := range []string{"text", "content", "summary", "refusal", "value"} {
				collectText(value[name], text, reasoning)
			}
		}
	}
}

// callIndex numbers the tool calls of an answer. Servers number them from 0, give all of them the
// same number, or none.
type callIndex struct {
	byNumber map[int]int // the newest call with the server's number
	byID     map[string]int
	known    []knownCall
}

// knownCall is what has been emitted of a call.
type knownCall struct{ id, name bool }

// pieces returns the pieces of tool calls in a message.
func (x *callIndex) pieces(message *wireMessage) []ToolCall {
	var list []ToolCall
	for _, call := range message.ToolCalls {
		list = append(list, x.piece(call))
	}
	if f := message.FunctionCall; f != nil {
		list = append(list, x.piece(wireToolCall{Index: new(int), Function: *f}))
	}
	return list
}

// piece returns what a server's piece adds to its call. Some servers repeat ID and name.
func (x *callIndex) piece(call wireToolCall) ToolCall {
	piece := ToolCall{Index: x.of(call), Arguments: string(call.Function.Arguments)}
	known := &x.known[piece.Index]
	if !known.id {
		piece.ID, known.id = string(call.ID), call.ID != ""
	}
	if !known.name {
		piece.Name, known.name = string(call.Function.Name), call.Function.Name != ""
	}
	return piece
}

// of returns the number of the call that a piece belongs to. A piece begins a call if its number is
// new, or if it has a name and an ID that is new.
func (x *callIndex) of(call wireToolCall) int {
	at, known := x.byID[string(call.ID)]
	if known {
		return at
	}
	at = len(x.known) - 1
	begins := at < 0 || call.Function.Name != ""
	if call.Index != nil {
		at, known = x.byNumber[*call.Index]
		begins = !known || call.Function.Name != "" && call.ID != ""
	}
	if begins {
		at = len(x.known)
		x.known = append(x.known, knownCall{})
	}
	if x.byNumber == nil {
		x.byNumber, x.byID = make(map[int]int), make(map[string]int)
	}
	if call.Index != nil {
		x.byNumber[*call.Index] = at
	}
	if call.ID != "" {
		x.byID[string(call.ID)] = at
	}
	return at
}
