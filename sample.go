package organic

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/internal/slogzap"
)

// UID is a miner's slot in the subnet. Zero is a slot like any other.
type UID uint16

// Origin is where the payload of a [Sample] came from.
type Origin uint8

const (
	// Organic samples are queries of real users. It is the zero value.
	Organic Origin = iota
	// Synthetic samples were made by a [SynthDataset].
	Synthetic
)

// String returns "organic" or "synthetic".
func (o Origin) String() string {
	if o == Synthetic {
		return "synthetic"
	}
	return "organic"
}

// Sample is what one iteration scores: a payload and what is known about it.
//
// The payload is other people's text. A Sample handed to fmt, zap or slog
// prints without it and without the Requester. Only the verbs %p and %w, for
// which fmt calls no method of a value that is no pointer and no error, print
// the fields of a Sample, [Result] or [Synapse]. Encoding/json keeps payload and
// Requester, so that queues can store samples: do not log a Sample, or a slice
// or map of them, through an encoder of JSON. Nor do the fields of a struct that
// are not exported print by a method of their own: keep no Sample in one that
// is printed.
//
// A Sample is a plain value: copies may be used from any goroutine as far as
// the payload allows it.
type Sample[S any] struct {
	// ID is unique. Durable queues deduplicate by it.
	ID string
	// Payload is what the miners are asked.
	Payload S
	// Origin distinguishes an organic payload from a synthetic one. It stands beside
	// the payload so that hooks see it and miners do not.
	Origin Origin
	// Source is the name of the dataset a synthetic payload came from.
	Source string
	// Requester is who asked, when known: a hotkey, or any other key.
	Requester string
	// Received is when the sample came in. Maximum ages count from here.
	Received time.Time
	// Attempt is 1 plus the number of failures so far. [RetryAfter], an
	// interruption, and a delivery that never reached a hook do not count.
	Attempt int
}

// NewSample returns an organic sample with a new ID, received now. Front-ends
// that have no scorer pass it to the queue's Add.
func NewSample[S any](payload S) Sample[S] {
	sample := Sample[S]{Payload: payload}
	sample.fill()
	return sample
}

// fill gives the sample an ID, a time and an attempt where it has none.
func (s *Sample[S]) fill() {
	if s.ID == "" {
		s.ID = newID()
	}
	if s.Received.IsZero() {
		s.Received = time.Now()
	}
	s.Attempt = max(s.Attempt, 1)
}

// newID returns 128 random bits as text. They are unique, not secret.
func newID() string {
	var bits [16]byte
	binary.NativeEndian.PutUint64(bits[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(bits[8:], rand.Uint64())
	return hex.EncodeToString(bits[:])
}

// identity is what events say of a sample.
type identity struct {
	id, source string
	attempt    int
	origin     Origin
}

func (s *Sample[S]) identity() identity {
	return identity{id: s.ID, source: s.Source, attempt: s.Attempt, origin: s.Origin}
}

func (i *identity) event(kind EventKind, d time.Duration, err error) Event {
	return Event{
		Kind: kind, ID: i.id, Origin: i.origin, Source: i.source, Attempt: i.attempt,
		Duration: d, Err: err,
	}
}

// event returns an event about a sample that is in no iteration.
func (s *Sample[S]) event(kind EventKind, d time.Duration, err error) Event {
	identity := s.identity()
	return identity.event(kind, d, err)
}

// Format writes the sample without payload and requester, whatever the verb
// for which fmt calls it.
func (s Sample[S]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "sample %s (%s, attempt %d)", s.ID, s.Origin, s.Attempt)
}

// LogValue gives slog the sample without payload and requester.
func (s Sample[S]) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("id", s.ID),
		slog.String("origin", s.Origin.String()),
		slog.String("source", s.Source),
		slog.Time("received", s.Received),
		slog.Int("attempt", s.Attempt),
	)
}

// MarshalLogObject gives zap the sample without payload and requester.
func (s Sample[S]) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return slogzap.AddGroup(enc, s.LogValue())
}
