package relay

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/organic-scoring/organic"
)

// Wire is the form in which a stream goes to the requester: [SSE], [PlainText], or one of your own.
// Its methods must be safe for concurrent use: one Wire serves many streams.
type Wire interface {
	// Header sets the fields of the answer's header, before its first byte.
	Header(header http.Header)
	// Open returns the encoder of one stream.
	Open(start Start) Encoder
}

// Start is what an encoder knows of its stream. It is a plain value.
type Start struct {
	ID   string    // Query.ID, or a random text if that is empty
	Time time.Time // when the query began
	All  bool      // whether the view is All, so that chunks are those of several miners
}

// Encoder writes one stream. Its methods append to a buffer and return it. They are called one at a
// time and must not keep the buffer.
type Encoder interface {
	// Chunk appends one chunk of a miner's answer. A chunk for which it appends nothing counts as
	// not given: a stream of no others has no answer.
	Chunk(buf []byte, uid organic.UID, chunk Chunk) []byte
	// MinerDone appends that a miner's answer has ended, and how. It is called in the view All.
	MinerDone(buf []byte, uid organic.UID, ending Ending) []byte
	// Done appends what ends a stream that has given all there was.
	Done(buf []byte) []byte
	// Fail appends what ends a stream that failed. False means that the form has no words for it:
	// Serve then returns an error, at which the axon answers with a status or breaks the
	// connection.
	Fail(buf []byte, failure Failure) ([]byte, bool)
	// KeepAlive appends what a requester reads over, while there is nothing else to write (see
	// WithKeepAlive), or nothing if the form has no such thing.
	KeepAlive(buf []byte) []byte
}

// PlainText writes the text of the chunks as it is, and nothing of their structure, for clients
// that make their own sense of the bytes, as those of the older Bittensor SDKs do. It has no words
// for a failure: if nothing is out the requester gets a status, later the connection must be
// broken, which an axon does when the entry hook returns the error of Serve.
//
// In the view All each chunk with text is a line of JSON, {"uid", "text"}, and {"uid", "end"} says
// how an answer ended.
//
// PlainText is empty and safe for concurrent use.
type PlainText struct{}

var _ Wire = PlainText{}

// Header sets what [SSE] sets: clients of the SDK expect that content type.
func (PlainText) Header(header http.Header) { streamHeader(header) }

// Open returns the encoder of one stream.
func (PlainText) Open(start Start) Encoder {
	if start.All {
		return textLines{}
	}
	return plainText{}
}

// plainText has the text of one answer.
type plainText struct{}

// Chunk appends the text.
func (plainText) Chunk(buf []byte, _ organic.UID, chunk Chunk) []byte {
	return append(buf, chunk.Text...)
}

// MinerDone appends nothing.
func (plainText) MinerDone(buf []byte, _ organic.UID, _ Ending) []byte { return buf }

// Done appends nothing: the end of the body is the end.
func (plainText) Done(buf []byte) []byte { return buf }

// Fail appends nothing and reports so.
func (plainText) Fail(buf []byte, _ Failure) ([]byte, bool) { return buf, false }

// KeepAlive appends nothing.
func (plainText) KeepAlive(buf []byte) []byte { return buf }

// textLines has the texts of several answers as lines of JSON.
type textLines struct{ plainText }

// taggedLine is one line of textLines, and the data of an event that ends an answer.
type taggedLine struct {
	UID  organic.UID `json:"uid"`
	Text string      `json:"text,omitempty"`
	End  string      `json:"end,omitempty"`
}

// Chunk appends a line.
func (textLines) Chunk(buf []byte, uid organic.UID, chunk Chunk) []byte {
	if chunk.Text == "" {
		return buf
	}
	return appendLine(buf, taggedLine{UID: uid, Text: chunk.Text})
}

// MinerDone appends a line.
func (textLines) MinerDone(buf []byte, uid organic.UID, ending Ending) []byte {
	return appendLine(buf, taggedLine{UID: uid, End: ending.String()})
}

// KeepAlive appends a blank, which JSON allows between two values.
func (textLines) KeepAlive(buf []byte) []byte { return append(buf, '\n') }

func appendLine(buf []byte, line taggedLine) []byte {
	return append(append(buf, marshal(line)...), '\n')
}

// marshal encodes what cannot fail to be encoded.
func marshal(value any) []byte {
	data, _ := json.Marshal(value)
	return data
}

// streamHeader sets the content type and forbids caches and proxies to hold the stream back, where
// nothing else is set yet.
func streamHeader(header http.Header) {
	for _, field := range [...][2]string{
		{"Content-Type", "text/event-stream"},
		{"Cache-Control", "no-cache"},
		{"X-Accel-Buffering", "no"},
	} {
		if header.Get(field[0]) == "" {
			header.Set(field[0], field[1])
		}
	}
}
