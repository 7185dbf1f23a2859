package relay

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/organic-scoring/organic"
)

// Wire is the form in which a stream goes to the requester: [SSE], [Raw], or
// one of your own. Its methods append to a buffer and return it; they must be
// safe for concurrent use, must not keep what they are given, and have no
// state: one Wire serves many streams.
type Wire interface {
	// Header sets the fields of the answer's header, before its first byte.
	Header(header http.Header)
	// Chunk appends one chunk of the one answer that the requester sees. A
	// chunk for which it appends nothing counts as not given: a stream of no
	// others has no answer.
	Chunk(buf, chunk []byte) []byte
	// Done appends what ends a stream that has given all there was.
	Done(buf []byte) []byte
	// Fail appends what ends a stream that failed. False means that the wire
	// has no words for it: Serve then returns an error, at which the axon
	// answers with a status or breaks the connection.
	Fail(buf []byte, failure Failure) ([]byte, bool)
}

// TaggedWire is a Wire that can say whose chunk it is, which the view [All]
// needs. The rules for Wire hold for it too.
type TaggedWire interface {
	Wire
	// TaggedChunk appends one chunk of a miner's answer.
	TaggedChunk(buf []byte, uid organic.UID, chunk []byte) []byte
	// MinerDone appends that a miner's answer has ended, and how.
	MinerDone(buf []byte, uid organic.UID, ending Ending) []byte
}

// KeepAliveWire is a Wire that has something to say while there is nothing to
// tell, which WithKeepAlive needs. The rules for Wire hold for it too.
type KeepAliveWire interface {
	Wire
	// KeepAlive appends what a requester reads over.
	KeepAlive(buf []byte) []byte
}

// SSE writes each chunk as the data of one event, as OpenAI-style clients read
// it:
//
//	data: <chunk>
//
//	data: [DONE]
//
// A failure is the event {"error": {"message", "type", "code"}} instead of
// [DONE]. The end is the relay's to tell: lines of a chunk that begin with
// [DONE] are left out. In the view All the name of an event is the miner's
// UID, and {"uid", "end"} under the name "end" says how its answer ended.
//
// A miner's chunk of the form {"error": …} goes out as any other, and to the
// requester of one answer looks like a failure that the relay tells. Miner
// functions that do not use [Forward], which makes an error of it, should do so
// themselves.
//
// A chunk should be text. Line ends in it become "\n". SSE is empty and safe
// for concurrent use.
type SSE struct{}

var (
	_ TaggedWire    = SSE{}
	_ KeepAliveWire = SSE{}
)

// Header sets the content type and forbids caches and proxies to hold the
// stream back, where nothing else is set yet.
func (SSE) Header(header http.Header) { streamHeader(header) }

// Chunk appends an event without a name.
func (SSE) Chunk(buf, chunk []byte) []byte { return appendChunk(buf, "", chunk) }

// TaggedChunk appends an event whose name is the UID.
func (SSE) TaggedChunk(buf []byte, uid organic.UID, chunk []byte) []byte {
	return appendChunk(buf, strconv.Itoa(int(uid)), chunk)
}

// MinerDone appends an event of the name "end".
func (SSE) MinerDone(buf []byte, uid organic.UID, ending Ending) []byte {
	return AppendEvent(buf, Event{Name: "end", Data: marshal(taggedLine{UID: uid, End: ending.String()})})
}

// KeepAlive appends a comment, which is no event.
func (SSE) KeepAlive(buf []byte) []byte { return append(buf, ":\n\n"...) }

// Done appends the event [DONE].
func (SSE) Done(buf []byte) []byte { return AppendEvent(buf, Event{Data: doneMark}) }

// Fail appends an error as OpenAI-style clients know it.
func (SSE) Fail(buf []byte, failure Failure) ([]byte, bool) {
	type reason struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    string `json:"code"`
	}
	data := marshal(map[string]reason{"error": {failure.String(), "relay_error", failure.Code()}})
	return AppendEvent(buf, Event{Data: data}), true
}

func appendChunk(buf []byte, name string, chunk []byte) []byte {
	if chunk = withoutDone(chunk); chunk == nil {
		return buf
	}
	return AppendEvent(buf, Event{Name: name, Data: chunk})
}

// withoutDone leaves out the lines that begin with [DONE]. Without any other
// line it returns nil.
func withoutDone(chunk []byte) []byte {
	if !bytes.Contains(chunk, doneMark) {
		return chunk
	}
	var kept [][]byte
	for rest, more := chunk, true; more; {
		var line []byte
		line, rest, more = cutLine(rest)
		if !bytes.HasPrefix(bytes.TrimSpace(line), doneMark) {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return bytes.Join(kept, []byte("\n"))
}

// Raw writes the chunks as they are, for clients that make their own sense of
// the bytes, as those of the Bittensor SDK do. It has no words for a failure:
// with nothing out the requester gets a status, later the connection must be
// broken, which an axon does when the entry hook returns the error of Serve.
//
// In the view All each chunk is a line of JSON, {"uid", "chunk"}, or {"uid",
// "base64"} where it is no UTF-8, and {"uid", "end"} says how an answer ended.
//
// Raw is empty and safe for concurrent use.
type Raw struct{}

var _ TaggedWire = Raw{}

// Header sets what [SSE] sets: clients of the SDK expect that content type.
func (Raw) Header(header http.Header) { streamHeader(header) }

// Chunk appends the chunk.
func (Raw) Chunk(buf, chunk []byte) []byte { return append(buf, chunk...) }

// TaggedChunk appends a line of JSON.
func (Raw) TaggedChunk(buf []byte, uid organic.UID, chunk []byte) []byte {
	line := taggedLine{UID: uid, Base64: chunk}
	if utf8.Valid(chunk) {
		line = taggedLine{UID: uid, Chunk: string(chunk)}
	}
	return append(append(buf, marshal(line)...), '\n')
}

// MinerDone appends a line of JSON.
func (Raw) MinerDone(buf []byte, uid organic.UID, ending Ending) []byte {
	return append(append(buf, marshal(taggedLine{UID: uid, End: ending.String()})...), '\n')
}

// Done appends nothing: the end of the body is the end.
func (Raw) Done(buf []byte) []byte { return buf }

// Fail appends nothing and says so.
func (Raw) Fail(buf []byte, _ Failure) ([]byte, bool) { return buf, false }

type taggedLine struct {
	UID    organic.UID `json:"uid"`
	Chunk  string      `json:"chunk,omitempty"`
	Base64 []byte      `json:"base64,omitempty"`
	End    string      `json:"end,omitempty"`
}

// marshal encodes what cannot fail to be encoded.
func marshal(value any) []byte {
	data, _ := json.Marshal(value)
	return data
}

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
