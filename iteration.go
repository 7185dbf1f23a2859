package organic

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/organic-scoring/organic/internal/hookctx"
	"github.com/organic-scoring/organic/internal/lifecycle"
	"github.com/organic-scoring/organic/internal/notify"
	"github.com/organic-scoring/organic/internal/usercode"
)

// forever is a wait that only a wake-up ends.
const forever = time.Duration(math.MaxInt64)

// loop starts iterations as the trigger asks for them, until a stop. It calls
// no hook; of the user's code it calls only the queue. Everything that it waits
// for sets one signal: arrivals, steps, ends of iterations, stops, and its
// timer.
func (e *engine[S, R]) loop(ctx context.Context, stopping <-chan struct{}, pace *pacer) {
	timer := time.AfterFunc(forever, e.wakeup.Set)
	defer timer.Stop()
	for ctx.Err() == nil && !notify.Closed(stopping) {
		wait := e.startDue(ctx, pace)
		if wait <= 0 {
			continue
		}
		timer.Stop()
		if wait < forever {
			timer.Reset(wait)
		}
		<-e.wakeup
	}
}

// startDue starts an iteration if one is due, and returns how long the loop may
// sleep until it must look again.
func (e *engine[S, R]) startDue(ctx context.Context, pace *pacer) time.Duration {
	if e.rearm.CompareAndSwap(true, false) {
		pace.armed = true
	}
	size := e.size()
	if wait := e.untilDue(pace, size); wait > 0 {
		return wait
	}
	select {
	case e.slots <- struct{}{}:
	default:
		return forever // the end of an iteration wakes the loop
	}
	it := e.newIteration(ctx)
	if err := e.life.AdmitFromLoop(&it.unit); err != nil {
		it.withdraw()
		return forever // Resume wakes the loop, and so does a stop
	}
	if !it.takeForLoop() { //nolint:contextcheck // it has a ctx of its own, derived from this one
		return e.untilNextLook(pace, size)
	}
	it.fromLoop = true
	pace.started(it.unit.Started, size)
	go usercode.Sequence(it)
	return 0
}

// untilDue returns how long the next start must wait: for the trigger, and for
// the back-off of the loop.
func (e *engine[S, R]) untilDue(pace *pacer, size int) time.Duration {
	due := pace.until(size)
	if due > 0 || e.streak.Load() < int64(e.retry.LoopBackoff.Failures) {
		return due
	}
	return pace.since(e.loopBackoff(e.triggerWait(size)))
}

// untilNextLook is the wait after there was nothing to score. The trigger stays
// armed, and an arrival wakes the loop. A source in back-off is asked again
// when that is over, and a queue that reports no arrivals as often as the
// trigger asks.
func (e *engine[S, R]) untilNextLook(pace *pacer, size int) time.Duration {
	wait := e.sourceRecovery()
	if !e.watched {
		wait = min(wait, pace.look(size))
	}
	return wait
}

// iteration is one sample on its way from its source to its verdict. Its steps
// stand in this file in the order in which they happen.
type iteration[S, R any] struct {
	engine *engine[S, R]
	unit   lifecycle.Unit
	ctx    hookctx.Context // of the hooks
	next   step

	// settle is the lease's; nil: the sample is requeued by Add.
	settle    func(ctx context.Context, verdict Verdict) error
	fromLoop  bool                // started by the loop, not by Iterate
	taken     bool                // the iteration has its sample
	synthetic bool                // the sample is, or is to be, a dataset's
	identity  identity            // of the sample
	result    *Result[S, R]       // the log hook's own once it has been called
	query     sync.WaitGroup      // the goroutine of QueryMiners
	errs      [StageLog + 1]error // of the hooks
	scored    bool                // SetWeights returned nil
	err       error               // why the sample is not scored
	verdict   Verdict
	logBegun  time.Duration // when LogResults was due, for its event
}

// step is what an iteration does next.
type step uint8

const (
	stepSample step = iota
	stepStart
	stepQuery
	stepReference
	stepJoin
	stepRewards
	stepWeights
	stepDecide
	stepDeadLetter
	stepReport
	stepSettle
	stepLog
	stepEnd
)

