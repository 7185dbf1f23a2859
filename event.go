package organic

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/internal/usercode"
)

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
	// EventAccepted: Enqueue took a sample; Size is the queue's size afterwards.
	EventAccepted EventKind = iota + 1

	EventRefused          // the queue refused a sample at Enqueue
	EventDropped          // the queue was full and dropped a sample; Duration is its age
	EventExpired          // the queue dropped a sample because of its age (Duration)
	EventStarted          // a sample of any origin was taken; Duration is its age, Size the queue's
	EventStageDone        // a stage of an iteration succeeded after Duration
	EventStageFailed      // a stage of an iteration failed for good after Duration
	EventStageRetried     // the hook of a stage failed and is called again after Duration
	EventOverdue          // a hook still runs well after its stage timed out
	EventAbandoned        // a hook that did not return is abandoned, Duration after its ctx ended
	EventScored           // SetWeights returned nil for a sample of any origin, after Duration
	EventFailed           // an iteration over a sample of any origin failed after Duration
	EventInterrupted      // a hard stop cancelled an iteration; Err is what a hook added
	EventRetried          // a failed sample comes back after Duration, its attempt counted
	EventReturned         // a sample comes back after Duration; that is no failed attempt
	EventDead             // a sample out of attempts is with the dead-letter hook; Duration is its age
	EventDiscarded        // a discarded sample is with the dead-letter hook; Duration is its age
	EventDeadLetterFailed // the hook failed; the sample comes back after Duration, or is dropped (0)
	EventLogFailed        // LogResults failed
	EventSettleFailed     // the queue did not take the verdict of a lease, after Duration
	EventPutBackFailed    // the queue refuses a sample again; held for Duration, or dead-lettered (0)
	EventDelayCut         // a delayed sample goes back Duration early, see WithHeldLimit
	EventSourceFailed     // a queue or dataset (Source) failed and is skipped for Duration
	EventLoopBackoff      // the loop waits Duration before its next start, or does not any more (0)
	EventEntryFailed      // an entry hook returned an error that is no refusal, after Duration
	EventRunning          // a run has started
	EventStopping         // a stop was requested, or the run's ctx has ended
	EventStopped          // the run has ended
	EventPaused           // Pause
	EventResumed          // Resume
)

// String returns the kind in lower case, such as "put back failed".
func (k EventKind) String() string {
	if int(k) >= len(eventLines) || k == 0 {
		return "unknown"
	}
	return eventLines[k].kind
}

// reporter counts every event, logs it, and passes it to the observers.
type reporter struct {
	logger    *zap.Logger // nil: none
	observers []func(Event)

	queued  [EventResumed + 1]atomic.Uint64 // events by kind, except
	dataset [EventResumed + 1]atomic.Uint64 // those about samples of a dataset
}

func newReporter(logger *zap.Logger, observers []func(Event)) *reporter {
	if logger != nil {
		logger = logger.Named("organic")
	}
	return &reporter{logger: logger, observers: observers}
}

// report counts and publishes events that are not about a dataset's sample. It
// counts all of them first, since loggers and observers may leave by
// runtime.Goexit.
func (r *reporter) report(events ...Event) {
	for i := range events {
		r.queued[events[i].Kind].Add(1)
	}
	for i := range events {
		if r.enabled(events[i].Kind) {
			r.publish(&events[i])
		}
	}
}

// counted counts an event, and reports whether it must be published.
func (r *reporter) counted(kind EventKind, fromDataset bool) (enabled bool) {
	if fromDataset {
		r.dataset[kind].Add(1)
	} else {
		r.queued[kind].Add(1)
	}
	return r.enabled(kind)
}

func (r *reporter) enabled(kind EventKind) bool {
	return len(r.observers) > 0 || r.logger != nil && r.logs(eventLines[kind].level)
}

// logs asks the core of a logger, which is user code.
func (r *reporter) logs(level zapcore.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return r.logger.Core().Enabled(level)
}

