package weights

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
)

// SetterOption configures [NewSetter], which lists what is wrong with all of them at once. Of two
// of the same kind the last one wins.
type SetterOption interface {
	applySetter(s *Setter) error
}

type setterOptionFunc func(s *Setter) error

func (f setterOptionFunc) applySetter(s *Setter) error { return f(s) }

// WithBackoff sets how long a [Setter] waits after a try that failed: 12 s by default, which is a
// block, doubling with each further failure up to the limit, 5 min by default. Refusals of the
// chain have waits of their own, see [ErrTooSoon] to [ErrRetry].
func WithBackoff(first, limit time.Duration) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if first <= 0 || limit < first {
			return invalid(
				"WithBackoff",
				"first is %v and must be positive, limit is %v and must be at least that",
				first,
				limit,
			)
		}
		s.backoff, s.maxBackoff = first, limit
		return nil
	})
}

// WithTimeout ends the ctx of one call of the chain or the source after this time, 2 min by
// default: SetWeights may wait until the weights are in a block. A call that has not returned 10 s
// later is shown in Status and logged.
func WithTimeout(timeout time.Duration) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if timeout <= 0 {
			return invalid("WithTimeout", "is %v, must be positive", timeout)
		}
		s.timeout = timeout
		return nil
	})
}

// WithSaver keeps the state of a [Setter] in the snapshot of the scores: when weights were last
// set, and submissions under way, which are saved before they are sent. A setter that is made with
// the saver after a restart follows them. A saver keeps the state of one setter.
func WithSaver(saver *Saver) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if saver == nil {
			return invalid("WithSaver(nil)", "must be a saver")
		}
		s.saver = saver
		return nil
	})
}

// WithWarmUp holds the first vector back until enough is known: until the share (above 0 and at
// most 1) of the miners that were asked have at least so many rewards. After the deadline, counted
// from the first reward of the scores, a vector is set anyway, so that miners that never answer
// cannot make the validator inactive. Scores from a snapshot count, so that a restart does not wait
// again. The chain counts a validator as inactive after about 14 tempos without weights, 16 h on
// most subnets: the deadline must be shorter.
func WithWarmUp(scores *Scores, share float64, rewards int, deadline time.Duration) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if scores == nil || !(share > 0 && share <= 1) || rewards < 1 || deadline <= 0 {
			return invalid(
				fmt.Sprintf("WithWarmUp(scores, %v, %d, %v)", share, rewards, deadline),
				"scores must not be nil, share above 0 and at most 1, the others positive",
			)
		}
		s.warmUp = &warmUp{scores: scores, share: share, rewards: rewards, deadline: deadline}
		return nil
	})
}

// WithRefresh sets a function that reads the metagraph again and gives it to the scores. It is
// called after the chain has refused a vector ([ErrVector]), before the next one is made, and has
// the time of one call (see [WithTimeout]).
func WithRefresh(refresh func(ctx context.Context) error) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if refresh == nil {
			return invalid("WithRefresh(nil)", "must be a function")
		}
		s.refresh = refresh
		return nil
	})
}

// WithPaths sets which paths of the conversion are sent besides Normal. By default the others are
// refused with ErrPath: they pay miners by something else than their scores, all of them the same
// for instance because scoring was down.
func WithPaths(paths ...Path) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		s.paths = append(slices.Clone(paths), Normal)
		return nil
	})
}

// WithDryRun lets a [Setter] do everything but send: the vector is made, checked and logged row by
// row, and SetWeights is not called. A dry run is no set in [Status].
func WithDryRun() SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		s.dryRun = true
		return nil
	})
}

// WithObserver sets a function that is called for each event, one at a time, by the goroutine of
// Run or Set, or of a timer for SetterOverdue. It must return soon. A panic of it is logged.
func WithObserver(observer func(SetterEvent)) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if observer == nil {
			return invalid("WithObserver(nil)", "must be a function")
		}
		s.observer = observer
		return nil
	})
}

// LoggerOption is an option of [NewScores] and of [NewSetter]; see [WithLogger].
type LoggerOption struct{ logger *zap.Logger }

// WithLogger sets the logger of a [Setter] or of [Scores], which log nothing by default. Both log
// under the name "weights": a setter the rows of each vector and all its events; scores the first
// reward outside the range of each miner, and guards that have nothing to compare with.
func WithLogger(logger *zap.Logger) LoggerOption { return LoggerOption{logger} }

func (o LoggerOption) check() error {
	if o.logger == nil {
		return invalid("WithLogger(nil)", "must be a logger; leave the option out to log nothing")
	}
	return nil
}

func (o LoggerOption) applySetter(s *Setter) error {
	if o.logger != nil {
		s.logger = o.logger.Named("weights")
	}
	return o.check()
}

func (o LoggerOption) applyScores(s *Scores) error {
	if o.logger != nil {
		s.logger = o.logger.Named("weights")
	}
	return o.check()
}
