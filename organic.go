package organic

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/internal/backoff"
	"github.com/organic-scoring/organic/internal/delay"
	"github.com/organic-scoring/organic/internal/hookctx"
	"github.com/organic-scoring/organic/internal/lifecycle"
	"github.com/organic-scoring/organic/internal/notify"
	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/random"
	"github.com/organic-scoring/organic/internal/steps"
	"github.com/organic-scoring/organic/internal/usercode"
)

// OrganicScorer is the scoring loop of a validator. It takes samples, calls the
// validator's [Hooks] to have them answered, rewarded and turned into weights,
// and keeps every sample until one of these ends it: SetWeights, the
// dead-letter hook, or a bound of the queue. Make one with [New] and embed the
// pointer in the validator.
//
// All methods are safe for concurrent use, also from hooks. The methods of a
// nil scorer, or of one that New has not made, do nothing and return
// [ErrNotBuilt] where they return an error. A nil ctx counts as
// context.Background.
type OrganicScorer[S, R any] struct { //nolint:revive // it is embedded in a validator
	// engine is behind pointers, so that fmt prints an address whatever the verb:
	// hooks, queue and datasets of the user may be values that hold samples.
	engine **engine[S, R]
}

// engine is the state of a scorer.
type engine[S, R any] struct {
	hooks       Hooks[S, R]
	queue       Queue[S]
	watched     bool        // the queue reports arrivals itself
	sizeFails   atomic.Bool // the last call of the queue's Size panicked
	queueHealth backoff.Health
	datasets    []*dataset[S]
	synthRatio  float64
	deadLetter  deadLetterFunc[S]
	stages      stagePolicies
	retry       RetryPolicy
	trigger     Trigger
	steps       *steps.Counter // has no effect under Seconds
	random      *random.Source
	reporter    *reporter

	caller *hookctx.Caller // marks the ctx of hooks
	life   *lifecycle.Machine
	slots  chan struct{}  // one value per iteration in flight
	wakeup notify.Signal  // makes the loop look again
	rearm  atomic.Bool    // an iteration found nothing to score: its start does not count
	streak atomic.Int64   // iterations that have failed in a row
	delays *requeuer[S]   // samples that wait for their next attempt
	gauges iterationGauge // what Stats shows of the iterations

	lastScored atomic.Int64 // Unix nanoseconds, 0 before the first
}

// requeuer holds samples until they go back to the queue.
type requeuer[S any] struct {
	heap    delay.Heap[Sample[S]]
	limit   int            // WithHeldLimit
	health  backoff.Health // of the queue's Add
	wakeup  notify.Signal  // makes the requeueing goroutine look again
	inQueue delay.Notes    // IDs of samples whose delay a queue with Settle keeps, for Drain
}

// iterationGauge counts iterations and hooks by state.
type iterationGauge struct {
	organic   atomic.Int64  // in flight over a sample of the queue, or about to take one
	admitted  atomic.Uint64 // iterations so far
	overdue   atomic.Int64  // hooks that overstay their stage's timeout
	abandoned atomic.Int64  // hooks that were abandoned
}

// New returns a scorer for the hooks of a validator, whose types S and R it
// infers. It checks all options and reports everything that is wrong at once.
// It starts no goroutine and calls no hook, because the validator is only half
// built at that moment. It attaches the axons last, and detaches them again if
// one of them fails.
func New[S, R any](hooks Hooks[S, R], opts ...Option) (*OrganicScorer[S, R], error) {
	cfg := defaultConfig()
	errs := []error{checkHooks(hooks)}
	for i, opt := range opts {
		if option.IsNil(opt) {
			errs = append(errs, invalid("New", "option %d is nil", i+1))
			continue
		}
		errs = append(errs, usercode.Call(func() error { return opt.apply(&cfg) }, func(any) error {
			return invalid("New", "option %d is nil, inside %T", i+1, opt)
		}))
	}
	queue, err := queueOf[S](&cfg)
	errs = append(errs, err)
	datasets, err := datasetsOf[S](&cfg)
	errs = append(errs, err)
	deadLetter, err := typed[deadLetterFunc[S]]("WithDeadLetter", cfg.deadLetter)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}

	wakeup := notify.NewSignal()
	e := &engine[S, R]{
		hooks:       hooks,
		queue:       queue,
		queueHealth: sourceHealth(),
		datasets:    datasets,
		synthRatio:  cfg.synthRatio,
		deadLetter:  deadLetter,
		stages:      cfg.stages,
		retry:       cfg.retry,
		trigger:     cfg.trigger,
		steps:       steps.NewCounter(wakeup),
		random:      random.New(cfg.seed),
		reporter:    newReporter(cfg.logger, cfg.observers),
		caller:      new(hookctx.Caller),
		life:        lifecycle.New(),
		slots:       make(chan struct{}, cfg.concurrency),
		wakeup:      wakeup,
		delays:      newRequeuer[S](cfg.heldLimit),
	}
	if err := e.connect(cfg.axons); err != nil {
		return nil, err
	}
	return &OrganicScorer[S, R]{engine: &e}, nil
}

