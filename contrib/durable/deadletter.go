package durable

import (
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic"
)

// Cause is why a sample became a dead letter.
type Cause string

// The causes.
const (
	// CauseDead samples were settled as organic.OutcomeDead: they have used up
	// their attempts.
	CauseDead Cause = "dead"
	// CauseDiscarded samples were settled as organic.OutcomeDiscarded.
	CauseDiscarded Cause = "discarded"
	// CauseCrashes samples were leased too often by a process that died.
	CauseCrashes Cause = "crashes"
	// CauseUndecodable records could not be decoded by the queue's codec.
	CauseUndecodable Cause = "undecodable"
)

// Attempts returns the number of failed attempts of a sample that was given up
// for this cause after so many failures: a verdict is one more, other causes are not.
func (c Cause) Attempts(failures int) int {
	if c == CauseDead || c == CauseDiscarded {
		return failures + 1
	}
	return failures
}

// DeadLetter is a sample that was given up, as a queue stores it. It prints
// without payload, requester and reason. Encoding/json keeps all three: do not
// log a DeadLetter, or a slice or map of them, through an encoder of JSON. It is
// a plain value.
type DeadLetter[S any] struct {
	// Number identifies the dead letter for PutBack and Forget.
	Number uint64
	// ID is the sample's.
	ID    string
	Cause Cause
	// Reason is the text of the error that the verdict carried, of at most
	// [MaxReason] bytes. A hook may have quoted the payload in it.
	Reason string
	// Attempts is the number of failed attempts, the one with the final verdict
	// included: 0 if no hook has seen the sample fail.
	Attempts int
	// Time is when the sample was given up.
	Time time.Time
	// Sample is what was given up; it is zero if Err is not nil.
	Sample organic.Sample[S]
	// Err is why the sample cannot be read. It wraps [ErrUndecodable] or
	// [ErrUnknownKey].
	Err error
}

// Format writes the dead letter without payload, requester and reason,
// whatever the verb.
func (l DeadLetter[S]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "dead letter %d: sample %s (%s, %d failed attempts)",
		l.Number, l.ID, l.Cause, l.Attempts)
}

// LogValue gives slog the dead letter without payload, requester and reason.
func (l DeadLetter[S]) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Uint64("number", l.Number),
		slog.String("id", l.ID),
		slog.String("cause", string(l.Cause)),
		slog.Int("attempts", l.Attempts),
		slog.Time("time", l.Time),
	)
}

// MarshalLogObject gives zap the dead letter without payload, requester and
// reason.
func (l DeadLetter[S]) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddUint64("number", l.Number)
	enc.AddString("id", l.ID)
	enc.AddString("cause", string(l.Cause))
	enc.AddInt("attempts", l.Attempts)
	enc.AddTime("time", l.Time)
	return nil
}