// newIteration returns an iteration for a slot that has been acquired.
func (e *engine[S, R]) newIteration(ctx context.Context) *iteration[S, R] {
	ctx, cancel := context.WithCancelCause(ctx)
	started := time.Now()
	it := &iteration[S, R]{engine: e, result: &Result[S, R]{Started: started}}
	it.unit = lifecycle.Unit{Cancel: cancel, Started: started}
	it.ctx = hookctx.New(ctx, e.caller)
	e.gauges.organic.Add(1)
	e.gauges.admitted.Add(1)
	return it
}

// Step does what comes next and reports whether there is more. User code may
// leave the goroutine by runtime.Goexit; the sequence then goes on, in a new
// goroutine, with the step that follows.
func (it *iteration[S, R]) Step() (more bool) {
	current := it.next
	it.next++
	switch current {
	case stepSample:
		it.takeSample()
	case stepStart:
		it.reportStart()
	case stepQuery:
		it.startQuery()
	case stepReference:
		it.generateReference()
	case stepJoin:
		it.joinAnswers()
	case stepRewards:
		it.generateRewards()
	case stepWeights:
		it.setWeights()
	case stepDecide:
		it.decide()
	case stepDeadLetter:
		it.callDeadLetter()
	case stepReport:
		it.reportVerdict()
	case stepSettle:
		it.settleSample()
	case stepLog:
		it.logResults()
	case stepEnd:
		it.end()
		it.engine.wakeup.Set()
		return false
	}
	return true
}

// requeueFirst puts delayed samples back. If the ctx of Iterate ends meanwhile,
// the iteration takes no sample.
func (it *iteration[S, R]) requeueFirst() {
	_ = runIsolated(func() error {
		it.engine.requeueDue(&it.ctx, it.unit.Stopping())
		return nil
	})
	if it.ctx.Err() != nil {
		it.err = context.Cause(it.ctx.Context)
		it.next = stepEnd
	}
}

// takeForLoop takes an organic sample, or finds that a dataset may be asked. It
// does not ask a dataset, which may be slow: the iteration's own goroutine does.
// If there is nothing to score, it ends the iteration.
func (it *iteration[S, R]) takeForLoop() (found bool) {
	defer func() { // also when the queue leaves by runtime.Goexit
		if !found {
			it.end()
		}
	}()
	if it.engine.drawsSynthetic() {
		it.synthetic = true
		return true
	}
	var lease Lease[S]
	if it.engine.takeOrganic(&it.ctx, &lease) == nil {
		it.assign(&lease)
		return true
	}
	it.synthetic = it.engine.datasetReady()
	return it.synthetic
}

// takeSample takes a sample unless the loop has done so. If there is none, the
// iteration ends, and a start by the loop does not count.
func (it *iteration[S, R]) takeSample() {
	if it.taken {
		return
	}
	it.next, it.err = stepEnd, goexits[StageSample] // until a source has returned
	e := it.engine
	var lease Lease[S]
	it.synthetic, it.err = e.take(&it.ctx, it.synthetic || e.drawsSynthetic(), &lease)
	if it.err != nil {
		return
	}
	it.assign(&lease)
	it.next = stepStart
}

func (it *iteration[S, R]) assign(lease *Lease[S]) {
	it.taken = true
	it.verdict.Outcome = OutcomeReturn // until there is another
	it.settle = lease.Settle
	it.result.Sample = lease.Sample
	it.result.Sample.fill()
	it.result.Durations.Sample = it.elapsed()
	it.identity = it.result.Sample.identity()
	if it.settle != nil {
		it.engine.delays.inQueue.Remove(it.identity.id)
	}
	if it.synthetic {
		it.engine.gauges.organic.Add(-1)
	}
}

func (it *iteration[S, R]) elapsed() time.Duration { return time.Since(it.unit.Started) }

// reportStart publishes that an iteration has taken a sample. A synthetic one,
// which was made just now, has no age.
func (it *iteration[S, R]) reportStart() {
	if !it.engine.reporter.counted(EventStarted, it.synthetic) {
		return
	}
	age := max(it.result.Started.Sub(it.result.Sample.Received), 0)
	event := it.identity.event(EventStarted, age, nil)
	event.Time = it.unit.Started.Add(it.result.Durations.Sample)
	event.Size = it.engine.size()
	it.engine.reporter.publish(&event)
}

