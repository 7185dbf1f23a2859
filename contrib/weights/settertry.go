package weights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/internal/usercode"
)

// warmUp is what WithWarmUp waits for.
type warmUp struct {
	scores   *Scores
	share    float64
	rewards  int
	deadline time.Duration
}

// held reports whether the first vector is held back, and emits the event once.
func (s *Setter) held(now time.Time) bool {
	if s.warmUp == nil || s.warm {
		return false
	}
	share, since := s.warmUp.scores.Coverage(s.warmUp.rewards)
	late := !since.IsZero() && now.Sub(since) >= s.warmUp.deadline
	s.warm = share >= s.warmUp.share || late
	detail := ""
	if !s.warm {
		detail = fmt.Sprintf(
			"%.0f %% of the miners that were asked have %d rewards, %.0f %% are needed",
			100*share,
			s.warmUp.rewards,
			100*s.warmUp.share,
		)
	}
	s.mu.Lock()
	first := s.status.Held == "" && detail != ""
	s.status.Held = detail
	s.mu.Unlock()
	if first {
		s.emit(SetterEvent{Time: now, Kind: SetterHeld, Detail: detail})
	}
	return !s.warm
}

// try makes a vector and sends it.
func (s *Setter) try(ctx context.Context) (Submission, error) {
	vector, err := s.vector(ctx)
	if err != nil {
		return Submission{}, err
	}
	if s.dryRun {
		s.noteDryRun(time.Now(), vector)
		return Submission{}, nil
	}
	p := pendingSubmission{Entries: len(vector.UIDs)}
	s.mu.Lock()
	p.Before, p.at = max(s.pos.LastUpdate, s.shown), s.pos.Block
	p.sent, p.sentAt = s.sent, s.sentAt
	s.mu.Unlock()
	var answer Submission
	answered := false
	err = s.call(ctx, "SetWeights", func(ctx context.Context) (err error) {
		answer, err = s.chain.SetWeights(ctx, vector, func(reported Submission) {
			s.note(&p, unconfirmed(reported))
		})
		answered = true
		return err
	})
	if !answered {
		answer = p.Submission // a panic: what was reported may have been sent
	}
	if answer.State == None && err != nil {
		s.forget(&p)
		return Submission{}, err
	}
	if answer.State == None { // nil promises that something was sent
		answer = p.Submission
		answer.State = max(answer.State, Submitted)
	}
	s.logVector("weights sent", vector)
	confirmed := s.confirm(ctx, &p, answer)
	s.note(&p, confirmed)
	if err == nil && confirmed.State != Lost {
		s.noteSuccess(time.Now())
	}
	if err == nil && confirmed.State == Lost {
		err = fmt.Errorf("%w: lost: %s", ErrRetry, confirmed.Reason)
	}
	return confirmed, err
}

// vector makes a vector and refuses what should not be sent.
func (s *Setter) vector(ctx context.Context) (vector Vector, err error) {
	s.mu.Lock()
	refresh := s.vectors > 0 && s.refresh != nil
	s.mu.Unlock()
	if refresh {
		if err := s.call(ctx, "refresh", s.refresh); err != nil {
			return Vector{}, fmt.Errorf("weights: refresh: %w", err)
		}
	}
	err = s.call(ctx, "source", func(ctx context.Context) (err error) {
		vector, err = s.source(ctx)
		return err
	})
	switch {
	case err != nil:
		return Vector{}, err
	case len(vector.UIDs) != len(vector.Weights):
		return Vector{}, ErrLength
	case !slices.ContainsFunc(vector.Weights, func(weight uint16) bool { return weight > 0 }):
		return Vector{}, ErrEmpty
	case vector.TooFew:
		return Vector{}, fmt.Errorf("%w: %d", ErrTooFew, len(vector.UIDs))
	case vector.Path != 0 && !slices.Contains(s.paths, vector.Path):
		return Vector{}, fmt.Errorf("%w: %v", ErrPath, vector.Path)
	}
	return vector, nil
}

// overdue is how long after its ctx a call may return without being shown as overdue.
const overdue = 10 * time.Second

// call calls other people's code with a limit and shows it in Status. A panic, and an error that
// cannot be inspected, are an *organic.PanicError.
func (s *Setter) call(
	ctx context.Context,
	name string,
	f func(ctx context.Context) error,
) error {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.mu.Lock()
	s.status.Call, s.status.CallSince = name, time.Now()
	s.mu.Unlock()
	ended := make(chan struct{})
	patience := max(s.timeout, s.timeout+overdue) // does not wrap around
	late := time.AfterFunc(patience, func() { defer close(ended); s.noteOverdue(name) })
	defer func() {
		if !late.Stop() {
			<-ended
		}
		s.mu.Lock()
		s.status.Call, s.status.CallSince, s.status.Overdue = "", time.Time{}, false
		s.mu.Unlock()
	}()
	return usercode.Call(func() error { return f(limited) }, panicError)
}

