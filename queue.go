package organic

import (
	"context"
	"time"
)

// Queue holds the organic samples that wait to be scored. [MemoryQueue] is the
// default; a queue of one's own needs these three methods and nothing else.
//
// All methods are safe for concurrent use: producers call Add from any
// goroutine, the scorer's loop calls Sample, and Size is called from
// everywhere. Besides them a queue may implement [Watched].
type Queue[S any] interface {
	// Add adds a sample. A full queue drops a sample, which it should report
	// through Watched, or returns [ErrFull]. Nil is a promise: the sample will
	// be handed out by Sample, dropped by the queue's bound, or expired. A
	// sample that is too old already is accepted and then expires. If ctx has
	// ended, Add may fail or go on; the returned error must match what
	// happened. The scorer calls Add also to put back samples of leases
	// without Settle, from any goroutine, with a ctx that allows 10 s. An Add
	// that has not returned a second later counts as failed and is called again:
	// one that then succeeds after all has made a second sample. A durable queue
	// returns [ErrDuplicate] for an ID that waits already.
	Add(ctx context.Context, sample Sample[S]) error

	// Sample removes one sample, chosen by the queue, and returns it, or
	// returns [ErrEmpty] at once: it never waits for one to arrive. The loop
	// calls it itself, so it must be quick. If ctx has ended, it fails or
	// returns a sample, and loses none. After another error the scorer skips
	// the queue for a second, doubling up to a minute.
	Sample(ctx context.Context) (Lease[S], error)

	// Size is the number of samples waiting; those that are leased do not
	// count. It never blocks and may lag.
	Size() int
}

// Lease is one sample that a queue has handed out.
//
// Without Settle the queue has forgotten the sample: the scorer counts the
// failures, holds the sample while a retry is delayed, and puts it back by Add.
//
// With Settle the queue keeps the sample until it gets the verdict, and counts
// the failures itself: Sample.Attempt is 1 plus the number of verdicts with
// OutcomeRetry. A lease that ends without a verdict, because the process died,
// does not count; a durable queue bounds such deliveries separately.
type Lease[S any] struct {
	Sample Sample[S]
	// Settle, if not nil, is called exactly once, from any goroutine, with a
	// ctx of its own that allows 10 s. An error is counted and logged, and so is
	// a call that has not returned a second later; the queue then decides what
	// happens to the sample.
	Settle func(ctx context.Context, verdict Verdict) error
}

// Verdict is the outcome of a leased sample, for its queue.
type Verdict struct {
	Outcome Outcome
	// Delay is how long the sample must not be handed out again, for Retry and
	// Return.
	Delay time.Duration
	// Err is why, for all but Scored.
	Err error
}

// Outcome is how an iteration ended for its sample.
type Outcome uint8

// The outcomes. The zero Outcome is none of them.
const (
	// OutcomeScored samples are done: SetWeights returned nil.
	OutcomeScored Outcome = iota + 1
	// OutcomeRetry wants the sample again after a delay; the attempt counts.
	OutcomeRetry
	// OutcomeReturn wants the sample again without counting the attempt: it was
	// interrupted, or a hook asked for it by RetryAfter, or the dead-letter hook
	// failed.
	OutcomeReturn
	// OutcomeDead samples have used up their attempts and were dead-lettered.
	OutcomeDead
	// OutcomeDiscarded samples were ended at once by Discard and dead-lettered.
	OutcomeDiscarded
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	return nameOf(o, []string{
		OutcomeScored: "scored", OutcomeRetry: "retry", OutcomeReturn: "return",
		OutcomeDead: "dead", OutcomeDiscarded: "discarded",
	})
}

// Watched is implemented by queues that report what happens in them. The scorer
// watches its queue from New on, for as long as the queue lives. The loop looks
// at a queue that does not implement it when the scorer itself has added a
// sample, and once per interval of the trigger (at most once a second, or at
// each step). Drops of such a queue are missing from [Stats].
type Watched interface {
	// Watch registers a watcher until stop is called; calls that are under way
	// then may still end. It must not block.
	Watch(watcher Watcher) (stop func())
}

// Watcher receives notifications from a queue. Both functions are set. The
// queue calls them from any goroutine, at the same time even, outside its
// locks; they return quickly.
type Watcher struct {
	// Arrived is called when a sample can be taken that could not before: it
	// was added, or its delay is over. One call may stand for several samples.
	Arrived func()
	// Dropped is called when the queue has dropped a sample it had accepted.
	Dropped func(Dropped)
}

// Dropped describes a sample that a queue has dropped. It does not carry the
// payload.
type Dropped struct {
	ID       string
	Origin   Origin
	Attempt  int
	Received time.Time
	Reason   DropReason
}

// DropReason is why a queue has dropped a sample.
type DropReason uint8

const (
	// DroppedFull samples were dropped because the queue was full.
	DroppedFull DropReason = iota + 1
	// DroppedExpired samples were older than the maximum age.
	DroppedExpired
	// DroppedDead samples were dead-lettered by the queue itself, because they
	// could not be decoded or their deliveries ended too often with the death
	// of the process.
	DroppedDead
)

// String returns the reason in lower case.
func (r DropReason) String() string {
	return nameOf(r, []string{DroppedFull: "full", DroppedExpired: "expired", DroppedDead: "dead"})
}

// Order is the order in which a queue hands its samples out.
type Order uint8

const (
	// OrderRandom hands out each waiting sample with the same probability.
	OrderRandom Order = iota
	// OrderFIFO hands out the oldest sample first.
	OrderFIFO
	// OrderNewest hands out the newest sample first.
	OrderNewest
	// OrderFair chooses one of the requesters at random, each with the same
	// probability, and hands out its oldest sample. A full queue drops the
	// oldest sample of the requester who holds most.
	OrderFair
)

// String returns the order in lower case.
func (o Order) String() string {
	return nameOf(o, []string{
		OrderRandom: "random", OrderFIFO: "fifo", OrderNewest: "newest", OrderFair: "fair",
	})
}

// nameOf looks a constant's name up, and says "unknown" rather than failing.
func nameOf[T ~uint8](value T, names []string) string {
	if int(value) >= len(names) || names[value] == "" {
		return "unknown"
	}
	return names[value]
}
