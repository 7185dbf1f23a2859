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
	// Add takes a sample in. A full queue drops a sample (best told through
	// Watched) or answers [ErrFull]. Nil is a promise: the sample will be
	// handed out by Sample, dropped by the queue's bound, or expired. A sample
	// that is too old already is taken in and then expires. When ctx has ended
	// Add may fail or go on, as long as what it says is what is so. The scorer
	// calls Add also to put back samples of leases without Settle, from any
	// goroutine; then ctx allows 10 s.
	Add(ctx context.Context, sample Sample[S]) error

	// Sample takes one sample out, chosen by the queue, or answers [ErrEmpty]
	// at once: it never waits for one to arrive. The loop calls it itself, so
	// it must be quick. When ctx has ended it fails or hands out, and loses no
	// sample in between. Another error makes the scorer leave the queue alone
	// for a second, doubling up to a minute.
	Sample(ctx context.Context) (Lease[S], error)

	// Size is the number of samples waiting; those that are leased do not
	// count. It never blocks and may lag.
	Size() int
}

// Lease is one sample taken out of a queue.
//
// Without Settle the queue has forgotten the sample: the scorer counts the
// attempts, holds the sample while a retry is delayed, and puts it back by
// Add. An interrupted iteration then costs no attempt.
//
// With Settle the queue keeps the sample until it knows what became of it.
// Sample.Attempt is then the queue's count of deliveries, interruptions and
// crashes included.
type Lease[S any] struct {
	Sample Sample[S]
	// Settle, when not nil, is called exactly once, from any goroutine, with a
	// ctx of its own that allows 10 s. An error is counted and logged; what
	// happens to the sample is then the queue's affair.
	Settle func(ctx context.Context, verdict Verdict) error
}

// Verdict tells a queue what became of a leased sample.
type Verdict struct {
	Outcome Outcome
	// Delay is how long the sample must not be handed out again, for Retry and
	// Return.
	Delay time.Duration
	// Err is why, for all but Scored.
	Err error
}

// Outcome is what became of a sample.
type Outcome uint8

// The outcomes. The zero Outcome is none of them.
const (
	// OutcomeScored samples are done: SetWeights returned nil.
	OutcomeScored Outcome = iota + 1
	// OutcomeRetry wants the sample again after a delay; the attempt counts.
	OutcomeRetry
	// OutcomeReturn wants the sample again without counting the attempt, where the
	// queue counts attempts and not deliveries: it was interrupted, or a hook
	// asked for it by RetryAfter, or its dead-letter hook failed.
	OutcomeReturn
	// OutcomeDead samples have used up their attempts and were dead-lettered.
	OutcomeDead
	// OutcomeDiscarded samples were given up at once by Discard and dead-lettered.
	OutcomeDiscarded
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	return nameOf(o, []string{OutcomeScored: "scored", OutcomeRetry: "retry", OutcomeReturn: "return", OutcomeDead: "dead", OutcomeDiscarded: "discarded"})
}

// Watched is implemented by queues that tell what happens in them. The scorer
// watches its queue from New on and for as long as the queue lives. A queue that does not implement it is looked
// at when the scorer itself has added a sample, and once per trigger interval
// (at most once a second, or at each step). The drops it does not tell are
// missing from [Stats].
type Watched interface {
	// Watch registers a watcher until stop is called; calls that are under way
	// then may still end. It must not block.
	Watch(watcher Watcher) (stop func())
}

// Watcher gets to know what happens in a queue. Both functions are set. The
// queue calls them from any goroutine, at the same time even, outside its
// locks; they return quickly.
type Watcher struct {
	// Arrived says that a sample can be taken that could not before: it was
	// added, or its delay is over. One call may stand for several samples.
	Arrived func()
	// Dropped says that the queue has given up a sample it had accepted.
	Dropped func(Dropped)
}

// Dropped describes a sample that a queue gave up. It does not carry the
// payload.
type Dropped struct {
	ID       string
	Origin   Origin
	Attempt  int
	Received time.Time
	Reason   DropReason
}

// DropReason is why a queue gave a sample up.
type DropReason uint8

const (
	// DroppedFull samples had to make room, or found none.
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
	return nameOf(o, []string{OrderRandom: "random", OrderFIFO: "fifo", OrderNewest: "newest", OrderFair: "fair"})
}

// nameOf looks a constant's name up, and says "unknown" rather than failing.
func nameOf[T ~uint8](value T, names []string) string {
	if int(value) >= len(names) || names[value] == "" {
		return "unknown"
	}
	return names[value]
}
