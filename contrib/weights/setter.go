package weights

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Source makes the vector for one try, usually that of [Scores.Source]. The goroutine of Run or Set
// calls it, never twice at the same time, before each try, so that a try that is repeated sends
// what is true then. An error is a failed try; ErrNoScores for instance, while no miner has scored.
type Source func(ctx context.Context) (Vector, error)

// Setter sets the weights by a [Schedule], and counts a set only when the chain shows it: when the
// validator's last update has moved for plain weights, and when the reveal is seen for timelocked
// commits. A commit that is not revealed is reported as lost; the next one follows by the schedule.
// It never sends a submission while the state of the one before is not known, and not before the
// chain's rate limit has passed since the last update and since what was last sent.
//
// What fails is tried again; the scores are not touched by it. A Setter starts no goroutine: Run
// takes that of its caller. All methods are safe for concurrent use.
type Setter struct {
	chain      Chain
	source     Source
	schedule   Schedule
	backoff    time.Duration
	maxBackoff time.Duration
	timeout    time.Duration
	dryRun     bool
	paths      []Path
	warmUp     *warmUp
	refresh    func(ctx context.Context) error
	saver      *Saver
	observer   func(SetterEvent)
	logger     *zap.Logger

	turn     chan struct{} // holds a token while one goroutine works
	wake     chan struct{} // has a token if the time of the next step may have changed
	emitting chan struct{} // holds a token while an event is logged and observed

	mu         sync.Mutex // guards what follows
	status     Status
	pending    []pendingSubmission // the oldest first
	known      bool                // whether the chain can tell its position
	pos        Position            // the last one that was read
	shown      uint64              // the last update that our own submissions have shown
	sent       uint64              // the block at which a submission was last sent
	sentAt     time.Time           // and when
	blind      bool                // whether the last look at the chain failed
	stopReason string              // of the last SetterStopped
	vectors    int                 // refusals by ErrVector in a row
	warm       bool                // the condition of WithWarmUp was true once
	next       wait                // until the next step, from nextFrom on
	nextFrom   time.Time
	retryAt    time.Time // no try before
	retry      uint64    // nor before this block
}

// maxPending is how many submissions are followed at the same time. The chain allows fewer.
const maxPending = 16

// maxSleep bounds how old the position is that the next step was computed from.
const maxSleep = 5 * time.Minute

// forever is a wait that only an event ends.
const forever = time.Duration(math.MaxInt64)

// Status is what a [Setter] has done and will do. It is a plain value.
type Status struct {
	// Running is true while Run has not returned.
	Running bool
	// LastSet is when the chain was last seen to have set the weights, LastSubmission the evidence,
	// and Entries how many weights there were; zero if never.
	LastSet        time.Time
	LastSubmission Submission
	Entries        int
	// Sets and Lost count submissions that were set and that were lost, since the start.
	Sets, Lost int
	// Pending are the submissions under way, the oldest first.
	Pending []Submission
	// NextDue is when weights are next due, about, and NextBlock at which block; zero if that is
	// not known.
	NextDue   time.Time
	NextBlock uint64
	// TryingSince is when the first of the failed tries in a row was; zero if the last one has not
	// failed. Failures is how many there were, and Err why the last one failed.
	TryingSince time.Time
	Failures    int
	Err         error
	// LastTry is when the last try ended, a dry one too.
	LastTry time.Time
	// Stopped is true if no try follows before Recheck. Err says why.
	Stopped bool
	// Held says what the first weights are waiting for, see WithWarmUp; empty if they are not.
	Held string
	// Call is the call of the chain or the source under way, CallSince since when it is, and
	// Overdue whether its ctx has ended for 10 s.
	Call      string
	CallSince time.Time
	Overdue   bool
}