// startQuery calls QueryMiners in a goroutine of its own, for which joinAnswers
// waits.
func (it *iteration[S, R]) startQuery() {
	if !it.mayGoOn() {
		return
	}
	it.query.Add(1)
	go it.queryMiners()
}

func (it *iteration[S, R]) queryMiners() {
	defer it.query.Done()
	it.runStage(StageQuery)
}

// generateReference runs beside QueryMiners.
func (it *iteration[S, R]) generateReference() {
	if it.mayGoOn() {
		it.runStage(StageReference)
	}
}

// joinAnswers waits for QueryMiners and joins both errors, without one that
// only repeats the cancellation that the other has caused.
func (it *iteration[S, R]) joinAnswers() {
	it.query.Wait()
	durations := &it.result.Durations
	durations.Responses = max(durations.Query, durations.Reference)
	ctx, query, reference := it.ctx.Context, it.errs[StageQuery], it.errs[StageReference]
	switch cause := context.Cause(ctx); {
	case query == nil && reference == nil:
	case query == nil, usercode.IsSame(cause, reference) && usercode.IsEcho(ctx, query):
		it.err = reference
	case reference == nil, usercode.IsSame(cause, query) && usercode.IsEcho(ctx, reference):
		it.err = query
	default:
		it.err = errors.Join(query, reference)
	}
}

func (it *iteration[S, R]) generateRewards() {
	if it.mayGoOn() {
		it.runStage(StageRewards)
	}
}

func (it *iteration[S, R]) setWeights() {
	if it.mayGoOn() {
		it.runStage(StageWeights)
	}
}

// mayGoOn reports whether the next hook may be called, and notes why not.
func (it *iteration[S, R]) mayGoOn() bool {
	switch {
	case it.err != nil:
	case it.errs[StageRewards] != nil:
		it.err = it.errs[StageRewards]
	case it.errs[StageWeights] != nil:
		it.err = it.errs[StageWeights]
	case it.ctx.Err() != nil:
		it.err = interruption(context.Cause(it.ctx.Context))
	}
	return it.err == nil
}

// interruption returns the error of an iteration whose ctx has ended. The cause
// is user code, as the error of a hook is.
func interruption(cause error) error {
	return runIsolated(func() error { return fmt.Errorf("organic: interrupted: %w", cause) })
}

// decide makes the verdict. From the moment that SetWeights has returned nil
// the sample is scored, whatever happens afterwards.
func (it *iteration[S, R]) decide() {
	e := it.engine
	if it.scored {
		it.verdict.Outcome = OutcomeScored
		e.lastScored.Store(it.result.Started.Add(it.result.Durations.Total).UnixNano())
		recovered := e.endStreak()
		if total := it.result.Durations.Total; e.reporter.counted(EventScored, it.synthetic) {
			it.publish(EventScored, total, 0, total, nil)
		}
		if recovered {
			e.reporter.report(Event{Kind: EventLoopBackoff})
		}
		return
	}
	it.mayGoOn()
	it.verdict = e.verdictOf(it.err, it.identity.attempt, it.interrupted())
	if it.interrupted() {
		it.report(EventInterrupted, 0, it.elapsed(), it.errBeside())
		return
	}
	e.noteFailure(it.err)
	it.report(EventFailed, 0, it.elapsed(), it.err)
	e.reportBackoff()
}

// interrupted reports whether a hard stop, or the end of the ctx that Iterate
// was called with, has ended the iteration, and not a hook.
func (it *iteration[S, R]) interrupted() bool {
	cause := context.Cause(it.ctx.Context)
	return cause != nil &&
		!usercode.IsSame(cause, it.errs[StageQuery]) && !usercode.IsSame(cause, it.errs[StageReference])
}

// errBeside returns what a hook reported beyond its cancellation.
func (it *iteration[S, R]) errBeside() error {
	if it.errs == [len(it.errs)]error{} || usercode.IsEcho(it.ctx.Context, it.err) {
		return nil
	}
	return it.err
}

