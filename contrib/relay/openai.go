package relay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
)

// ReadOption configures [OpenAI] and [Post].
type ReadOption interface {
	applyRead(cfg *readConfig) error
}

type readConfig struct{ maxLine int }

type readOptionFunc func(cfg *readConfig) error

func (f readOptionFunc) applyRead(cfg *readConfig) error { return f(cfg) }

// WithMaxLine sets how long a line of the stream and the data of an event may be, 1 MiB by default.
// A longer one ends the reading with [ErrTooLong]. A reader takes up to about three times as much
// memory.
func WithMaxLine(bytes int) ReadOption {
	return readOptionFunc(func(cfg *readConfig) error {
		cfg.maxLine = bytes
		if bytes < 1 {
			return invalid(fmt.Sprintf("WithMaxLine(%d)", bytes), "must be at least 1")
		}
		return nil
	})
}

// OpenAI reads the body of an answer with OpenAI's chat completions and emits its chunks as they
// come: it is the larger part of a [Miner] that asks over HTTP. What it reads:
//
//   - chunks of a chat and of the older completions, of the choice with index 0; content as a
//     string or as typed parts; reasoning under any of the names in use (reasoning_content,
//     reasoning, thinking, parts of the types thinking and reasoning, …), separate from the text;
//   - tool calls, also without index or with an index that repeats, and the older function_call;
//   - a refusal, which is text;
//   - a whole completion in place of a stream, and chunks as lines of JSON without "data:";
//   - events whose lines end in any way and are split in any way, comments, and events without a
//     blank line at the end of the stream.
//
// Nil means that the answer has its end: a finish_reason or [DONE]. What comes later, a broken
// connection included, does not change that. A stream that ends without either is an
// io.ErrUnexpectedEOF, since a whole answer and one that was cut differ in nothing else. One in
// which the miner reports an error is an [ErrReported]: an object with an error, an event of the
// name "error" whatever its data, the finish_reason "error", or a body that is JSON and no
// completion. Data that is no JSON is an [ErrMalformed]. An error of emit or of the body is
// returned as it is.
//
// Text that a model puts between marks such as <think> is text. OpenAI does not close the body.
// [Post] is a whole [Miner].
func OpenAI(body io.Reader, emit func(chunk Chunk) error, opts ...ReadOption) error {
	cfg, err := readOptions(opts)
	if err != nil {
		return err
	}
	return readOpenAI(body, emit, cfg)
}

func readOptions(opts []ReadOption) (readConfig, error) {
	cfg := readConfig{maxLine: defaultMaxLine}
	var errs []error
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid(fmt.Sprintf("option %d is nil", i+1), "must be an option"))
			continue
		}
		errs = append(errs, opt.applyRead(&cfg))
	}
	return cfg, errors.Join(errs...)
}

func readOpenAI(body io.Reader, emit func(chunk Chunk) error, cfg readConfig) error {
	events := NewEventReader(body, cfg.maxLine)
	events.doneAtOnce = true
	r := &openAIReader{emit: emit}
	first, err := events.first()
	switch {
	case err != nil:
		return r.ended(err)
	case first == '{' || first == '[' || first == '"':
		r.isJSON = true
		return r.readJSON(events.rest(), cfg.maxLine)
	default:
		return r.readEvents(events)
	}
}

// openAIReader makes chunks of the objects of one answer.
type openAIReader struct {
	emit     func(chunk Chunk) error
	isJSON   bool // whether the body is JSON and no stream of events
	answered bool // whether there was a part of a completion
	finished bool // whether there was a finish_reason
	named    bool // whether the role is known
	said     bool // whether there was a delta, or a message
	half     rune // the first half of a character, with which the text ended
	calls    callIndex
}

// errDone says that [DONE] was read.
var errDone = errors.New("relay: done")

func (r *openAIReader) readEvents(events *EventReader) error {
	for {
		event, err := events.Next()
		if err != nil {
			if broken, ok := events.interrupted(); ok && !errors.Is(err, ErrTooLong) {
				return r.interrupted(broken, err)
			}
			return r.ended(err)
		}
		switch err := r.event(event); {
		case errors.Is(err, errDone):
			return nil
		case errors.Is(err, ErrMalformed) && events.unended:
			return r.ended(io.EOF) // it was cut
		case err != nil:
			return err
		}
	}
}

// interrupted takes in what was read of an event when the body broke off.
func (r *openAIReader) interrupted(event Event, broken error) error {
	switch err := r.event(event); {
	case errors.Is(err, errDone):
		return nil
	case err == nil, errors.Is(err, ErrMalformed):
		return r.ended(broken)
	default:
		return err
	}
}

// ended is the outcome of an answer whose body has ended without [DONE].
func (r *openAIReader) ended(err error) error {
	switch {
	case r.finished:
		return nil
	case errors.Is(err, io.EOF):
		return fmt.Errorf("relay: the stream ended without an end of the answer: %w",
			io.ErrUnexpectedEOF)
	default:
		return err
	}
}

// event takes in one event.
func (r *openAIReader) event(event Event) error {
	data := bytes.TrimSpace(event.Data)
	for bytes.HasPrefix(data, dataField) { // some proxies put it twice
		data = bytes.TrimSpace(data[len(dataField):])
	}
	switch {
	case event.Name == "error":
		return r.reported()
	case bytes.EqualFold(bytes.Trim(data, `"`), doneMark):
		return errDone
	case len(data) == 0:
		return nil
	}
	err := r.value(data)
	if errors.Is(err, ErrMalformed) && event.Name != "" && event.Name != "message" {
		return nil // such as a ping
	}
	return err
}

