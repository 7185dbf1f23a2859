package relay

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
)

// Ending is how an answer ended.
type Ending uint8

// The endings. The zero Ending is none of them.
const (
	// Complete answers are those whose miner function returned nil in time, or that gave a reason
	// for their end (Chunk.Finish) and had no error after it. A complete answer may have no text.
	Complete Ending = iota + 1
	// Failed answers ended with an error, a panic or runtime.Goexit of the miner function, possibly
	// after some chunks.
	Failed
	// TimedOut answers had begun when their time was over, or paused for too long.
	TimedOut
	// Silent answers had nothing but blanks when their time was over.
	Silent
	// NeverStarted means that the miner was not asked, since its turn (WithParallel) had not come
	// when the time of the query was over or the query was cut short.
	NeverStarted
	// CutOff answers had more bytes or chunks than WithMaxAnswer allows, which is ErrTooLong, or
	// came when WithMaxInFlight allowed no more, which is ErrFull.
	CutOff
	// Cancelled answers were cut short by Close, by the end of Ask's ctx, or with
	// Query.StopOnLeave by the end of the requester's stream.
	Cancelled
)

// endings are the names by which endings are printed, sent and stored.
var endings = [...]string{
	"not ended", Complete: "complete", Failed: "failed", TimedOut: "timed out", Silent: "silent",
	NeverStarted: "never started", CutOff: "cut off", Cancelled: "cancelled",
}

// String returns the ending in lower case.
func (e Ending) String() string { return nameOf(endings[:], e) }

// MarshalText gives the ending's name, as String does, so that what is stored does not depend on
// the order of the endings. A value that is no ending is an error.
func (e Ending) MarshalText() ([]byte, error) { return marshalName(endings[:], e) }

// UnmarshalText takes the names that MarshalText gives, and no others.
func (e *Ending) UnmarshalText(text []byte) error { return unmarshalName(endings[:], e, text) }

// Party is who ended an answer, and so whose fault it is if the answer is not whole.
type Party uint8

// The parties. The zero Party is none of them.
const (
	// ByMiner means that the miner ended its answer: whole, with a failure, or by sending more than
	// WithMaxAnswer allows.
	ByMiner Party = iota + 1
	// ByTime means that the miner used up the time that it had: the time for its first chunk or
	// between two chunks, counted from the moment it was asked, or all the time of the query.
	ByTime
	// ByRequester means that the requester left or read too slowly, with Query.StopOnLeave.
	ByRequester
	// ByValidator means that the validator ended the answer: by Close, by the end of Ask's ctx, for
	// lack of memory (ErrFull), by a panic of a function of its own, by an error that wraps
	// ErrValidator, or because the time of the query was over for a miner that had spent part of it
	// waiting for its turn (WithParallel).
	ByValidator
)

// parties are the names by which parties are printed and stored.
var parties = [...]string{
	"unknown", ByMiner: "miner", ByTime: "time", ByRequester: "requester", ByValidator: "validator",
}

// String returns the party in lower case.
func (p Party) String() string { return nameOf(parties[:], p) }

// MarshalText gives the party's name, as String does. A value that is no party is an error.
func (p Party) MarshalText() ([]byte, error) { return marshalName(parties[:], p) }

// UnmarshalText takes the names that MarshalText gives, and no others.
func (p *Party) UnmarshalText(text []byte) error { return unmarshalName(parties[:], p, text) }

// nameOf returns the name of a value; one without a name has that of the zero value.
func nameOf[T ~uint8](names []string, value T) string {
	if int(value) < len(names) {
		return names[value]
	}
	return names[0]
}

func marshalName[T ~uint8](names []string, value T) ([]byte, error) {
	if int(value) >= len(names) {
		return nil, fmt.Errorf("relay: no name for %T(%d)", value, uint8(value))
	}
	return []byte(names[value]), nil
}

func unmarshalName[T ~uint8](names []string, value *T, text []byte) error {
	for i, name := range names {
		if name == string(text) {
			*value = T(i)
			return nil
		}
	}
	return fmt.Errorf("relay: unknown name of a %T", *value)
}

// Answer is what one miner answered, and when.
//
// It serves as the response type of an organic.Hooks, and as a part of a sample's payload:
// encoding/json keeps all but Err. Printed through fmt, zap or slog it shows no text. An Answer may
// be copied; its chunks are shared and must not be changed.
type Answer struct {
	Chunks []Chunk `json:"chunks"` // not nil where a relay made it, so that JSON has [] for none
	Ending Ending  `json:"ending"`
	// EndedBy is who ended the answer. Score answers that are [Answer.Scorable] only.
	EndedBy Party `json:"endedBy"`
	// Started is when the miner was asked, and Ended when the answer had ended, both since the
	// query began (Result.Started), as is the time of each chunk.
	Started time.Duration `json:"started"`
	Ended   time.Duration `json:"ended"`
	// Err is why an answer is not complete: what the miner function returned, an
	// *organic.PanicError, ErrTooLong, ErrFull, ErrLeft, ErrClosed, the cause of Ask's ctx, or an
	// error that is context.DeadlineExceeded. It is nil if the answer is complete.
	Err error `json:"-"`
}

// Scorable reports whether the miner or its time ended the answer. Any other answer was cut short
// by the requester or the validator, which is never the miner's fault: leave it out of the rewards.
func (a Answer) Scorable() bool { return a.EndedBy == ByMiner || a.EndedBy == ByTime }

