package organic

import "time"

// Event is something that happened in a scorer. Which fields are set depends
// on the kind; none ever holds a payload, response or reference, and Err is
// the hook's, queue's or dataset's own error, wrapped; that of EventFailed
// comes again with what follows from it. An Event is a plain value.
type Event struct {
	Kind     EventKind
	Time     time.Time
	ID       string        // the sample's ID
	Origin   Origin        // of the sample
	Source   string        // the dataset's name
	Attempt  int           // of the sample
	Stage    Stage         // which stage the event is about
	Duration time.Duration // see the kind
	Size     int           // see the kind
	Err      error         // why
}

// EventKind says what happened.
type EventKind uint8

// The kinds of events. "Sample" means a sample of the queue unless it says
// otherwise.
const (
	EventAccepted         EventKind = iota + 1 // Enqueue took a sample; Size is the queue's size afterwards
	EventRefused                               // the queue refused a sample at Enqueue
	EventDropped                               // the queue gave a sample up because it was full; Duration is its age
	EventExpired                               // the queue gave a sample up because of its age (Duration)
	EventStarted                               // an iteration has taken a sample of any origin; Duration is its age, Size the queue's
	EventStageDone                             // a stage of an iteration succeeded after Duration
	EventStageRetried                          // a stage failed and is tried again after Duration
	EventOverdue                               // a hook still runs well after its stage timed out
	EventScored                                // SetWeights returned nil for a sample of any origin; Duration is the iteration's
	EventFailed                                // an iteration over a sample of any origin failed after Duration
	EventInterrupted                           // an iteration was cancelled by a hard stop after Duration; Err is what a hook said beyond that
	EventRetried                               // a failed sample comes back after Duration, its attempt counted
	EventReturned                              // a sample comes back after Duration without counting: interrupted, RetryAfter, or a failed dead letter
	EventDead                                  // a sample out of attempts is with the dead-letter hook; Duration is its age
	EventDiscarded                             // a discarded sample is with the dead-letter hook; Duration is its age
	EventDeadLetterFailed                      // the dead-letter hook failed; the sample comes back after Duration, or is dropped (0)
	EventLogFailed                             // LogResults failed
	EventSettleFailed                          // the queue could not be told the outcome
	EventPutBackFailed                         // the queue did not take a sample back; it is held for Duration, or given up (0)
	EventSourceFailed                          // a queue or dataset (Source) failed and is left alone for Duration
	EventEntryFailed                           // an entry hook returned an error that is no refusal
	EventRunning                               // a run has started
	EventStopping                              // a stop was requested, or the run's ctx has ended
	EventStopped                               // everything has come to rest
	EventPaused                                // Pause
	EventResumed                               // Resume
)
