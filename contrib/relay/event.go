package relay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Why no library reads and writes the events:
//
// The root module takes no further dependency, so the reader and writer here are small ones of its
// own. These were looked at in November 2026:
//
//   - github.com/tmaxmax/go-sse v0.12.0 is kept, has no dependencies and follows the standard: it
//     drops an event without a blank line at the end of the stream, which servers of language
//     models send. With a dependency to spend it is the one to take for other streams.
//   - github.com/r3labs/sse/v2 has had no release since January 2023.
//   - github.com/launchdarkly/eventsource v1.11.0 is made for connections that are opened again and
//     again.
//   - The reader in github.com/openai/openai-go/v3 v3.99.0 comes with the whole client and drops
//     the same event; lines that end with a carriage return alone are one line to it.
//   - That in github.com/sashabaranov/go-openai v1.43.0 comes with the whole client as well, and
//     knows neither names of events nor data in several lines.
//
// None gives access to what was read when the connection broke, which [OpenAI] needs to see that an
// answer had its end by then.

// Event is one event of an SSE stream (text/event-stream). Its data is other
// people's text: printed through fmt, zap or slog it shows the size alone. An
// Event is a plain value.
type Event struct {
	Name string // what the event field says; "" when there is none, which means "message"
	ID   string // what the id field said last, in this event or an earlier one
	Data []byte // the data fields, joined by "\n"
}

// String gives the size of the event's data.
func (e Event) String() string { return fmt.Sprintf("event of %d bytes", len(e.Data)) }

// Format writes the event without its text, whatever the verb.
func (e Event) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.String()) }

// LogValue gives slog the event without its text.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }

// AppendEvent appends an event as it is written to an SSE stream, and returns
// the extended buffer. What [EventReader] makes of it is the same event again,
// but for what SSE cannot carry: in Data a carriage return, alone or before
// a line feed, comes back as a line feed; in Name and ID line ends become
// blanks, and an ID that holds a zero byte is ignored.
func AppendEvent(buf []byte, e Event) []byte {
	if e.ID != "" {
		buf = appendField(buf, "id: ", e.ID)
	}
	if e.Name != "" {
		buf = appendField(buf, "event: ", e.Name)
	}
	for rest, more := e.Data, true; more; {
		var line []byte
		line, rest, more = cutLine(rest)
		buf = append(buf, "data: "...)
		buf = append(buf, line...)
		buf = append(buf, '\n')
	}
	return append(buf, '\n')
}

func appendField(buf []byte, field, value string) []byte {
	buf = append(buf, field...)
	for _, c := range []byte(value) {
		if c == '\r' || c == '\n' {
			c = ' '
		}
		buf = append(buf, c)
	}
	return append(buf, '\n')
}

// cutLine splits text round its first line end, which is "\n", "\r" or "\r\n".
// Without one, all of it is the last line.
func cutLine(text []byte) (line, rest []byte, more bool) {
	i := lineEnd(text)
	if i < 0 {
		return text, nil, false
	}
	line, rest = text[:i], text[i+1:]
	if text[i] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return line, rest, true
}

// lineEnd returns the index of the first line feed or carriage return, or -1.
func lineEnd(text []byte) int {
	feed := bytes.IndexByte(text, '\n')
	if feed >= 0 {
		text = text[:feed]
	}
	if carriage := bytes.IndexByte(text, '\r'); carriage >= 0 {
		return carriage
	}
	return feed
}

// firstRead is the size of an EventReader's first buffer, in bytes.
const firstRead = 4 << 10

var byteOrderMark = []byte("\ufeff")

// EventReader reads the events of an SSE stream, as miners and OpenAI-style
// servers send them: lines end with "\n", "\r\n" or "\r", however the reads
// split them; comments and unknown fields are skipped, and so is a byte order
// mark at the start. "[DONE]" is an event like any other; see [OpenAI].
//
// It differs from a browser in one thing. When the source ends with io.EOF,
// what stands there is an event even without the blank line that should end
// it, because servers forget that line; a source that breaks off, such as
// the body of a response whose connection was lost, returns another error,
// and then the event that was being read is dropped.
//
// An EventReader is not safe for concurrent use.
type EventReader struct {
	source  io.Reader
	limit   int
	buf     []byte // buf[:scanned] has been read and has no line end
	scanned int
	end     int // buf[:end] has been read
	skip    int // buf[:skip] is used up
	started bool
	afterCR bool // a line feed that comes next belongs to the line before
	err     error

	event   Event
	hasData bool
	tooLong bool

	doneAtOnce bool // whether [DONE] is an event as soon as its line is read
	unended    bool // whether the last event had no blank line, at the end of the source
}

// defaultMaxLine bounds a line and the data of an event, in bytes.
const defaultMaxLine = 1 << 20

// NewEventReader returns a reader of the events in source. No line and no
// event's data may be longer than limit bytes; a limit below 1 means 1 MiB.
func NewEventReader(source io.Reader, limit int) *EventReader {
	if limit < 1 {
		limit = defaultMaxLine
	}
	return &EventReader{source: source, limit: limit}
}

