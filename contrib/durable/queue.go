package durable

import (
	"context"
	"iter"
	"time"

	"github.com/organic-scoring/organic"
)

// Queue is a queue that keeps its samples when the process ends. Its leases
// have Settle. The package comment states what it promises beyond
// [organic.Queue].
//
// All methods are safe for concurrent use.
type Queue[S any] interface {
	organic.Queue[S]
	organic.Watched

	// OldestWaiting is the age of the oldest sample that Sample can hand out,
	// counted from its Received, or from when it was added if the queue does
	// not know that; 0 if there is none. Like Size it never blocks and may lag.
	OldestWaiting() time.Duration

	// DeadLetters iterates over the dead letters, the oldest first, and ends
	// after the first error. It may or may not include those that are added
	// meanwhile.
	DeadLetters(ctx context.Context) iter.Seq2[DeadLetter[S], error]
	// PutBack moves the sample of a dead letter into the queue again, with no
	// failed attempts and no crashes. It returns [ErrNoDeadLetter],
	// [ErrExpired], [ErrUndecodable], [ErrUnknownKey], organic.ErrFull (a dead
	// letter never drops a waiting sample) or organic.ErrDuplicate; the dead
	// letter then stays.
	PutBack(ctx context.Context, number uint64) error
	// Forget removes a dead letter for good, or returns [ErrNoDeadLetter].
	Forget(ctx context.Context, number uint64) error

	// Close gives back what is leased, waits for the queue's goroutines and
	// releases what the queue holds. Stop the scorer first: verdicts that come
	// after Close return [ErrLeaseOver] or [ErrClosed], and their samples are
	// delivered again. If ctx ends first, Close returns its cause and may be
	// called again. Close of a closed queue returns nil.
	Close(ctx context.Context) error
}