// NewSetter returns a setter that sends what the source makes to the chain. It checks everything,
// reports all that is wrong at once as ErrInvalidOption, and starts nothing.
func NewSetter(
	chain Chain,
	source Source,
	schedule Schedule,
	opts ...SetterOption,
) (*Setter, error) {
	s := &Setter{
		chain: chain, source: source, schedule: schedule,
		backoff: 12 * time.Second, maxBackoff: 5 * time.Minute, timeout: 2 * time.Minute,
		paths: []Path{Normal}, logger: zap.NewNop(),
		turn: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		emitting: make(chan struct{}, 1),
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
		errs = append(errs, opt.applySetter(s))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.restore()
	return s, nil
}

func checkSchedule(schedule Schedule) error {
	switch schedule.(type) {
	case Interval, Blocks, Epoch:
	default: // nil, a pointer, or a struct that embeds one of them
		return invalid(
			"NewSetter",
			"schedule is a %T, must be Interval, Blocks or Epoch, by value",
			schedule,
		)
	}
	if err := schedule.check(); err != nil {
		return invalid("NewSetter", "%v", err)
	}
	return nil
}

// isNil reports whether an interface holds nothing, or a nil pointer or function.
func isNil(chain Chain) bool {
	if chain == nil {
		return true
	}
	value := reflect.ValueOf(chain)
	return (value.Kind() == reflect.Pointer || value.Kind() == reflect.Func) && value.IsNil()
}

// Run sets the weights by the schedule until ctx ends, and returns nil then, when the call under
// way has returned; its ctx ends with ctx. It returns ErrRunning at once while another Run has not
// returned. It can be called again later.
func (s *Setter) Run(ctx context.Context) error {
	if !s.setRunning(true) {
		return ErrRunning
	}
	defer s.setRunning(false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(s.sleep(time.Now()))
		select {
		case <-timer.C:
		case <-s.wake:
			if s.sleep(time.Now()) > 0 {
				continue
			}
		case <-ctx.Done():
			return nil
		}
		_, _ = s.step(ctx, true) // is in Status, in the log and in events
	}
}

func (s *Setter) setRunning(running bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Running == running {
		return false
	}
	s.status.Running = running
	return true
}

// Set makes one try now, whatever the schedule, the back-off and the warm-up say, after the step
// under way. A failed one is not repeated by Set. It returns the submission and how far it has
// come: only a State that is Set means that the weights are set, and a commit is followed by Run or
// the next Set. The errors are ErrTooSoon before the chain's rate limit has passed or while an
// earlier submission is not in a block, the cause of ctx, those of the source and the chain,
// ErrEmpty, ErrLength, ErrTooFew and ErrPath. Run need not be running.
func (s *Setter) Set(ctx context.Context) (Submission, error) { return s.step(ctx, false) }

// Block tells the setter how high the chain is, so that it acts at the block and not by the clock.
// Call it for each new block, from any goroutine; it does not block. Without it the setter computes
// the time from the chain's position, which it reads again every 5 minutes at most.
func (s *Setter) Block(height uint64) {
	s.mu.Lock()
	due := s.next.block > 0 && height >= s.next.block
	if due {
		s.next = wait{block: s.next.block}
	}
	s.mu.Unlock()
	if due {
		s.poke()
	}
}

// Recheck lets a setter that has stopped, or waits after a refusal, try again at once. Call it
// whenever the metagraph was read again, and after what was wrong has been corrected.
func (s *Setter) Recheck() {
	s.mu.Lock()
	s.status.Stopped, s.retryAt, s.retry = false, time.Time{}, 0
	s.next = wait{}
	s.mu.Unlock()
	s.poke()
}

func (s *Setter) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Status returns what was done so far.
func (s *Setter) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	for _, p := range s.pending {
		status.Pending = append(status.Pending, p.Submission)
	}
	return status
}

// sleep is how long it is until the next step.
func (s *Setter) sleep(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next.time - now.Sub(s.nextFrom)
}

// step reads the position, follows what is under way, and makes a try if one is due, or at once if
// it is not scheduled. At most one goroutine does.
func (s *Setter) step(ctx context.Context, scheduled bool) (Submission, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return Submission{}, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if ctx.Err() != nil {
		return Submission{}, context.Cause(ctx)
	}
	var submission Submission
	err := s.look(ctx)
	s.mu.Lock()
	s.blind = err != nil
	s.mu.Unlock()
	if err == nil {
		submission, err = s.tryIfDue(ctx, scheduled)
	}
	if err != nil && ctx.Err() == nil && !errors.Is(err, errNotSent) {
		s.noteFailure(time.Now(), err)
	}
	s.plan(time.Now())
	return submission, err
}

// look reads the position and follows the submissions under way.
func (s *Setter) look(ctx context.Context) error {
	var pos Position
	err := s.call(ctx, "Position", func(ctx context.Context) (err error) {
		pos, err = s.chain.Position(ctx)
		return err
	})
	known := err == nil
	if _, interval := s.schedule.(Interval); interval && errors.Is(err, ErrUnsupported) {
		err = nil
	}
	if err == nil && known {
		err = s.checkPosition(pos)
	}
	if err != nil {
		return fmt.Errorf("weights: position: %w", err)
	}
	s.mu.Lock()
	s.known, s.pos = known, pos
	s.mu.Unlock()
	return s.follow(ctx)
}