// Next returns the next event. Its data is valid until the next call. The
// error is io.EOF at the end, [ErrTooLong] when a limit is passed, or that of
// the source, and it is the same at every further call.
func (r *EventReader) Next() (Event, error) {
	r.event.Name, r.event.Data, r.hasData = "", r.event.Data[:0], false
	if r.tooLong {
		return Event{}, ErrTooLong
	}
	for {
		line, err := r.line()
		switch {
		case errors.Is(err, io.EOF) && r.hasData:
			r.unended = true
			return r.event, nil // the next call meets the end again
		case err != nil:
			return Event{}, err
		case len(line) > r.limit || !r.field(line):
			r.tooLong = true
			return Event{}, ErrTooLong
		case r.doneAtOnce && bytes.Equal(r.event.Data, doneMark):
			return r.event, nil
		case len(line) > 0:
		case r.hasData:
			return r.event, nil
		default:
			r.event.Name = "" // an event without data is none
		}
	}
}

// interrupted returns the event that was being read when the source broke off: its whole lines, or
// what there is of its first line.
func (r *EventReader) interrupted() (Event, bool) {
	if !r.hasData {
		r.field(r.unmarked(r.buf[r.skip:r.end]))
	}
	return r.event, r.hasData
}

// first returns the first byte of the stream that is no white space, without using it up.
func (r *EventReader) first() (byte, error) {
	for {
		text := bytes.TrimLeft(bytes.TrimPrefix(r.buf[r.skip:r.end], byteOrderMark), " \t\r\n")
		switch {
		case len(text) > 0 && !bytes.HasPrefix(byteOrderMark, text):
			return text[0], nil
		case r.err != nil:
			return 0, r.err
		case r.end-r.skip > r.limit:
			return 0, ErrTooLong
		}
		r.fill()
	}
}

// rest returns what has not been used up of the source.
func (r *EventReader) rest() io.Reader {
	read := bytes.NewReader(bytes.TrimPrefix(r.buf[r.skip:r.end], byteOrderMark))
	if r.err != nil {
		return io.MultiReader(read, brokenSource{r.err})
	}
	return io.MultiReader(read, r.source)
}

// brokenSource is a source of which nothing is left but its error.
type brokenSource struct{ err error }

func (b brokenSource) Read([]byte) (int, error) { return 0, b.err }

// field takes in one line of an event, unless that makes it too long. An empty
// line changes nothing.
func (r *EventReader) field(line []byte) bool {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		if r.hasData {
			r.event.Data = append(r.event.Data, '\n')
		}
		r.event.Data = append(r.event.Data, value...)
		r.hasData = true
	case "event":
		r.event.Name = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.event.ID = string(value)
		}
	}
	return len(r.event.Data) <= r.limit
}

// line returns the next line without its end, or as much of one as is more
// than the limit. It is valid until the next call.
func (r *EventReader) line() ([]byte, error) {
	for {
		line, ok := r.scan()
		switch {
		case ok:
			return r.unmarked(line), nil
		case r.end-r.skip-len(byteOrderMark) > r.limit:
			return r.buf[r.skip:r.end], nil // too long already
		case errors.Is(r.err, io.EOF) && r.end > r.skip:
			line, r.skip = r.buf[r.skip:r.end], r.end
			return r.unmarked(line), nil
		case r.err != nil:
			return nil, r.err
		}
		r.fill()
	}
}

// scan looks for a line's end in what has been read since it last looked.
func (r *EventReader) scan() ([]byte, bool) {
	if r.afterCR && r.skip < r.end {
		r.afterCR = false
		if r.buf[r.skip] == '\n' {
			r.skip++
		}
	}
	r.scanned = max(r.scanned, r.skip)
	i := lineEnd(r.buf[r.scanned:r.end])
	if i < 0 {
		r.scanned = r.end
		return nil, false
	}
	i += r.scanned
	line := r.buf[r.skip:i]
	r.afterCR = r.buf[i] == '\r'
	r.skip = i + 1
	return line, true
}

// unmarked takes a byte order mark off the first line.
func (r *EventReader) unmarked(line []byte) []byte {
	if r.started {
		return line
	}
	r.started = true
	return bytes.TrimPrefix(line, byteOrderMark)
}

// fill reads more, once, after growing the buffer for it. What it reads comes before
// the error that came with it.
func (r *EventReader) fill() {
	r.end = copy(r.buf, r.buf[r.skip:r.end])
	r.scanned -= r.skip
	r.skip = 0
	if r.end == len(r.buf) {
		grown := make([]byte, max(2*len(r.buf), firstRead))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		n, err := r.source.Read(r.buf[r.end:])
		r.end += n
		if n > 0 || err != nil {
			r.err = err
			return
		}
	}
	r.err = io.ErrNoProgress
}
