package organic

import "time"

// Stats is what a scorer has done since [New], and what it holds now.
//
// The counters are exact and only grow. At rest, which is when Stop has
// returned nil, they account for every sample that came in through Enqueue:
//
//	Accepted = Scored + Dead + Dropped + Expired + Discarded + Queued
//
// While the scorer runs InFlightOrganic and Delayed belong to that sum, which
// then is no snapshot. Three things lie outside it: what other producers or
// scorers do to a shared queue, what [MemoryQueue.Samples] takes out, and
// samples whose settling failed, which a queue may hand out again. Stats are a plain value.
type Stats struct {
	Accepted  uint64 // samples that Enqueue has put into the queue
	Scored    uint64 // samples of the queue for which SetWeights returned nil
	Dead      uint64 // samples that ran out of attempts
	Dropped   uint64 // samples given up because the queue was full
	Expired   uint64 // samples given up because of their age
	Discarded uint64 // samples given up by Discard

	SyntheticScored uint64 // samples of datasets that were scored
	SyntheticFailed uint64 // samples of datasets that failed and were dropped

	Refused          uint64 // samples that the queue refused at Enqueue
	Failed           uint64 // iterations over samples of the queue that failed
	Retried          uint64 // samples that came back with their attempt counted
	Returned         uint64 // samples that came back without counting
	DeadLetterFailed uint64 // failures of the dead-letter hook
	LogFailed        uint64 // failures of LogResults
	SettleFailed     uint64 // leases whose queue could not be told the outcome
	PutBackFailed    uint64 // times the queue did not take a sample back
	SourceFailed     uint64 // failures of the queue or a dataset to give a sample
	EntryFailed      uint64 // entry hooks that returned an error that is no refusal

	Queued          int           // samples waiting in the queue
	Delayed         int           // samples held by the scorer until they may go back
	InFlight        int           // iterations in flight, of whatever origin
	InFlightOrganic int           // those of them over a sample of the queue
	Overdue         int           // hooks that overstay their stage's timeout
	OldestInFlight  time.Duration // how long the oldest iteration has been in flight
	LastScored      time.Time     // when a sample of any origin was last scored
	Running         bool          // between Start and the request to stop
	Paused          bool          // between Pause and Resume
}

// stats reads the counters.
func (r *reporter) stats() Stats {
	queued := func(kind EventKind) uint64 { return r.queued[kind].Load() }
	return Stats{
		Accepted:         queued(EventAccepted),
		Scored:           queued(EventScored),
		Dead:             queued(EventDead),
		Dropped:          queued(EventDropped),
		Expired:          queued(EventExpired),
		Discarded:        queued(EventDiscarded),
		SyntheticScored:  r.dataset[EventScored].Load(),
		SyntheticFailed:  r.dataset[EventFailed].Load(),
		Refused:          queued(EventRefused),
		Failed:           queued(EventFailed),
		Retried:          queued(EventRetried),
		Returned:         queued(EventReturned),
		DeadLetterFailed: queued(EventDeadLetterFailed),
		LogFailed:        queued(EventLogFailed) + r.dataset[EventLogFailed].Load(),
		SettleFailed:     queued(EventSettleFailed),
		PutBackFailed:    queued(EventPutBackFailed),
		SourceFailed:     queued(EventSourceFailed),
		EntryFailed:      queued(EventEntryFailed),
	}
}
