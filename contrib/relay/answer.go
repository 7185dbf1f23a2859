package relay

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/organic-scoring/organic"
)

// Ending is how an answer ended.
type Ending uint8

// The endings. The zero Ending is none of them.
const (
	// Complete answers are those whose miner function returned nil in time. A
	// complete answer may have no chunks.
	Complete Ending = iota + 1
	// Failed answers ended with an error, a panic or runtime.Goexit of the
	// miner function, possibly after some chunks.
	Failed
	// TimedOut answers had begun when the time was over.
	TimedOut
	// Silent answers had no chunk when the time was over.
	Silent
	// NeverStarted means that the miner was not asked, since its turn had not
	// come (see WithParallel) when all was over. That is not the miner's fault.
	NeverStarted
	// CutOff answers had more bytes or chunks than WithMaxAnswer allows, which
	// is ErrTooLong, or came when WithMaxInFlight allowed no more, which is
	// ErrFull and not the miner's fault.
	CutOff
	// Cancelled answers were cut short by Close, by the requester's leaving
	// with Query.StopOnLeave, or because the ctx of Ask was cancelled. That is
	// not the miner's fault: they must not be scored as if the miner had ended
	// them. See [Result.Err].
	Cancelled
)

// endings are the names by which endings are printed, sent and stored.
var endings = [...]string{
	"not ended", Complete: "complete", Failed: "failed", TimedOut: "timed out", Silent: "silent",
	NeverStarted: "never started", CutOff: "cut off", Cancelled: "cancelled",
}

// String returns the ending in lower case.
func (e Ending) String() string {
	if int(e) < len(endings) {
		return endings[e]
	}
	return endings[0]
}

// MarshalText gives the ending's name, as String does, so that what is stored
// does not depend on the order of the endings. What is no ending is an error.
func (e Ending) MarshalText() ([]byte, error) {
	if int(e) >= len(endings) {
		return nil, fmt.Errorf("relay: no ending: %d", uint8(e))
	}
	return []byte(e.String()), nil
}

// UnmarshalText takes the names that MarshalText gives, and no others.
func (e *Ending) UnmarshalText(text []byte) error {
	for ending := Ending(0); int(ending) < len(endings); ending++ {
		if endings[ending] == string(text) {
			*e = ending
			return nil
		}
	}
	return errors.New("relay: unknown name of an ending")
}

// Chunk is a piece of an answer as the miner emitted it. Printed through fmt,
// zap or slog it shows its size alone. It is a plain value, whose text must
// not be changed.
type Chunk struct {
	Text []byte        `json:"text"` // never empty; base64 in JSON, since a chunk may end within a character
	At   time.Duration `json:"at"`   // when it was emitted, since the query began
}

// String gives the chunk's size and time.
func (c Chunk) String() string { return fmt.Sprintf("chunk of %d bytes at %v", len(c.Text), c.At) }

// Format writes the chunk without its text, whatever the verb.
func (c Chunk) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue gives slog the chunk without its text.
func (c Chunk) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Answer is what one miner answered, and when. All times count from the moment
// the query began (Result.Started), so that those of several miners compare.
//
// It serves as the response type of an organic.Hooks, and as a part of a
// sample's payload: encoding/json keeps all but Err. Printed through fmt, zap
// or slog it shows no text. An Answer may be copied; its chunks are shared
// and must not be changed.
type Answer struct {
	Chunks  []Chunk       `json:"chunks"` // not nil where a relay made it, so that JSON has [] for none
	Ending  Ending        `json:"ending"`
	Started time.Duration `json:"started"` // when the miner was asked
	Ended   time.Duration `json:"ended"`   // when it had ended, or was given up
	// Err is why an answer is not complete: what the miner function returned,
	// an *organic.PanicError, ErrTooLong, ErrFull, ErrLeft, ErrClosed, the cause
	// of Ask's ctx, or an error that is context.DeadlineExceeded. It is nil when
	// the answer is complete.
	Err error `json:"-"`
}

// spared tells whether neither the miner nor the time has ended the answer.
func (a Answer) spared() bool {
	switch a.Ending {
	case Cancelled:
		return true
	case NeverStarted:
		return !errors.Is(a.Err, errTimeOver)
	case CutOff:
		return errors.Is(a.Err, ErrFull)
	default:
		return false
	}
}

// FirstChunk returns when the first chunk came, and whether there was one.
func (a Answer) FirstChunk() (time.Duration, bool) {
	if len(a.Chunks) == 0 {
		return 0, false
	}
	return a.Chunks[0].At, true
}

// Size returns the number of bytes in all chunks.
func (a Answer) Size() int {
	size := 0
	for _, chunk := range a.Chunks {
		size += len(chunk.Text)
	}
	return size
}

// Text returns the chunks' text in one piece.
func (a Answer) Text() string {
	text := make([]byte, 0, a.Size())
	for _, chunk := range a.Chunks {
		text = append(text, chunk.Text...)
	}
	return string(text)
}

// String gives the answer's ending, size and time.
func (a Answer) String() string {
	return fmt.Sprintf("answer: %v after %v, %d chunks, %d bytes", a.Ending, a.Ended, len(a.Chunks), a.Size())
}

// Format writes the answer without its text, whatever the verb.
func (a Answer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue gives slog the answer without its text.
func (a Answer) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("ending", a.Ending.String()),
		slog.Duration("ended", a.Ended),
		slog.Int("chunks", len(a.Chunks)),
		slog.Int("size", a.Size()),
	)
}

// Result is what became of a query. Printed through fmt, zap or slog it shows
// no text. It is a plain value; the answers' chunks must not be changed.
type Result struct {
	ID      string                 // that of the query
	Started time.Time              // when the query began
	Took    time.Duration          // until the last answer had ended
	Answers map[organic.UID]Answer // one for each miner of the query
	Stream  Stream                 // what the requester had got by then

	cut error
}

// Err returns why answers were ended that neither their miners nor the time
// has ended, or nil: it wraps ErrClosed, ErrLeft, ErrFull or the cause of Ask's
// ctx. Those answers must not be scored as if the miners had ended them, so a
// Query.Done may return it instead of enqueueing.
func (r Result) Err() error { return r.cut }

// String gives the number of answers.
func (r Result) String() string {
	return fmt.Sprintf("result %s: %d answers after %v, %v", r.ID, len(r.Answers), r.Took, r.Stream.State)
}

// Format writes the result without any text, whatever the verb.
func (r Result) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue gives slog the result without any text.
func (r Result) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", r.ID),
		slog.Int("answers", len(r.Answers)),
		slog.Duration("took", r.Took),
		slog.String("stream", r.Stream.State.String()),
	)
}

// Stream is what a requester has got. It is a plain value.
type Stream struct {
	State  StreamState
	Picked bool        // whether the requester sees the answer of one miner, and it is known which
	UID    organic.UID // that miner
	Chunks int         // how many chunks have been written
	Bytes  int         // how many bytes these chunks have
}

// StreamState is how far a stream to a requester has come.
type StreamState uint8

// The states of a stream.
const (
	StreamOpen    StreamState = iota // being written
	StreamWhole                      // written, with its end
	StreamFailed                     // ended with a failure, told or to be seen by the broken connection
	StreamTooSlow                    // the requester was cut off
	StreamLeft                       // the requester has left
)

// String returns the state in lower case.
func (s StreamState) String() string {
	switch s {
	case StreamWhole:
		return "whole"
	case StreamFailed:
		return "failed"
	case StreamTooSlow:
		return "too slow"
	case StreamLeft:
		return "left"
	default:
		return "open"
	}
}