// Text returns the text of all chunks: what a user reads, and what a scorer compares.
func (a Answer) Text() string {
	return a.join(func(c Chunk) string { return c.Text })
}

// Reasoning returns the reasoning of all chunks.
func (a Answer) Reasoning() string {
	return a.join(func(c Chunk) string { return c.Reasoning })
}

func (a Answer) join(part func(Chunk) string) string {
	size := 0
	for _, chunk := range a.Chunks {
		size += len(part(chunk))
	}
	var text strings.Builder
	text.Grow(size)
	for _, chunk := range a.Chunks {
		text.WriteString(part(chunk))
	}
	return text.String()
}

// ToolCalls returns the calls that the answer asks for, each with all of its arguments, in the
// order in which they began.
func (a Answer) ToolCalls() []ToolCall {
	var calls toolCalls
	for _, chunk := range a.Chunks {
		for _, piece := range chunk.ToolCalls {
			calls.add(piece)
		}
	}
	return calls.joined()
}

// Finish returns the reason that the model gave for its end, such as "stop", or "" if it gave none.
// "length" means that the text is cut at the model's limit of tokens.
func (a Answer) Finish() string {
	for _, chunk := range slices.Backward(a.Chunks) {
		if chunk.Finish != "" {
			return chunk.Finish
		}
	}
	return ""
}

// Usage returns the tokens that the miner claims to have used, and whether it claims any.
func (a Answer) Usage() (Usage, bool) {
	for _, chunk := range slices.Backward(a.Chunks) {
		if chunk.Usage != nil {
			return *chunk.Usage, true
		}
	}
	return Usage{}, false
}

// FirstText returns how long after it was asked the miner emitted its first chunk with text that a
// reader sees ([Chunk.HasText]), and false if there is none. It is the time to judge lateness by.
// To see who copies from whom, compare Started plus FirstText.
func (a Answer) FirstText() (time.Duration, bool) {
	for _, chunk := range a.Chunks {
		if chunk.HasText() {
			return chunk.At - a.Started, true
		}
	}
	return 0, false
}

// HalfText returns how long after it was asked the miner had emitted half of the characters that a
// reader sees, and false if there are none. A miner can send a first word before it has an answer;
// it cannot send half of the answer so.
func (a Answer) HalfText() (time.Duration, bool) {
	total := 0
	for _, chunk := range a.Chunks {
		total += countVisible(chunk.Text)
	}
	if total == 0 {
		return 0, false
	}
	seen := 0
	for _, chunk := range a.Chunks {
		if seen += countVisible(chunk.Text); 2*seen >= total {
			return chunk.At - a.Started, true
		}
	}
	return 0, false
}

func countVisible(text string) int {
	n := 0
	for _, r := range text {
		if visible(r) {
			n++
		}
	}
	return n
}

// Size returns the number of bytes of text, reasoning, tool calls and the like in all chunks.
func (a Answer) Size() int {
	size := 0
	for _, chunk := range a.Chunks {
		size += chunk.size()
	}
	return size
}

// String gives the answer's ending, who ended it, size and time.
func (a Answer) String() string {
	return fmt.Sprintf("answer: %v by %v after %v, %d chunks, %d bytes",
		a.Ending, a.EndedBy, a.Ended, len(a.Chunks), a.Size())
}

// Format writes the answer without its text, whatever the verb.
func (a Answer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// LogValue gives slog the answer without its text.
func (a Answer) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("ending", a.Ending.String()),
		slog.String("endedBy", a.EndedBy.String()),
		slog.Duration("ended", a.Ended),
		slog.Int("chunks", len(a.Chunks)),
		slog.Int("size", a.Size()),
	)
}

// cutShort reports whether the answer is one of those that make a result one that must not be
// scored as it is, see [Result.Err].
func (a Answer) cutShort() bool {
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

// Result is the outcome of a query. Printed through fmt, zap or slog it shows no text. It is a
// plain value; the answers' chunks must not be changed.
type Result struct {
	ID      string                 // that of the query
	Started time.Time              // when the query began
	Took    time.Duration          // until the last answer had ended
	Answers map[organic.UID]Answer // one for each miner of the query
	Stream  Stream                 // what the requester had got by then

	cut error
}

// Err returns why answers were cut short that neither their miners nor the time has ended, or nil:
// it wraps ErrClosed, ErrLeft, ErrFull or the cause of Ask's ctx. [Answer.Scorable] says which.
func (r Result) Err() error { return r.cut }

// String gives the number of answers.
func (r Result) String() string {
	return fmt.Sprintf("result %s: %d answers after %v, %v",
		r.ID, len(r.Answers), r.Took, r.Stream.State)
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
	UID    organic.UID // that miner: the last one, after a failover
	Chunks int         // how many chunks have been written
	Bytes  int         // how many bytes these chunks have
}

// StreamState is how far a stream to a requester has come.
type StreamState uint8

// The states of a stream.
const (
	StreamOpen    StreamState = iota // being written
	StreamWhole                      // written, with its end
	StreamFailed                     // ended with a failure, in the stream or by an error of Serve
	StreamTooSlow                    // the requester was cut off
	StreamLeft                       // the requester has left
)

var streamStates = [...]string{
	StreamOpen: "open", StreamWhole: "whole", StreamFailed: "failed", StreamTooSlow: "too slow",
	StreamLeft: "left",
}

// String returns the state in lower case.
func (s StreamState) String() string { return nameOf(streamStates[:], s) }
