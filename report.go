package organic

import (
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// reporter is told of every event once: it counts, logs and hands it on.
type reporter struct {
	logger    *zap.Logger
	observers []func(Event)

	queued  [EventResumed + 1]atomic.Uint64 // events by kind, but for
	dataset [EventResumed + 1]atomic.Uint64 // those about samples of a dataset
}

func newReporter(logger *zap.Logger, observers []func(Event)) *reporter {
	return &reporter{logger: logger.Named("organic"), observers: observers}
}

// report tells of an event that is not about a dataset's sample.
func (r *reporter) report(e *Event) {
	r.count(e.Kind, false)
	if r.isHeard(e.Kind) {
		r.publish(e)
	}
}

func (r *reporter) count(kind EventKind, fromDataset bool) {
	if fromDataset {
		r.dataset[kind].Add(1)
	} else {
		r.queued[kind].Add(1)
	}
}

// isHeard reports whether anybody wants to know of events of this kind.
func (r *reporter) isHeard(kind EventKind) bool {
	return len(r.observers) > 0 || r.logger.Core().Enabled(eventLines[kind].level)
}

// publish logs an event and tells the observers.
func (r *reporter) publish(e *Event) {
	r.log(e)
	e.Time = time.Now()
	for _, observe := range r.observers {
		r.tell(observe, *e)
	}
}

func (r *reporter) log(e *Event) {
	line := &eventLines[e.Kind]
	if entry := r.logger.Check(line.level, line.message); entry != nil {
		entry.Write(e.fields(line.cause)...)
	}
}

// tell calls an observer and contains its panic.
func (r *reporter) tell(observe func(Event), e Event) {
	defer func() {
		if value := recover(); value != nil {
			r.logger.Error("observer panicked", zap.Error(newPanicError(value)))
		}
	}()
	observe(e)
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
	EventStageRetried:     {"stage retried", zap.WarnLevel, "stage failed, trying again", true},
	EventOverdue:          {"overdue", zap.WarnLevel, "hook overstays its timeout", false},
	EventScored:           {"scored", zap.DebugLevel, "sample scored", false},
	EventFailed:           {"failed", zap.WarnLevel, "iteration failed", true},
	EventInterrupted:      {"interrupted", zap.InfoLevel, "iteration interrupted", true},
	EventRetried:          {"retried", zap.InfoLevel, "sample will be tried again", false},
	EventReturned:         {"returned", zap.InfoLevel, "sample goes back uncounted", false},
	EventDead:             {"dead", zap.ErrorLevel, "sample dead-lettered", false},
	EventDiscarded:        {"discarded", zap.WarnLevel, "sample discarded", false},
	EventDeadLetterFailed: {"dead letter failed", zap.ErrorLevel, "dead-letter hook failed", true},
	EventLogFailed:        {"log failed", zap.WarnLevel, "log hook failed", true},
	EventSettleFailed:     {"settle failed", zap.ErrorLevel, "queue could not be told the outcome", true},
	EventPutBackFailed:    {"put back failed", zap.ErrorLevel, "queue did not take the sample back", true},
	EventSourceFailed:     {"source failed", zap.WarnLevel, "source of samples failed, left alone for a while", true},
	EventEntryFailed:      {"entry failed", zap.WarnLevel, "entry hook failed", true},
	EventRunning:          {"running", zap.InfoLevel, "scorer runs", false},
	EventStopping:         {"stopping", zap.InfoLevel, "scorer is stopping", false},
	EventStopped:          {"stopped", zap.InfoLevel, "scorer has stopped", false},
	EventPaused:           {"paused", zap.InfoLevel, "scorer paused", false},
	EventResumed:          {"resumed", zap.InfoLevel, "scorer resumed", false},
}

// String returns the kind in lower case, such as "put back failed".
func (k EventKind) String() string {
	if int(k) >= len(eventLines) || k == 0 {
		return "unknown"
	}
	return eventLines[k].kind
}

// fields lists what is set of the event, for the log.
func (e *Event) fields(cause bool) []zap.Field {
	fields := make([]zap.Field, 0, 8)
	if e.ID != "" {
		fields = append(fields, zap.String("id", e.ID), zap.Stringer("origin", e.Origin), zap.Int("attempt", e.Attempt))
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
		fields = append(fields, zap.Error(e.Err))
		if panicked, ok := errors.AsType[*PanicError](e.Err); ok {
			fields = append(fields, zap.ByteString("stack", panicked.Stack))
		}
	}
	return fields
}