// publish logs an event and calls the observers. It is not inlined, to keep the
// frames round a hook small: a new goroutine has a stack of 2 KiB, and to grow
// it costs more than everything else.
//
//go:noinline
func (r *reporter) publish(e *Event) {
	if r.logger != nil && r.logs(eventLines[e.Kind].level) { // Check costs more when it is off
		r.log(e)
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	for _, observe := range r.observers {
		r.call(observe, e)
	}
}

// log contains a panic of the logger.
func (r *reporter) log(e *Event) {
	defer func() { _ = recover() }()
	line := &eventLines[e.Kind]
	if entry := r.logger.Check(line.level, line.message); entry != nil {
		entry.Write(e.fields(line.cause)...)
	}
}

// call contains a panic of an observer.
func (r *reporter) call(observe func(Event), e *Event) {
	defer func() {
		if value := recover(); value != nil && r.logger != nil {
			r.logObserverPanic(NewPanicError(value))
		}
	}()
	observe(*e)
}

func (r *reporter) logObserverPanic(err *PanicError) {
	defer func() { _ = recover() }()
	r.logger.Error("observer panicked", zap.Error(err), zap.ByteString("stack", err.Stack()))
}

// eventLine says how an event is logged. The error of a failed iteration is
// logged once, with EventFailed, and not again with what follows from it.
type eventLine struct {
	kind    string
	level   zapcore.Level
	message string
	cause   bool // with the event's error
}

var eventLines = [EventResumed + 1]eventLine{
	EventAccepted:         {"accepted", zap.DebugLevel, "sample accepted", false},
	EventRefused:          {"refused", zap.DebugLevel, "sample refused by the queue", true},
	EventDropped:          {"dropped", zap.DebugLevel, "sample dropped, queue is full", true},
	EventExpired:          {"expired", zap.InfoLevel, "sample expired", false},
	EventStarted:          {"started", zap.DebugLevel, "iteration started", false},
	EventStageDone:        {"stage done", zap.DebugLevel, "stage done", false},
	EventStageFailed:      {"stage failed", zap.DebugLevel, "stage failed", false},
	EventStageRetried:     {"stage retried", zap.WarnLevel, "stage failed, trying again", true},
	EventOverdue:          {"overdue", zap.WarnLevel, "hook overstays its timeout", false},
	EventAbandoned:        {"abandoned", zap.ErrorLevel, "hook ignores the end of its ctx", false},
	EventScored:           {"scored", zap.DebugLevel, "sample scored", false},
	EventFailed:           {"failed", zap.WarnLevel, "iteration failed", true},
	EventInterrupted:      {"interrupted", zap.InfoLevel, "iteration interrupted", true},
	EventRetried:          {"retried", zap.InfoLevel, "sample will be tried again", false},
	EventReturned:         {"returned", zap.InfoLevel, "sample goes back uncounted", false},
	EventDead:             {"dead", zap.ErrorLevel, "sample dead-lettered", false},
	EventDiscarded:        {"discarded", zap.WarnLevel, "sample discarded", false},
	EventDeadLetterFailed: {"dead letter failed", zap.ErrorLevel, "dead-letter hook failed", true},
	EventLogFailed:        {"log failed", zap.WarnLevel, "log hook failed", true},
	EventSettleFailed:     {"settle failed", zap.ErrorLevel, "queue did not take the verdict", true},
	EventPutBackFailed:    {"put back failed", zap.ErrorLevel, "sample not taken back", true},
	EventDelayCut:         {"delay cut", zap.WarnLevel, "sample goes back early", false},
	EventSourceFailed:     {"source failed", zap.WarnLevel, "source failed and is skipped", true},
	EventLoopBackoff:      {"loop back-off", zap.WarnLevel, "loop back-off", false},
	EventEntryFailed:      {"entry failed", zap.WarnLevel, "entry hook failed", true},
	EventRunning:          {"running", zap.InfoLevel, "scorer runs", false},
	EventStopping:         {"stopping", zap.InfoLevel, "scorer is stopping", false},
	EventStopped:          {"stopped", zap.InfoLevel, "scorer has stopped", false},
	EventPaused:           {"paused", zap.InfoLevel, "scorer paused", false},
	EventResumed:          {"resumed", zap.InfoLevel, "scorer resumed", false},
}

// fields lists what is set of the event, for the log.
func (e *Event) fields(cause bool) []zap.Field {
	fields := make([]zap.Field, 0, 8)
	if e.ID != "" {
		fields = append(fields,
			zap.String("id", e.ID), zap.Stringer("origin", e.Origin), zap.Int("attempt", e.Attempt))
	}
	if e.Source != "" {
		fields = append(fields, zap.String("source", e.Source))
	}
	if e.Stage != 0 {
		fields = append(fields, zap.Stringer("stage", e.Stage))
	}
	if e.Duration != 0 {
		fields = append(fields, zap.Duration("duration", e.Duration))
	}
	if e.Size != 0 {
		fields = append(fields, zap.Int("size", e.Size))
	}
	if cause && e.Err != nil {
		fields = append(fields, zap.String("error", usercode.Text(e.Err)))
		if panicked, ok := usercode.As[*PanicError](e.Err); ok {
			fields = append(fields, zap.ByteString("stack", panicked.Stack()))
		}
	}
	return fields
}

// Stats is what a scorer has done since [New], and what it holds now.
//
// The counters are exact and only grow. After Stop has
// returned nil, they account for every sample that came in through Enqueue:
//
//	Accepted = Scored + Dead + Dropped + Expired + Discarded + Queued
//
// While the scorer runs InFlightOrganic and Delayed belong to that sum, which
// then is no snapshot. Three things lie outside it: what other producers or
// scorers do to a shared queue, what [MemoryQueue.TakeAll] takes out, and
// samples whose settling failed, which a queue may hand out again. Stats are a plain value.
type Stats struct {
	Accepted  uint64 // samples that Enqueue has put into the queue
	Scored    uint64 // samples of the queue for which SetWeights returned nil
	Dead      uint64 // samples that ran out of attempts
	Dropped   uint64 // samples dropped because the queue was full
	Expired   uint64 // samples dropped because of their age
	Discarded uint64 // samples ended by Discard

	SyntheticScored uint64 // samples of datasets that were scored
	SyntheticFailed uint64 // samples of datasets that failed and were dropped

	Refused          uint64 // samples that the queue refused at Enqueue
	Failed           uint64 // iterations over samples of the queue that failed
	Retried          uint64 // samples that came back with their attempt counted
	Returned         uint64 // samples that came back without counting
	DeadLetterFailed uint64 // failures of the dead-letter hook
	LogFailed        uint64 // failures of LogResults
	SettleFailed     uint64 // leases whose queue did not take the verdict
	PutBackFailed    uint64 // times the queue did not take a sample back
	SourceFailed     uint64 // failures of the queue or a dataset to give a sample
	EntryFailed      uint64 // entry hooks that returned an error that is no refusal

	Queued          int           // samples waiting in the queue
	Delayed         int           // samples held by the scorer until they may go back
	InFlight        int           // iterations in flight, of whatever origin
	InFlightOrganic int           // those of them over a sample of the queue
	Overdue         int           // hooks that overstay their stage's timeout
	Abandoned       int           // hooks that were abandoned and still run
	LoopBackoff     time.Duration // the time between two starts while the loop backs off; else 0
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
