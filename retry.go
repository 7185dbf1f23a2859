package organic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/organic-scoring/organic/internal/backoff"
	"github.com/organic-scoring/organic/internal/delay"
	"github.com/organic-scoring/organic/internal/notify"
	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/usercode"
)

// Unlimited lets a sample fail without limit as RetryPolicy.Attempts, and turns
// the loop's back-off off as LoopBackoff.Failures.
const Unlimited = -1

// The defaults of a RetryPolicy and its LoopBackoff.
const (
	defaultAttempts        = 8
	defaultRetryDelay      = 5 * time.Second
	defaultMaxRetryDelay   = 5 * time.Minute
	defaultBackoffFailures = 5
	defaultBackoffLimit    = time.Minute
)

// RetryPolicy says how often and how soon a sample comes back whose iteration
// failed. A zero field means its default.
type RetryPolicy struct {
	// Attempts is how many iterations a sample may fail before it goes to the
	// dead-letter hook: 8 by default, which takes about ten minutes, or
	// Unlimited. What does not count as a failure: RetryAfter, an interruption
	// by a stop, and a delivery that never reached a hook.
	Attempts int
	// Delay is how long a sample waits after its first failure: 5 s by
	// default. It doubles with each further one, up to MaxDelay, and is then
	// changed by up to 20 % either way, at random.
	Delay time.Duration
	// MaxDelay is 5 min by default, or Delay if that is longer.
	MaxDelay time.Duration
	// LoopBackoff slows the loop down while every iteration fails.
	LoopBackoff LoopBackoff
}

// LoopBackoff slows the loop down while everything fails, so that an outage
// does not use up the attempts of the samples. After Failures failed iterations
// without a success between them, whatever their samples, the loop waits before
// its next start: twice the trigger's wait, doubling with each further failure
// up to Limit, until an iteration succeeds. Under [Steps] the wait doubles from
// 1 s, and the steps must be reached too. Iterations that end by RetryAfter, by
// Discard or by an interruption neither fail nor succeed. [OrganicScorer.Iterate] is not
// delayed.
type LoopBackoff struct {
	// Failures is 5 by default, or Unlimited for no back-off.
	Failures int
	// Limit is 1 min by default. A trigger's wait that is longer stays as it is.
	Limit time.Duration
}

func (p RetryPolicy) check() (wrong option.Problems) {
	delay := p.Delay
	if delay <= 0 {
		delay = defaultRetryDelay
	}
	loop := p.LoopBackoff
	wrong.If(p.Attempts < Unlimited,
		"RetryPolicy.Attempts is %d, must be at least 1, or Unlimited", p.Attempts)
	wrong.If(p.Delay < 0, "RetryPolicy.Delay is %v, must not be negative", p.Delay)
	wrong.If(p.MaxDelay < 0 || p.MaxDelay > 0 && p.MaxDelay < delay,
		"RetryPolicy.MaxDelay is %v, must be at least Delay (%v)", p.MaxDelay, delay)
	wrong.If(loop.Failures < Unlimited,
		"LoopBackoff.Failures is %d, must be at least 1, or Unlimited", loop.Failures)
	wrong.If(loop.Limit < 0, "LoopBackoff.Limit is %v, must not be negative", loop.Limit)
	return wrong
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.Attempts == 0 {
		p.Attempts = defaultAttempts
	}
	if p.Delay == 0 {
		p.Delay = defaultRetryDelay
	}
	if p.MaxDelay == 0 {
		p.MaxDelay = max(defaultMaxRetryDelay, p.Delay)
	}
	if p.LoopBackoff.Failures == 0 {
		p.LoopBackoff.Failures = defaultBackoffFailures
	}
	if p.LoopBackoff.Limit == 0 {
		p.LoopBackoff.Limit = defaultBackoffLimit
	}
	return p
}

// StagePolicy says how the hook of a stage is called. A zero field means its
// default.
type StagePolicy struct {
	// Timeout ends the ctx of each call of the hook, and nothing else. Zero
	// means no timeout.
	Timeout time.Duration
	// Tries is how often the hook is called until it succeeds, within one
	// iteration: by default 3 for StageWeights and 1 for the other stages.
	Tries int
	// Backoff is the wait before the second try: 1 s by default. It doubles
	// with each further try, up to 1 min or Backoff if that is longer. Stop
	// cuts it short: the remaining tries then follow at once.
	Backoff time.Duration
	// Abandon ends the wait for a hook that has not returned that long after its
	// ctx ended, by Timeout or by a hard stop. The iteration releases its slot
	// and counts as a failed attempt, or after a hard stop as an interruption,
	// and a stop no longer waits for the hook. The hook goes on running until it
	// returns; Stats.Abandoned counts it, and its result is discarded. So a retry
	// of the sample can run beside the abandoned call. Zero, the default, means
	// never. It is allowed for StageQuery, StageReference and StageRewards only:
	// a late SetWeights could overwrite newer weights.
	Abandon time.Duration
}

