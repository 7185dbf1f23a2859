package durable

import "errors"

// Errors of durable queues that a caller can act on; compare with errors.Is. A
// full queue returns organic.ErrFull, an empty one organic.ErrEmpty, Add of an
// ID that the queue holds organic.ErrDuplicate, and a queue whose storage has
// disappeared organic.ErrGone.
var (
	// ErrClosed is returned by every method of a queue after Close.
	ErrClosed = errors.New("durable: queue is closed")
	// ErrTooLarge is returned by Add for a sample that can never fit, however
	// empty the queue is. The queue drops nothing for it.
	ErrTooLarge = errors.New("durable: sample is too large")
	// ErrLeaseOver is returned by Settle if the queue has given the sample back
	// before, because the lease expired or the queue was closed.
	ErrLeaseOver = errors.New("durable: lease is over")
	// ErrSettled is returned by the second call of Settle on one lease. The
	// first verdict stands.
	ErrSettled = errors.New("durable: lease is settled already")
	// ErrUndecodable is wrapped by errors about a record that the codec cannot
	// decode.
	ErrUndecodable = errors.New("durable: record cannot be decoded")
	// ErrUnknownKey is wrapped by errors about a record that cannot be opened
	// with the queue's cipher: it has another key, or no key of that ID, or the
	// record or the queue has no cipher. The sample stays in the queue.
	ErrUnknownKey = errors.New("durable: record cannot be opened with the keys of this queue")
	// ErrNoDeadLetter is returned by PutBack and Forget if no dead letter has
	// this number.
	ErrNoDeadLetter = errors.New("durable: no such dead letter")
	// ErrExpired is returned by PutBack for a dead letter that is older than
	// the queue's maximum age and would expire at once.
	ErrExpired = errors.New("durable: sample is older than the maximum age")
)
