package weights

import (
	"time"

	"go.uber.org/zap"
)

// SetterOption configures [NewSetter], which lists what is wrong with all of
// them at once. Of two of the same kind the last one wins.
type SetterOption interface {
	apply(s *Setter) error
}

type setterOptionFunc func(s *Setter) error

func (f setterOptionFunc) apply(s *Setter) error { return f(s) }

// WithBackoff sets how long a [Setter] waits after a try that failed: 12 s by
// default, which is a block, doubling with each further failure up to the
// limit, 5 min by default.
func WithBackoff(first, limit time.Duration) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if first <= 0 || limit < first {
			return invalid("WithBackoff", "first is %v and must be positive, limit is %v and must be at least that", first, limit)
		}
		s.backoff, s.maxBackoff = first, limit
		return nil
	})
}

// WithTimeout ends the ctx of one try after this time, 2 min by default: the
// API may wait until the weights are in a block.
func WithTimeout(timeout time.Duration) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if timeout <= 0 {
			return invalid("WithTimeout", "is %v, must be positive", timeout)
		}
		s.timeout = timeout
		return nil
	})
}

// WithDryRun lets a [Setter] do everything but send: the vector is made,
// checked and logged row by row, and the chain is not called. A dry run is no
// success in [Status].
func WithDryRun() SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		s.dryRun = true
		return nil
	})
}

// WithLogger sets the logger of a [Setter], which logs nothing by default. It
// logs under the name "weights": the rows of each vector that was set at the
// level info, and each failure at the level warn.
func WithLogger(logger *zap.Logger) SetterOption {
	return setterOptionFunc(func(s *Setter) error {
		if logger == nil {
			return invalid("WithLogger(nil)", "must be a logger; leave the option out to log nothing")
		}
		s.logger = logger.Named("weights")
		return nil
	})
}