// stagePolicies has a policy for each stage from StageQuery to StageLog.
type stagePolicies [StageLog + 1]StagePolicy

func (p StagePolicy) check(stage Stage) (wrong option.Problems) {
	wrong.If(stage < StageQuery || stage > StageLog, "stage must be from StageQuery to StageLog")
	wrong.If(p.Timeout < 0, "StagePolicy.Timeout is %v, must not be negative", p.Timeout)
	wrong.If(p.Tries < 0, "StagePolicy.Tries is %d, must not be negative", p.Tries)
	wrong.If(p.Backoff < 0, "StagePolicy.Backoff is %v, must not be negative", p.Backoff)
	wrong.If(p.Abandon < 0, "StagePolicy.Abandon is %v, must not be negative", p.Abandon)
	wrong.If(p.Abandon > 0 && (stage < StageQuery || stage > StageRewards),
		"StagePolicy.Abandon must be 0 except for StageQuery, StageReference and StageRewards")
	return wrong
}

func (p StagePolicy) withDefaults(stage Stage) StagePolicy {
	if p.Tries == 0 {
		p.Tries = 1
		if stage == StageWeights {
			p.Tries = 3
		}
	}
	if p.Backoff == 0 {
		p.Backoff = time.Second
	}
	return p
}

// backoff returns the wait after a try that failed, counted from 1.
func (p StagePolicy) backoff(try int) time.Duration {
	return backoff.Doubled(p.Backoff, try-1, max(time.Minute, p.Backoff))
}

// retryAfterError is the error of RetryAfter.
type retryAfterError struct {
	delay time.Duration
	err   error
}

func (e *retryAfterError) Error() string {
	return fmt.Sprintf("retry after %v: %v", e.delay, e.err)
}

func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter wraps the error of a hook that cannot do its work now: the sample
// comes back after the delay, and the attempt is not counted. It ends the tries
// of the stage. A synthetic sample is dropped all the same. The delay is kept
// as long as no more samples wait than [WithHeldLimit] allows.
func RetryAfter(delay time.Duration, err error) error {
	return &retryAfterError{delay: max(delay, 0), err: err}
}

// discardError is the error of Discard.
type discardError struct{ err error }

func (e *discardError) Error() string { return fmt.Sprintf("discard: %v", e.err) }
func (e *discardError) Unwrap() error { return e.err }

// Discard wraps the error of a hook that will never be able to score this
// sample: it goes to the dead-letter hook at once, however many attempts are
// left. Where errors are joined, Discard wins over RetryAfter.
func Discard(err error) error { return &discardError{err: err} }

// isFinal reports whether an error of a hook rules out another try of the
// stage.
func isFinal(err error) bool {
	_, discarded := usercode.As[*discardError](err)
	_, delayed := usercode.As[*retryAfterError](err)
	return discarded || delayed ||
		err == ErrAbandoned || err == ErrGoexit //nolint:errorlint // the engine's own
}

// verdictOf returns the verdict on a sample that was not scored.
func (e *engine[S, R]) verdictOf(err error, attempt int, interrupted bool) Verdict {
	later, isLater := usercode.As[*retryAfterError](err)
	_, isDiscarded := usercode.As[*discardError](err)
	switch {
	case isDiscarded:
		return Verdict{Outcome: OutcomeDiscarded, Err: err}
	case isLater: // the delay is kept whatever else has happened
		return Verdict{Outcome: OutcomeReturn, Delay: later.delay, Err: err}
	case interrupted:
		return Verdict{Outcome: OutcomeReturn, Err: err}
	case e.retry.Attempts != Unlimited && attempt >= e.retry.Attempts:
		return Verdict{Outcome: OutcomeDead, Err: err}
	default:
		return Verdict{Outcome: OutcomeRetry, Delay: e.retryDelay(attempt), Err: err}
	}
}

// retryDelay returns the wait before the attempt after this one.
func (e *engine[S, R]) retryDelay(attempt int) time.Duration {
	wait := backoff.Doubled(e.retry.Delay, attempt-1, e.retry.MaxDelay)
	return backoff.Jittered(wait, e.random.Float64())
}