// checkHooks refuses hooks that would panic when they are called.
func checkHooks[S, R any](hooks Hooks[S, R]) error {
	if option.IsNil(hooks) {
		return invalid("New(nil)", "hooks must not be nil")
	}
	seal := func() error {
		hooks.mustEmbedDefaultHooks()
		return nil
	}
	return usercode.Call(seal, func(any) error {
		return invalid("New", "DefaultHooks must be embedded by value in %T", hooks)
	})
}

// queueOf returns the queue of the options, or the default one.
func queueOf[S any](cfg *config) (Queue[S], error) {
	if memory, ok := cfg.queue.(*MemoryQueue[S]); ok && memory.state == nil {
		return nil, invalid("WithQueue(&MemoryQueue{})", "must be made by NewMemoryQueue")
	}
	if cfg.queue != nil {
		return typed[Queue[S]]("WithQueue", cfg.queue)
	}
	memory := MemoryConfig{}
	if cfg.seed != nil {
		memory.Seed = max(^*cfg.seed, 1) // not the numbers that the scorer itself draws, and not 0
	}
	return NewMemoryQueue[S](memory)
}

func datasetsOf[S any](cfg *config) ([]*dataset[S], error) {
	if cfg.synthRatio > 0 && cfg.datasets == nil {
		return nil, invalid(fmt.Sprintf("WithSynthRatio(%v)", cfg.synthRatio), "needs WithSynth")
	}
	named, err := typed[[]NamedDataset[S]]("WithSynth", cfg.datasets)
	datasets := make([]*dataset[S], len(named))
	for i := range named {
		datasets[i] = &dataset[S]{NamedDataset: named[i], health: sourceHealth()}
	}
	return datasets, err
}

// typed gives the value of an option its type back. Nil becomes the zero value.
func typed[T any](name string, value any) (T, error) {
	want, ok := value.(T)
	if !ok && value != nil {
		return want, invalid(name, "have %T, want %v", value, reflect.TypeFor[T]())
	}
	return want, nil
}

// connect watches the queue and attaches the axons. If one of them fails,
// nothing stays attached.
func (e *engine[S, R]) connect(axons []Axon) error {
	var undo []func()
	err := e.watchQueue(&undo)
	for _, axon := range axons {
		if err == nil {
			err = e.attach(axon, &undo)
		}
	}
	if err == nil {
		return nil
	}
	for _, fn := range undo {
		_ = runIsolated(func() error {
			fn()
			return nil
		})
	}
	return err
}