// checkPosition refuses what schedules cannot compute with.
func (s *Setter) checkPosition(pos Position) error {
	if pos.BlockTime <= 0 {
		return fmt.Errorf("%w: the block time is %v", ErrRetry, pos.BlockTime)
	}
	if _, ok := s.schedule.(Epoch); ok && (pos.NextEpoch <= pos.Block || pos.Tempo == 0) {
		return fmt.Errorf("%w: the next epoch is block %d after block %d, the tempo %d",
			ErrRetry, pos.NextEpoch, pos.Block, pos.Tempo)
	}
	return nil
}

// errNotSent marks an error of Set that is no failed try.
var errNotSent = errors.New("weights: nothing sent")

// tryIfDue makes a try, unless something has to be waited for.
func (s *Setter) tryIfDue(ctx context.Context, scheduled bool) (Submission, error) {
	s.mu.Lock()
	v := s.view(time.Now())
	unknown := len(s.pending) >= maxPending
	tooSoon := v.known && v.allowed(s.sent).block > v.pos.Block
	due := s.due(v)
	for i := range s.pending {
		unknown = unknown || s.pending[i].unknown()
	}
	s.mu.Unlock()
	switch {
	case scheduled && !due:
		return Submission{}, nil
	case unknown || tooSoon:
		if scheduled {
			return Submission{}, nil
		}
		return Submission{}, errors.Join(ErrTooSoon, errNotSent)
	case scheduled && s.held(v.now):
		return Submission{}, nil
	}
	return s.try(ctx)
}

// view is what the schedule decides by. The caller holds mu.
func (s *Setter) view(now time.Time) view {
	v := view{now: now, known: s.known, pos: s.pos, last: s.status.LastSet}
	if s.sentAt.After(v.last) {
		v.last = s.sentAt
	}
	if v.known {
		v.pos.LastUpdate = max(v.pos.LastUpdate, s.shown)
	}
	return v
}

// due reports whether a scheduled try is to be made. The caller holds mu.
func (s *Setter) due(v view) bool {
	if s.status.Stopped || v.now.Before(s.retryAt) || v.known && v.pos.Block < s.retry {
		return false
	}
	w := s.schedule.due(v)
	if v.known {
		return w.block <= v.pos.Block
	}
	return w.time <= 0
}

// plan sets when the next step is: when weights are due and allowed, when a failed try is to be
// repeated, or when there may be news of a submission.
func (s *Setter) plan(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view(now)
	s.nextFrom = now
	w := s.schedule.due(v)
	if v.known {
		w = later(w, v.allowed(s.sent))
		w = later(w, v.untilBlock(s.retry))
	}
	s.status.NextDue, s.status.NextBlock = now.Add(max(w.time, 0)), w.block
	w.time = max(w.time, s.retryAt.Sub(now))
	switch {
	case s.status.Stopped:
		w, s.status.NextDue, s.status.NextBlock = wait{time: forever}, time.Time{}, 0
	case s.status.Held != "":
		w = wait{time: max(w.time, time.Minute)}
	}
	for _, p := range s.pending {
		w = sooner(w, p.news(v))
	}
	if s.blind {
		w = wait{time: s.retryAt.Sub(now)}
	}
	w.time = min(max(w.time, s.shortest(v)), s.longest())
	s.next = w
}

// shortest keeps the setter from reading the chain more than once a block.
func (s *Setter) shortest(v view) time.Duration {
	if v.known {
		return min(v.pos.BlockTime, 12*time.Second)
	}
	if interval, ok := s.schedule.(Interval); ok {
		return min(interval.Every, time.Second)
	}
	return time.Second
}

// longest bounds a sleep, except where nothing can change by itself.
func (s *Setter) longest() time.Duration {
	if s.status.Stopped && len(s.pending) == 0 {
		return forever
	}
	return maxSleep
}

func later(a, b wait) wait {
	return wait{time: max(a.time, b.time), block: max(a.block, b.block)}
}

func sooner(a, b wait) wait {
	if b.time < a.time {
		return b
	}
	return a
}
