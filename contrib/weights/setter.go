package weights

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic"
)

// Source makes the vector for one try, usually by [Scores.Convert]. The
// goroutine of Run or Set calls it, never twice at the same time, before each
// try, so that a try that is repeated sends what is true then. An error is a
// failed try; ErrNoScores for instance, while nobody has scored.
type Source func(ctx context.Context) (Vector, error)

// Setter sets the weights by a [Schedule]. What fails is tried again, after a
// while that grows, until it succeeds; the scores are not touched by it. It
// never has two tries at the same time, and starts no goroutine: Run takes the
// caller's. All methods are safe for concurrent use.
type Setter struct {
	chain      Chain
	source     Source
	schedule   Schedule
	backoff    time.Duration
	maxBackoff time.Duration
	timeout    time.Duration
	dryRun     bool
	logger     *zap.Logger

	turn chan struct{} // holds a token while a try goes on
	wake chan struct{} // has room for one: a block may have made a try due

	mu      sync.Mutex // guards what follows
	status  Status
	last    moment    // the last success, or what counts from
	height  moment    // the highest block told
	retryAt time.Time // no scheduled try before
}

// Status is what a [Setter] has done, for a readiness probe. It is a plain
// value.
type Status struct {
	// Running is true while Run has not returned.
	Running bool
	// LastSuccess is when weights were last set; zero if never. LastBlock is
	// the highest block known then, and Entries how many weights there were.
	LastSuccess time.Time
	LastBlock   uint64
	Entries     int
	// LastTry is when the last try ended, a dry one too.
	LastTry time.Time
	// Failures is how many tries in a row have failed since the last success,
	// and Err why the last of them did.
	Failures int
	Err      error
}

// NewSetter returns a setter that sends what the source makes to the chain. It
// checks everything, reports all that is wrong at once as ErrInvalidOption,
// and starts nothing.
func NewSetter(chain Chain, source Source, schedule Schedule, opts ...SetterOption) (*Setter, error) {
	s := &Setter{
		chain: chain, source: source, schedule: schedule,
		backoff: 12 * time.Second, maxBackoff: 5 * time.Minute, timeout: 2 * time.Minute,
		logger: zap.NewNop(), turn: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	errs := []error{checkSchedule(schedule)}
	if isNil(chain) {
		errs = append(errs, invalid("NewSetter", "chain must not be nil"))
	}
	if source == nil {
		errs = append(errs, invalid("NewSetter", "source must not be nil"))
	}
	for i, opt := range opts {
		if opt == nil {
			errs = append(errs, invalid("NewSetter", "option %d must not be nil", i+1))
			continue
		}
		errs = append(errs, opt.apply(s))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func checkSchedule(schedule Schedule) error {
	switch schedule.(type) {
	case Interval, Blocks:
	default: // nil, a pointer, or a struct that embeds one of them
		return invalid("NewSetter", "schedule is a %T, must be Interval or Blocks, by value", schedule)
	}
	if err := schedule.check(); err != nil {
		return invalid("NewSetter", "%v", err)
	}
	return nil
}

// isNil reports whether an interface holds nothing, or a nil pointer or
// function.
func isNil(chain Chain) bool {
	if chain == nil {
		return true
	}
	value := reflect.ValueOf(chain)
	return (value.Kind() == reflect.Pointer || value.Kind() == reflect.Func) && value.IsNil()
}

// Run sets the weights by the schedule until ctx ends, and returns nil then,
// when the try in progress has ended too; that try's ctx ends with it. It
// returns ErrRunning at once while another Run has not returned. It can be
// called again later.
func (s *Setter) Run(ctx context.Context) error {
	if !s.begin(time.Now()) {
		return ErrRunning
	}
	defer s.end()
	timer := time.NewTimer(forever)
	defer timer.Stop()
	for ctx.Err() == nil {
		if wait := s.wait(time.Now()); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-s.wake:
			case <-ctx.Done():
			}
			continue
		}
		_ = s.try(ctx, true) // is in Status and in the log
	}
	return nil
}

func (s *Setter) begin(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Running {
		return false
	}
	s.status.Running = true
	if s.last.at.IsZero() {
		s.last.at = now
	}
	return true
}

func (s *Setter) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Running = false
}

// Set sets the weights now, whatever the schedule says, but not before the
// rate limit has passed since the last success: that is ErrTooSoon. It is the
// way to keep to the chain's epochs, which no schedule here does. It waits
// for the try in progress, and makes one try; a failed one is not repeated.
// The error is the cause of ctx when that ends first, that of the source or
// the chain, ErrEmpty or ErrTooFew. Run need not be running.
func (s *Setter) Set(ctx context.Context) error { return s.try(ctx, false) }