func (e *engine[S, R]) watchQueue(undo *[]func()) error {
	watched, ok := e.queue.(Watched)
	if !ok {
		return nil
	}
	e.watched = true
	err := runIsolated(func() error {
		if stop := watched.Watch(Watcher{Arrived: e.wakeup.Set, Dropped: e.dropped}); stop != nil {
			*undo = append(*undo, stop)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("organic: watch the queue: %w", err)
	}
	return nil
}

func (e *engine[S, R]) attach(axon Axon, undo *[]func()) error {
	err := runIsolated(func() error {
		detach, err := axon.Attach(e.handlers())
		if detach != nil { // also of an axon that has attached in part
			*undo = append(*undo, detach)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("organic: attach to axon: %w", err)
	}
	return nil
}

// built returns the engine, or ErrNotBuilt.
func (s *OrganicScorer[S, R]) built() (*engine[S, R], error) {
	if s == nil || s.engine == nil {
		return nil, ErrNotBuilt
	}
	return *s.engine, nil
}

// Enqueue puts an organic payload into the queue and returns the ID of its
// sample. It works at any time, whether the scorer runs or not. An error is the
// queue's, for instance [ErrFull], and means that the queue does not have the
// sample.
func (s *OrganicScorer[S, R]) Enqueue(ctx context.Context, payload S) (id string, err error) {
	return s.EnqueueSample(ctx, Sample[S]{Payload: payload})
}

// EnqueueSample is [OrganicScorer.Enqueue] for a sample of which more is known,
// such as its Requester. It fills in ID, Received and Attempt where they are
// zero.
func (s *OrganicScorer[S, R]) EnqueueSample(
	ctx context.Context, sample Sample[S],
) (id string, err error) {
	e, err := s.built()
	if err != nil {
		return "", err
	}
	sample.fill()
	return sample.ID, e.enqueue(orBackground(ctx), &sample)
}

func (e *engine[S, R]) enqueue(ctx context.Context, sample *Sample[S]) error {
	err := usercode.Call(func() error { return e.queue.Add(ctx, *sample) }, newPanicError)
	if err != nil {
		e.reporter.report(sample.event(EventRefused, 0, err))
		return fmt.Errorf("organic: enqueue: %w", err)
	}
	if !e.watched {
		e.wakeup.Set()
	}
	if e.reporter.counted(EventAccepted, false) {
		accepted := sample.event(EventAccepted, 0, nil)
		accepted.Size = e.size()
		e.reporter.publish(&accepted)
	}
	return nil
}

// dropped is called by the queue for a sample that it has dropped.
func (e *engine[S, R]) dropped(d Dropped) {
	kind := EventDropped
	switch d.Reason {
	case DroppedExpired:
		kind = EventExpired
	case DroppedDead:
		kind = EventDead
	case DroppedFull:
	}
	if e.reporter.counted(kind, false) {
		age := time.Since(d.Received)
		event := Event{Kind: kind, ID: d.ID, Origin: d.Origin, Attempt: d.Attempt, Duration: age}
		usercode.IgnoreIsolated(func() { e.reporter.publish(&event) }) // the queue must go on
	}
	e.life.Touch()
}

// size asks the queue. A panic counts as an empty queue, and is reported when
// the call before it did not panic.
func (e *engine[S, R]) size() (size int) {
	err := usercode.Call(func() error {
		size = max(e.queue.Size(), 0)
		return nil
	}, newPanicError)
	if failedBefore := e.sizeFails.Swap(err != nil); err != nil && !failedBefore {
		e.reporter.report(Event{Kind: EventSourceFailed, Source: queueName, Stage: StageSample, Err: err})
	}
	return size
}

// Iterate runs one iteration now, in the caller's goroutine: for tests, and for
// programs with a loop of their own. It waits for a free slot (see
// [WithConcurrency]), ignores trigger, Pause and the loop's back-off, moves
// neither the clock nor the counter of the trigger, and is awaited by Stop.
//
// The error is [ErrEmpty] if there is nothing to score; the error of the queue,
// also while the queue is in back-off after a failure or refuses a sample that
// is put back; the error of the hook that failed, whose sample has then been
// requeued or dead-lettered as in the loop; [ErrStopping]; or the cause of ctx.
// A hook that leaves by runtime.Goexit ends the caller's goroutine too. The
// result is the one that LogResults got.
func (s *OrganicScorer[S, R]) Iterate(ctx context.Context) (*Result[S, R], error) {
	e, err := s.built()
	if err != nil {
		return nil, err
	}
	ctx = orBackground(ctx)
	switch {
	case e.caller.Has(ctx):
		return nil, ErrInHook
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	stopping := e.life.Stopping()
	if err := e.acquireSlot(ctx, stopping); err != nil {
		return nil, err
	}
	it := e.newIteration(ctx)
	if err := e.life.Admit(&it.unit, stopping); err != nil {
		it.withdraw()
		e.wakeup.Set()
		return nil, ErrStopping
	}
	if e.delays.heap.Len() > 0 && !e.life.Running() { // no goroutine of a run puts samples back
		it.requeueFirst() //nolint:contextcheck // it has a ctx of its own, derived from this one
	}
	usercode.Sequence(it)
	if it.err != nil {
		return nil, it.err
	}
	return it.result, nil
}

func (e *engine[S, R]) acquireSlot(ctx context.Context, stopping <-chan struct{}) error {
	select {
	case e.slots <- struct{}{}: // the usual case, in a quarter of the time
		return nil
	default:
	}
	select {
	case e.slots <- struct{}{}:
		return nil
	case <-stopping:
		return ErrStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run runs the loop until ctx ends or Stop is called. It returns nil when the
// stop has finished. It returns [ErrRunning] at once while another run has not
// ended, and [ErrInHook] for the ctx of a hook. The end of ctx is the hard
// stop: it cancels the hooks, and the samples of the interrupted iterations go
// back to the queue. See [OrganicScorer.Stop] for the soft stop.
func (s *OrganicScorer[S, R]) Run(ctx context.Context) error {
	e, err := s.built()
	if err != nil {
		return err
	}
	supervise, err := e.start(orBackground(ctx))
	if err != nil {
		return err
	}
	supervise()
	return nil
}

// Start runs the loop as [OrganicScorer.Run] does, in a goroutine of the
// scorer: Stop waits for it, and Done reports its end. A scorer can be started
// again after it has ended.
func (s *OrganicScorer[S, R]) Start(ctx context.Context) error {
	e, err := s.built()
	if err != nil {
		return err
	}
	supervise, err := e.start(orBackground(ctx))
	if err != nil {
		return err
	}
	go supervise()
	return nil
}

func (e *engine[S, R]) start(ctx context.Context) (supervise func(), err error) {
	if e.caller.Has(ctx) {
		return nil, ErrInHook
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	stopping, _, err := e.life.Start(cancel)
	if err != nil {
		cancel(nil)
		return nil, ErrRunning
	}
	return func() {
		e.supervise(runCtx, stopping)
		cancel(nil)
	}, nil
}

// supervise owns the goroutines of a run: the loop, and the one that puts
// delayed samples back.
func (e *engine[S, R]) supervise(ctx context.Context, stopping <-chan struct{}) {
	e.reportIsolated(EventRunning)
	var goroutines sync.WaitGroup
	goroutines.Go(func() {
		untilReturned(ctx, stopping, func() { e.requeueUntil(ctx, stopping) })
	})
	loopEnded := make(chan struct{})
	pace := &pacer{trigger: e.trigger, steps: e.steps}
	goroutines.Go(func() {
		defer close(loopEnded)
		untilReturned(ctx, stopping, func() { e.loop(ctx, stopping, pace) })
	})

	select {
	case <-loopEnded:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		e.hardStop(context.Cause(ctx))
	}
	<-loopEnded
	e.reportIsolated(EventStopping)
	e.awaitInFlight(ctx)
	var adds, burials progress
	e.requeueAll(&adds, &burials)
	goroutines.Wait()
	e.requeueAll(&adds, &burials) // what the requeueing goroutine was putting back
	e.reportIsolated(EventStopped)
	e.life.Finish()
}

// untilReturned calls run in a goroutine of its own and waits until it returns.
// If the queue or an observer ends that goroutine by runtime.Goexit, run gets
// another one after a pause, unless the run has ended.
func untilReturned(ctx context.Context, stopping <-chan struct{}, run func()) {
	for {
		err := runIsolated(func() error {
			run()
			return nil
		})
		if err == nil {
			return
		}
		pause := time.NewTimer(time.Second)
		select {
		case <-pause.C:
		case <-stopping:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// reportIsolated reports an event of the run in a goroutine of its own, which an
// observer may end by runtime.Goexit.
func (e *engine[S, R]) reportIsolated(kind EventKind) {
	_ = runIsolated(func() error {
		e.reporter.report(Event{Kind: kind})
		return nil
	})
}

// awaitInFlight waits until no iteration and no request is in flight. The end
// of ctx is the hard stop.
func (e *engine[S, R]) awaitInFlight(ctx context.Context) {
	ended, stop := e.life.Listen()
	defer stop()
	hard := ctx.Done()
	for e.life.InFlight() > 0 {
		select {
		case <-ended:
		case <-hard:
			e.hardStop(context.Cause(ctx))
			hard = nil
		}
	}
}

func (e *engine[S, R]) hardStop(cause error) {
	e.life.RequestStop()
	e.wakeup.Set()
	e.life.Kill(cause)
}

// Stop is the soft stop. The intake closes at once (axons answer 503), no new
// iteration starts, and what is in flight is awaited; a stage's back-off is cut
// short. Nil means that no hook runs and no goroutine is left, except hooks
// that were abandoned (see [StagePolicy]). Stop returns nil at once if nothing
// is running.
//
// Samples that wait for their next attempt go back to the queue. A sample that
// the queue refuses goes to the dead-letter hook.
//
// If ctx ends first, Stop cancels what is in flight, returns the cause of ctx
// at once, and may be called again to wait. For the ctx of a hook it requests
// the stop and returns [ErrStopInHook].
func (s *OrganicScorer[S, R]) Stop(ctx context.Context) error {
	e, err := s.built()
	if err != nil {
		return err
	}
	ctx = orBackground(ctx)
	if e.life.Idle() && e.delays.heap.Len() == 0 {
		return nil
	}
	stopped, mustFinish := e.life.RequestStop()
	e.wakeup.Set()
	if mustFinish {
		go e.finishStop() //nolint:contextcheck // the stop goes on when ctx has ended
	}
	if e.caller.Has(ctx) {
		return ErrStopInHook
	}
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
	}
	if notify.Closed(stopped) {
		return nil
	}
	e.life.Kill(context.Cause(ctx))
	return context.Cause(ctx)
}

// finishStop finishes a stop that was requested between runs.
func (e *engine[S, R]) finishStop() {
	e.awaitInFlight(context.Background())
	e.requeueAll(new(progress), new(progress))
	e.life.Finish()
}

// Done returns a channel that is closed when the current run has ended, or the
// last one, or, before the first, the coming one. The channel of a scorer that
// New has not made is closed.
func (s *OrganicScorer[S, R]) Done() <-chan struct{} {
	e, err := s.built()
	if err != nil {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return e.life.Done()
}

// drainPoll is how often Drain looks at a queue that other processes may have
// emptied.
const drainPoll = time.Second

// Drain returns nil when no sample is queued, delayed or in flight; synthetic
// samples do not count. It starts and stops nothing: a queue becomes empty only
// while the scorer runs or Iterate is called. If ctx ends first, Drain returns
// its cause.
func (s *OrganicScorer[S, R]) Drain(ctx context.Context) error {
	e, err := s.built()
	if err != nil {
		return err
	}
	ctx = orBackground(ctx)
	if e.caller.Has(ctx) {
		return ErrInHook
	}
	ended, stop := e.life.Listen()
	defer stop()
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for !e.drained() {
		select {
		case <-ended:
		case <-poll.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// drained looks for samples in the order in which they move: in flight,
// delayed by the scorer or by the queue, queued. A sample that an iteration
// takes from the queue meanwhile shows as a new admission.
func (e *engine[S, R]) drained() bool {
	before := e.gauges.admitted.Load()
	if e.gauges.organic.Load() > 0 || e.delays.delayed() || e.size() > 0 {
		return false
	}
	return e.gauges.admitted.Load() == before
}

// Pause stops the loop from starting iterations until Resume: when Pause has
// returned, the loop starts none. Iterations in flight go on, and requests,
// Enqueue, steps and Iterate are not affected. A pause outlasts Stop and Start.
func (s *OrganicScorer[S, R]) Pause() { s.setPaused(true, EventPaused) }

// Resume ends a Pause.
func (s *OrganicScorer[S, R]) Resume() { s.setPaused(false, EventResumed) }

func (s *OrganicScorer[S, R]) setPaused(paused bool, kind EventKind) {
	e, err := s.built()
	if err != nil || !e.life.SetPaused(paused) {
		return
	}
	e.reporter.report(Event{Kind: kind})
	e.wakeup.Set()
}

// IncrementStep adds a step to the counter of a [Steps] trigger, for instance
// once per block. It costs one atomic addition if no iteration is due. It has
// no effect under [Seconds].
func (s *OrganicScorer[S, R]) IncrementStep() {
	if s != nil && s.engine != nil {
		(*s.engine).steps.Increment()
	}
}

// SetStep sets the counter of a [Steps] trigger, which is not the chain's
// block number: reaching the threshold starts one iteration, however far the
// jump, and the counter keeps the remainder. It has no effect under [Seconds].
func (s *OrganicScorer[S, R]) SetStep(n int) {
	if s != nil && s.engine != nil {
		(*s.engine).steps.Set(n)
	}
}

// Stats returns the counters and gauges. It asks the queue for its size and
// otherwise takes constant time, so that a readiness probe can call it.
func (s *OrganicScorer[S, R]) Stats() Stats {
	e, err := s.built()
	if err != nil {
		return Stats{}
	}
	stats := e.reporter.stats()
	var oldest time.Time
	stats.InFlight, oldest = e.life.Work()
	if stats.InFlight > 0 {
		stats.OldestInFlight = time.Since(oldest)
	}
	stats.InFlightOrganic = int(e.gauges.organic.Load())
	stats.Queued = e.size()
	stats.Delayed = e.delays.heap.Len()
	stats.Overdue = int(e.gauges.overdue.Load())
	stats.Abandoned = int(e.gauges.abandoned.Load())
	stats.LoopBackoff = e.loopBackoff(e.triggerWait(stats.Queued))
	stats.Running = e.life.Running()
	stats.Paused = e.life.Paused()
	if last := e.lastScored.Load(); last != 0 {
		stats.LastScored = time.Unix(0, last)
	}
	return stats
}

// orBackground makes a nil ctx usable.
func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}