// bury calls the dead-letter hook, if there is one.
func (e *engine[S, R]) bury(
	ctx context.Context, limit time.Duration, sample Sample[S], cause error,
) error {
	if e.deadLetter == nil {
		return nil
	}
	return e.callWithin(ctx, StageDeadLetter, limit, func(ctx context.Context) error {
		return e.deadLetter(ctx, sample, cause)
	})
}

// endStreak notes a success, and reports whether it ends the loop's back-off.
func (e *engine[S, R]) endStreak() (recovered bool) {
	if e.streak.Load() == 0 {
		return false
	}
	failures := e.streak.Swap(0)
	limit := e.retry.LoopBackoff.Failures
	if limit == Unlimited || failures < int64(limit) {
		return false
	}
	e.wakeup.Set()
	return true
}

// noteFailure counts a failed iteration. A hook that has asked for a delay has
// its own back-off, and a sample that was discarded says nothing of others.
func (e *engine[S, R]) noteFailure(err error) {
	_, delayed := usercode.As[*retryAfterError](err)
	_, discarded := usercode.As[*discardError](err)
	if !delayed && !discarded {
		e.streak.Add(1)
	}
}

// reportBackoff publishes the loop's back-off while there is one.
func (e *engine[S, R]) reportBackoff() {
	if wait := e.loopBackoff(e.triggerWait(e.size())); wait > 0 {
		e.reporter.report(Event{Kind: EventLoopBackoff, Duration: wait})
	}
}

// loopBackoff returns how long after a start the loop may start the next
// iteration, given the wait of the trigger. It is 0 if the loop does not back
// off.
func (e *engine[S, R]) loopBackoff(triggerWait time.Duration) time.Duration {
	policy := e.retry.LoopBackoff
	beyond := int(e.streak.Load()) - policy.Failures
	if policy.Failures == Unlimited || beyond < 0 {
		return 0
	}
	return backoff.Doubled(triggerWait, beyond+1, max(policy.Limit, triggerWait))
}

func newRequeuer[S any](limit int) *requeuer[S] {
	return &requeuer[S]{
		limit: limit, health: sourceHealth(), wakeup: notify.NewSignal(),
		inQueue: delay.Notes{Limit: limit},
	}
}

// inQueueGrace is how much later than asked a queue may hand out a sample that it
// has delayed.
const inQueueGrace = 2 * time.Second

// noteInQueue notes that a queue keeps a sample until a delay is over: its Size
// does not count that sample.
func (r *requeuer[S]) noteInQueue(id string, wait time.Duration) {
	if wait > 0 {
		now := time.Now()
		r.inQueue.Add(id, now, now.Add(backoff.Sum(wait, inQueueGrace)))
	}
}

// delayed reports whether a sample waits for a delay, in the scorer or in its
// queue.
func (r *requeuer[S]) delayed() bool {
	return r.inQueue.Len(time.Now()) > 0 || r.heap.Len() > 0
}

// requeue gives a sample back to a queue that has forgotten it, now or when the
// delay of the verdict is over.
func (e *engine[S, R]) requeue(sample *Sample[S], verdict Verdict) {
	back := *sample
	if verdict.Outcome == OutcomeRetry && back.Attempt < math.MaxInt {
		back.Attempt++
	}
	unhealthy, _ := e.delays.health.Wait()
	if wait := max(verdict.Delay, unhealthy); wait > 0 {
		e.delays.heap.Push(time.Now().Add(wait), back)
		e.delays.wakeup.Set()
		if _, waiting, _ := e.delays.heap.Next(); waiting > e.delays.limit && unhealthy == 0 {
			e.requeueFirst(context.Background())
		}
		return
	}
	e.reporter.report(e.putBack(context.Background(), &back, time.Time{})...)
}