var (
	doneMark  = []byte("[DONE]")
	dataField = []byte("data:")
)

// reported is what comes of an error that the miner reports. After the end of the answer it is
// nothing.
func (r *openAIReader) reported() error {
	if r.finished {
		return nil
	}
	return ErrReported
}

func (r *openAIReader) malformed() error {
	if r.finished {
		return nil
	}
	return ErrMalformed
}

// readJSON reads a body that is one JSON value or several.
func (r *openAIReader) readJSON(body io.Reader, limit int) error {
	bounded := &boundedReader{source: body, limit: limit}
	values := json.NewDecoder(bounded)
	for {
		var value json.RawMessage
		bounded.left = limit
		err := values.Decode(&value)
		_, syntax := errors.AsType[*json.SyntaxError](err)
		switch {
		case syntax && isDone(io.MultiReader(values.Buffered(), bounded)):
			return nil
		case syntax:
			return r.malformed()
		case errors.Is(err, io.EOF) && !r.answered:
			return r.reported() // JSON instead of an answer
		case errors.Is(err, io.ErrUnexpectedEOF):
			return r.ended(io.EOF)
		case err != nil:
			return r.ended(err)
		}
		if err := r.value(value); err != nil {
			return err
		}
	}
}

// isDone reports whether [DONE] is what follows.
func isDone(rest io.Reader) bool {
	var text [64]byte
	n, _ := io.ReadFull(rest, text[:])
	return bytes.HasPrefix(bytes.TrimSpace(text[:n]), doneMark)
}

// boundedReader reads so much until it is allowed more.
type boundedReader struct {
	source      io.Reader
	limit, left int
}

// Read returns ErrTooLong when nothing is left of what it may read.
func (b *boundedReader) Read(buf []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	n, err := b.source.Read(buf[:min(len(buf), b.left)])
	b.left -= n
	return n, err
}

// value takes in one JSON value: an object, or a list of them. Any other says nothing.
func (r *openAIReader) value(data []byte) error {
	switch {
	case crowded(data):
		return ErrTooLong
	case data[0] == '{':
		return r.object(data)
	case !json.Valid(data):
		return r.malformed()
	case data[0] != '[':
		return nil
	}
	var list []json.RawMessage
	_ = json.Unmarshal(data, &list) // it is valid, and a list
	for _, element := range list {
		if err := r.value(element); err != nil {
			return err
		}
	}
	return nil
}

// An event above largeEvent may have no more than maxTokens brackets and commas outside strings:
// decoded, each takes up to a hundred bytes.
const (
	largeEvent = 64 << 10
	maxTokens  = 16 << 10
)

// crowded reports whether decoding the data would take far more memory than they have bytes.
func crowded(data []byte) bool {
	if len(data) <= largeEvent {
		return false
	}
	tokens, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++ // what is escaped does not end the string
		case !inString && (c == '{' || c == '[' || c == ','):
			tokens++
		}
	}
	return tokens > maxTokens
}

// object takes in one object of the stream. What has another type than expected is left out.
func (r *openAIReader) object(data []byte) error {
	var o object
	err := json.Unmarshal(data, &o)
	if _, syntax := errors.AsType[*json.SyntaxError](err); syntax {
		return r.malformed()
	}
	chosen := o.choice()
	switch {
	case o.reportsError() || chosen.reportsError():
		return r.reported()
	case r.isJSON && len(o.Choices) == 0 && !o.isCompletion():
		return r.reported() // JSON instead of an answer
	}
	r.answered = true
	chunk := r.chunk(chosen)
	if chunk.Usage = o.Usage.usage(); chunk.Usage == nil {
		chunk.Usage = chosen.Usage.usage()
	}
	r.finished = r.finished || chunk.Finish != ""
	if chunk.empty() {
		return nil
	}
	return r.emit(chunk)
}

// chunk returns what a choice adds to the answer.
func (r *openAIReader) chunk(c wireChoice) Chunk {
	chunk := Chunk{Finish: string(c.Finish)}
	message := c.Delta
	if message == nil && !r.said {
		message = c.Message // a whole answer; in a stream, it repeats what has been said
		if message != nil && chunk.Finish == "" && r.isJSON {
			r.finished = true
		}
	}
	chunk.Text = string(c.Text)
	if message == nil {
		return chunk
	}
	r.said = true
	r.joinHalves(&message.Content)
	chunk.Text += message.text()
	chunk.Reasoning = message.reasoning()
	chunk.ToolCalls = r.calls.pieces(message)
	if message.Role != "" && !r.named {
		r.named = true
		chunk.Role = string(message.Role)
	}
	return chunk
}

// joinHalves puts a character together whose halves stand in two pieces of the text.
func (r *openAIReader) joinHalves(content *parts) {
	const half = len(string(unicode.ReplacementChar))
	switch {
	case r.half == 0 || content.text == "":
	case content.low != 0:
		content.text = string(utf16.DecodeRune(r.half, content.low)) + content.text[half:]
		r.half = 0
	default:
		content.text = string(unicode.ReplacementChar) + content.text
		r.half = 0
	}
	if content.high != 0 {
		content.text = content.text[:len(content.text)-half]
		r.half = content.high
	}
}
