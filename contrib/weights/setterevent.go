package weights

import (
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic/internal/usercode"
)

// SetterEvent is something that happened to a [Setter], for counting. It is a plain value.
type SetterEvent struct {
	Time time.Time
	Kind SetterEventKind
	// Submission is the one concerned, from SetterSubmitted to SetterLost.
	Submission Submission
	// Err is why a try failed or the setter has stopped, and Failures how many have failed in a
	// row.
	Err      error
	Failures int
	// Detail is what is waited for (SetterHeld) or which call has not returned (SetterOverdue).
	Detail string
}

// SetterEventKind says what happened.
type SetterEventKind uint8

// The kinds of events.
const (
	// SetterSubmitted, SetterIncluded, SetterCommitted, SetterRevealed, SetterLost: a submission
	// has reached that state. SetterIncluded and SetterRevealed are the sets that count.
	SetterSubmitted SetterEventKind = iota + 1
	SetterIncluded
	SetterCommitted
	SetterRevealed
	SetterLost
	// SetterFailed: a try has failed, and another one follows.
	SetterFailed
	// SetterStopped: a try has failed, and none follows before Recheck.
	SetterStopped
	// SetterHeld: the first weights are due but held back, see WithWarmUp.
	SetterHeld
	// SetterOverdue: a call of the chain or the source has not returned although its ctx has ended.
	SetterOverdue
)

// String returns the kind in lower case.
func (k SetterEventKind) String() string {
	names := [...]string{
		"unknown", "submitted", "included", "committed", "revealed", "lost", "failed", "stopped",
		"held", "overdue",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return names[0]
}

// kindOf is the event of a submission's state.
func kindOf(state State) SetterEventKind {
	kinds := [...]SetterEventKind{
		None: SetterSubmitted, Submitted: SetterSubmitted, Included: SetterIncluded,
		Committed: SetterCommitted, Revealed: SetterRevealed, Lost: SetterLost,
	}
	if int(state) >= len(kinds) {
		return SetterSubmitted
	}
	return kinds[state]
}

// emit logs an event and gives it to the observer, one event at a time. Their panics are contained.
// The caller holds no lock.
func (s *Setter) emit(event SetterEvent, fields ...zap.Field) {
	s.emitting <- struct{}{}
	defer func() { <-s.emitting }()
	if event.Time.IsZero() {
		event.Time = time.Now()
	}
	level := zap.InfoLevel
	if event.Kind >= SetterLost && event.Kind != SetterHeld {
		level = zap.WarnLevel
	}
	usercode.Ignore(func() {
		if entry := s.logger.Check(level, "weights "+event.Kind.String()); entry != nil {
			entry.Write(append(fields, eventFields(&event)...)...)
		}
	})
	if s.observer != nil {
		s.observe(event)
	}
}

// observe calls the observer, and logs its panic.
func (s *Setter) observe(event SetterEvent) {
	err := usercode.Call(func() error {
		s.observer(event)
		return nil
	}, panicError)
	if err != nil {
		warn(s.logger, "observer panicked", zap.Error(err))
	}
}

// warn logs a line, and contains a panic of the logger.
func warn(logger *zap.Logger, message string, fields ...zap.Field) {
	usercode.Ignore(func() { logger.Warn(message, fields...) })
}

func eventFields(e *SetterEvent) (fields []zap.Field) {
	if e.Submission.State != None {
		fields = append(
			fields,
			zap.String("hash", e.Submission.Hash),
			zap.Uint64("block", e.Submission.Block),
		)
		if e.Submission.Timelocked() {
			fields = append(fields, zap.Uint64("reveal_round", e.Submission.RevealRound),
				zap.Uint64("reveal_block", e.Submission.RevealBlock))
		}
		fields = append(fields, zap.String("evidence", e.Submission.Evidence))
	}
	if e.Submission.Reason != "" {
		fields = append(fields, zap.String("reason", e.Submission.Reason))
	}
	if e.Err != nil {
		fields = append(fields, zap.Error(e.Err), zap.Int("failures", e.Failures))
	}
	if e.Detail != "" {
		fields = append(fields, zap.String("detail", e.Detail))
	}
	return fields
}