// putBack adds a sample to the queue again. If the queue does not take it, the
// scorer holds it and tries again later, but not before it is due; if ctx has
// ended, the queue is not to blame. It returns the events to report.
func (e *engine[S, R]) putBack(
	ctx context.Context, sample *Sample[S], due time.Time,
) (failed []Event) {
	err := e.add(ctx, settleTimeout, sample)
	switch {
	case err == nil:
		e.delays.health.Succeeded()
		return nil
	case ctx.Err() != nil:
		e.delays.heap.Push(latest(due, time.Now()), *sample)
		return nil
	}
	wait := e.delays.health.Failed(err)
	e.delays.heap.Push(latest(due, time.Now().Add(wait)), *sample)
	e.delays.wakeup.Set()
	return []Event{sample.event(EventPutBackFailed, wait, err)}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (e *engine[S, R]) add(ctx context.Context, limit time.Duration, sample *Sample[S]) error {
	err := e.callWithin(ctx, StageSettle, limit, func(ctx context.Context) error {
		return e.queue.Add(ctx, *sample)
	})
	if !e.watched {
		e.wakeup.Set()
	}
	return err
}

// requeueUntil puts samples back when their delays are over, until a stop. The
// end of ctx interrupts it.
func (e *engine[S, R]) requeueUntil(ctx context.Context, stopping <-chan struct{}) {
	timer := time.NewTimer(forever)
	defer timer.Stop()
	for {
		timer.Reset(e.requeueDue(ctx, stopping))
		select {
		case <-timer.C:
		case <-e.delays.wakeup:
		case <-stopping:
			return
		case <-ctx.Done():
			return
		}
	}
}

// requeueDue puts back every sample whose delay is over, and returns how long
// it takes until there is one more.
func (e *engine[S, R]) requeueDue(ctx context.Context, stopping <-chan struct{}) time.Duration {
	for ctx.Err() == nil && !notify.Closed(stopping) {
		if wait, _ := e.delays.health.Wait(); wait > 0 {
			return wait
		}
		if !e.requeueFirst(ctx) {
			break
		}
	}
	due, _, ok := e.delays.heap.Next()
	if !ok {
		return forever
	}
	return max(time.Until(due), 0)
}

// requeueFirst puts back the sample that is due first, if it is due or if too
// many wait.
func (e *engine[S, R]) requeueFirst(ctx context.Context) (ok bool) {
	sample, early, ok := e.delays.heap.Take(time.Now(), e.delays.limit)
	if !ok {
		return false
	}
	events := e.putBack(ctx, &sample, time.Now().Add(early))
	e.delays.heap.Done()
	if early > 0 && len(events) == 0 && ctx.Err() == nil {
		events = append(events, sample.event(EventDelayCut, early, nil))
	}
	e.reporter.report(events...)
	return true
}

// putBacksAtStop is how many samples a stop puts back at the same time.
const putBacksAtStop = 16

// requeueAll puts every held sample back before a stop ends. It goes on as long
// as the queue, or the dead-letter hook, takes a sample within settleTimeout of
// the one before; a queue that hangs delays the stop by settleTimeout, or by
// settleGrace more if it ignores the end of its ctx, and so does a dead-letter
// hook that hangs.
func (e *engine[S, R]) requeueAll(adds, burials *progress) {
	var group errgroup.Group
	group.SetLimit(putBacksAtStop)
	for {
		sample, _, ok := e.delays.heap.Take(time.Time{}, 0)
		if !ok {
			break
		}
		group.Go(func() error {
			events := e.putBackAtStop(&sample, adds, burials)
			e.delays.heap.Done()
			e.reporter.report(events...)
			return nil
		})
	}
	_ = group.Wait() // its functions return no error
}

// progress bounds calls that are made for many samples in a row.
type progress struct {
	last atomic.Int64               // success, Unix nanoseconds; 0: no call yet
	hung atomic.Pointer[StageError] // of a call that was abandoned when all others failed too
}

// try makes a call that may take until settleTimeout after the last success.
// After a call that has hung so long it makes none.
func (p *progress) try(call func(limit time.Duration) error) error {
	if hung := p.hung.Load(); hung != nil {
		return hung
	}
	p.last.CompareAndSwap(0, time.Now().UnixNano())
	err := call(p.left())
	if err == nil {
		p.last.Store(time.Now().UnixNano())
		return nil
	}
	failed, ok := err.(*StageError)                        //nolint:errorlint // of callWithin itself
	if ok && failed.Err == ErrAbandoned && p.left() <= 0 { //nolint:errorlint // as above
		p.hung.Store(failed)
	}
	return err
}

// left returns how long the next call may take.
func (p *progress) left() time.Duration {
	return time.Until(time.Unix(0, p.last.Load()).Add(settleTimeout))
}

// putBackAtStop passes a sample that the queue refuses to the dead-letter hook.
// If that fails too, the sample is lost. It returns the events to report.
func (e *engine[S, R]) putBackAtStop(sample *Sample[S], adds, burials *progress) []Event {
	refused := adds.try(func(limit time.Duration) error {
		return e.add(context.Background(), limit, sample)
	})
	if refused == nil {
		return nil
	}
	events := []Event{sample.event(EventPutBackFailed, 0, refused)}
	age := time.Since(sample.Received)
	err := burials.try(func(limit time.Duration) error {
		return e.bury(context.Background(), limit, *sample, refused)
	})
	if err != nil {
		return append(events, sample.event(EventDeadLetterFailed, 0, err),
			sample.event(EventDropped, age, errors.Join(refused, err)))
	}
	return append(events, sample.event(EventDead, age, refused))
}