// callDeadLetter passes a sample that will not be scored to the dead-letter
// hook. If the hook fails, the sample comes back later, and that does not count
// as an attempt.
func (it *iteration[S, R]) callDeadLetter() {
	if it.synthetic || it.verdict.Outcome != OutcomeDead && it.verdict.Outcome != OutcomeDiscarded {
		return
	}
	e := it.engine
	err := e.bury(context.WithoutCancel(&it.ctx), settleTimeout, it.result.Sample, it.err)
	if err != nil {
		delay := e.retryDelay(it.identity.attempt)
		it.verdict = Verdict{Outcome: OutcomeReturn, Delay: delay, Err: it.err}
		it.report(EventDeadLetterFailed, StageDeadLetter, delay, err)
	}
}

// reportVerdict publishes the verdict on a sample of the queue that was not
// scored. A synthetic one is dropped.
func (it *iteration[S, R]) reportVerdict() {
	if it.synthetic || it.verdict.Outcome == OutcomeScored {
		return
	}
	age := time.Since(it.result.Sample.Received)
	switch it.verdict.Outcome {
	case OutcomeRetry:
		it.report(EventRetried, 0, it.verdict.Delay, it.err)
	case OutcomeReturn:
		it.report(EventReturned, 0, it.verdict.Delay, it.err)
	case OutcomeDead:
		it.report(EventDead, 0, age, it.err)
	case OutcomeDiscarded:
		it.report(EventDiscarded, 0, age, it.err)
	default:
	}
}

// settleSample gives the queue the verdict. If the queue has forgotten the
// sample, it gets it back.
func (it *iteration[S, R]) settleSample() {
	switch outcome := it.verdict.Outcome; {
	case it.synthetic:
	case it.settle != nil:
		begun := it.elapsed()
		err := it.engine.callWithin(context.WithoutCancel(&it.ctx), StageSettle, settleTimeout,
			func(ctx context.Context) error { return it.settle(ctx, it.verdict) })
		it.engine.delays.noteInQueue(it.identity.id, it.verdict.Delay)
		if err != nil {
			it.report(EventSettleFailed, StageSettle, it.elapsed()-begun, err)
		}
	case outcome == OutcomeRetry || outcome == OutcomeReturn:
		it.engine.requeue(&it.result.Sample, it.verdict)
	}
	it.result.QueueSize = it.engine.size()
}

// logResults passes on the result of a scored sample.
func (it *iteration[S, R]) logResults() {
	if it.verdict.Outcome != OutcomeScored {
		return
	}
	it.result.Annotations = it.ctx.Freeze()
	if it.engine.reporter.enabled(EventLogFailed) {
		it.logBegun = it.elapsed()
	}
	it.runStage(StageLog)
}

// end releases the slot, and the stop that waits for the iteration.
func (it *iteration[S, R]) end() {
	if !it.taken || !it.synthetic {
		it.engine.gauges.organic.Add(-1)
	}
	if !it.taken && it.fromLoop {
		it.engine.rearm.Store(true)
	}
	<-it.engine.slots
	it.engine.life.End(&it.unit)
}

// withdraw releases what an iteration holds that was not admitted.
func (it *iteration[S, R]) withdraw() {
	it.unit.Cancel(nil)
	it.engine.gauges.organic.Add(-1)
	<-it.engine.slots
}

// report counts an event of this iteration, which happens now, and publishes it.
func (it *iteration[S, R]) report(kind EventKind, stage Stage, d time.Duration, err error) {
	if it.engine.reporter.counted(kind, it.synthetic) {
		it.publish(kind, it.elapsed(), stage, d, err)
	}
}

// publish publishes an event of this iteration. At is counted from its start.
func (it *iteration[S, R]) publish(
	kind EventKind, at time.Duration, stage Stage, d time.Duration, err error,
) {
	of := &it.identity
	it.engine.reporter.publish(&Event{
		Kind: kind, Time: it.unit.Started.Add(at), ID: of.id, Origin: of.origin, Source: of.source,
		Attempt: of.attempt, Stage: stage, Duration: d, Err: err,
	})
}