// Block tells how high the chain is, for [Blocks]. Call it for each new block,
// from any goroutine; it does not block. Missed blocks do no harm, and a lower
// one is ignored.
func (s *Setter) Block(height uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.height.known && height <= s.height.block {
		return
	}
	s.height = moment{block: height, known: true}
	if blocks, ok := s.schedule.(Blocks); ok && blocks.LastUpdate == nil && !s.last.known {
		s.last.block, s.last.known = height, true
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Status returns what was done so far.
func (s *Setter) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// now is a moment at the highest block; the caller holds the lock.
func (s *Setter) now(at time.Time) moment {
	return moment{at: at, block: s.height.block, known: s.height.known}
}

// wait returns how long it is until the next try.
func (s *Setter) wait(at time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.schedule.wait(s.last, s.now(at)), s.retryAt.Sub(at))
}

// try is one try, when nobody else has one.
func (s *Setter) try(ctx context.Context, scheduled bool) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.refresh(limited)
	if err == nil && scheduled && s.wait(time.Now()) > 0 {
		return nil // somebody else was faster, or an earlier try has landed
	}
	if err == nil && s.tooSoon(time.Now()) {
		return ErrTooSoon
	}
	var vector Vector
	if err == nil {
		vector, err = s.send(limited)
	}
	if err != nil && ctx.Err() != nil {
		return err // interrupted, which is no failure
	}
	s.note(time.Now(), vector, err)
	return err
}

// refresh asks the chain when it last took weights.
func (s *Setter) refresh(ctx context.Context) error {
	blocks, ok := s.schedule.(Blocks)
	if !ok || blocks.LastUpdate == nil {
		return nil
	}
	return contained(func() error {
		block, err := blocks.LastUpdate(ctx)
		if err != nil {
			return fmt.Errorf("weights: last update: %w", err)
		}
		s.updated(time.Now(), block)
		return nil
	})
}

// updated notes in which block the chain last took weights: where that is
// later than the last success, a try that seemed to fail has landed.
func (s *Setter) updated(at time.Time, block uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.known && block > s.last.block && s.status.Failures > 0 {
		s.status.Failures, s.status.Err, s.retryAt = 0, nil, time.Time{}
		s.status.LastSuccess, s.status.LastBlock = at, block
	}
	s.last.block, s.last.known = max(s.last.block, block), true
}

func (s *Setter) tooSoon(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.schedule.(Interval); ok && s.status.LastSuccess.IsZero() {
		return false // the beginning of Run is no success
	}
	return s.schedule.tooSoon(s.last, s.now(at))
}

// send makes a vector and sends it.
func (s *Setter) send(ctx context.Context) (vector Vector, err error) {
	err = contained(func() error {
		if vector, err = s.source(ctx); err != nil {
			return err
		}
		switch {
		case len(vector.UIDs) == 0:
			return ErrEmpty
		case len(vector.UIDs) != len(vector.Weights):
			return ErrLength
		case vector.TooFew:
			return fmt.Errorf("%w: %d", ErrTooFew, len(vector.UIDs))
		case s.dryRun:
			return nil
		}
		return s.chain.SetWeights(ctx, vector)
	})
	return vector, err
}

// contained calls other people's code and makes its panic an error.
func contained(call func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = organic.NewPanicError(value)
		}
	}()
	return call()
}

// note keeps and logs how a try ended.
func (s *Setter) note(at time.Time, vector Vector, err error) {
	s.mu.Lock()
	s.status.LastTry, s.status.Err = at, err
	if err != nil {
		s.status.Failures++
		s.retryAt = at.Add(doubled(s.backoff, s.status.Failures-1, s.maxBackoff))
	} else {
		s.status.Failures, s.retryAt = 0, time.Time{}
		s.last = s.now(at)
		if !s.dryRun {
			s.status.LastSuccess, s.status.LastBlock, s.status.Entries = at, s.last.block, len(vector.UIDs)
		}
	}
	status, retryAt := s.status, s.retryAt
	s.mu.Unlock()
	s.log(status, retryAt.Sub(at), vector)
}

func (s *Setter) log(status Status, retry time.Duration, vector Vector) {
	switch {
	case status.Err != nil:
		if entry := s.logger.Check(zap.WarnLevel, "setting weights failed"); entry != nil {
			entry.Write(zap.Error(status.Err), zap.Int("failures", status.Failures), zap.Duration("retry_in", retry))
		}
	case s.dryRun:
		if entry := s.logger.Check(zap.InfoLevel, "dry run, weights not sent"); entry != nil {
			entry.Write(zap.Inline(vector))
		}
	default:
		if entry := s.logger.Check(zap.InfoLevel, "weights set"); entry != nil {
			entry.Write(zap.Uint64("block", status.LastBlock), zap.Inline(vector))
		}
	}
}

// doubled returns base doubled n times, at most limit.
func doubled(base time.Duration, n int, limit time.Duration) time.Duration {
	if n >= 63 || base > limit>>n {
		return limit
	}
	return base << n
}