func panicError(value any) error { return organic.NewPanicError(value) }

// noteOverdue runs in the goroutine of a timer, while the call still runs.
func (s *Setter) noteOverdue(name string) {
	s.mu.Lock()
	s.status.Overdue = true
	s.mu.Unlock()
	s.emit(SetterEvent{Kind: SetterOverdue, Detail: name})
}

// noteFailure keeps a failed try, and when the next one follows. A setter that has stopped keeps
// the reason while it cannot read the chain, and a Recheck that ends with the same reason emits
// nothing.
func (s *Setter) noteFailure(now time.Time, err error) {
	s.mu.Lock()
	if s.status.Stopped && s.blind {
		s.retryAt = now.Add(s.maxBackoff)
		s.mu.Unlock()
		return
	}
	if s.status.Failures == 0 {
		s.status.TryingSince = now
	}
	repeated := s.stopReason == err.Error()
	s.status.LastTry, s.status.Err = now, err
	s.status.Failures++
	s.react(now, err)
	event := SetterEvent{Time: now, Kind: SetterFailed, Err: err, Failures: s.status.Failures}
	s.stopReason = ""
	if s.status.Stopped {
		event.Kind, s.stopReason = SetterStopped, err.Error()
	}
	s.mu.Unlock()
	if !repeated {
		s.emit(event)
	}
}

// react sets when the next try follows a failed one, by what the chain has said (see ErrTooSoon to
// ErrRetry). The caller holds mu.
func (s *Setter) react(now time.Time, err error) {
	s.retryAt, s.retry = now.Add(doubled(s.backoff, s.status.Failures-1, s.maxBackoff)), 0
	var refused *ChainError
	switch {
	case errors.Is(err, ErrTooSoon):
		if errors.As(err, &refused) && refused.Blocks > 0 {
			s.waitBlocks(now, refused.Blocks)
		}
	case errors.Is(err, ErrNotRegistered), errors.Is(err, ErrVersionKey),
		errors.Is(err, ErrUnsupported), errors.Is(err, ErrSubnet):
		s.status.Stopped = true
	case errors.Is(err, ErrNoStake), errors.Is(err, ErrNoPermit):
		s.waitBlocks(now, s.untilEpoch())
	case errors.Is(err, ErrVector):
		s.vectors++
		s.status.Stopped = s.vectors > 1
	case errors.Is(err, ErrRefused):
		s.retryAt = now.Add(time.Hour)
	}
}

// waitBlocks lets the next try wait for so many blocks; of 12 s if there is no position.
func (s *Setter) waitBlocks(now time.Time, blocks uint64) {
	if s.known {
		s.retryAt, s.retry = time.Time{}, plus(s.pos.Block, blocks)
		return
	}
	s.retryAt = now.Add(blocksTime(blocks, 12*time.Second))
}

// untilEpoch is how many blocks it is until the next epoch, or how many an epoch usually has.
func (s *Setter) untilEpoch() uint64 {
	switch {
	case s.known && s.pos.NextEpoch > s.pos.Block:
		return s.pos.NextEpoch - s.pos.Block
	case s.known && s.pos.Tempo > 0:
		return s.pos.Tempo
	}
	return 360
}

// noteSuccess ends a row of failed tries.
func (s *Setter) noteSuccess(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.LastTry = now
	s.endFailures()
}

// endFailures ends a row of failed tries. The caller holds mu.
func (s *Setter) endFailures() {
	s.status.Err, s.status.Failures, s.status.TryingSince = nil, 0, time.Time{}
	s.status.Stopped, s.stopReason = false, ""
	s.retryAt, s.retry, s.vectors = time.Time{}, 0, 0
}

// noteDryRun counts a dry run as if it had been sent, so that the schedule goes on.
func (s *Setter) noteDryRun(now time.Time, vector Vector) {
	s.noteSuccess(now)
	s.mu.Lock()
	s.shown, s.sent = max(s.shown, s.pos.Block), max(s.sent, s.pos.Block)
	s.sentAt = now
	s.mu.Unlock()
	s.logVector("dry run, weights not sent", vector)
}

func (s *Setter) logVector(message string, vector Vector) {
	usercode.Ignore(func() {
		if entry := s.logger.Check(zap.InfoLevel, message); entry != nil {
			entry.Write(zap.Inline(vector))
		}
	})
}

// doubled returns base doubled n times, at most limit.
func doubled(base time.Duration, n int, limit time.Duration) time.Duration {
	if n >= 63 || base > limit>>n {
		return limit
	}
	return base << n
}
