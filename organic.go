package organic

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/organic-scoring/organic/internal/chance"
	"github.com/organic-scoring/organic/internal/hold"
)

// OrganicScorer is the scoring loop of a validator: it takes samples, has them
// answered, rewarded and weighed by the validator's [Hooks], and keeps the
// promise that no sample is lost on the way. Make one with [New] and embed the
// pointer in the validator.
//
// All methods are safe for concurrent use, from hooks too. Those of a nil or
// never-built scorer do nothing, and return [ErrNotBuilt] where they return an
// error.
type OrganicScorer[S, R any] struct { //nolint:revive // the stutter is decided: embedded in a validator the name stands alone
	hooks      Hooks[S, R]
	queue      Queue[S]
	watched    bool // the queue tells of arrivals itself
	bury       deadLetterFunc[S]
	sources    *sources[S]
	stages     stagePolicies
	retry      RetryPolicy
	trigger    Trigger
	steps      *stepPacer // nil unless the trigger is Steps
	random     *chance.Source
	life       *lifecycle
	reporter   *reporter
	held       hold.Hold[Sample[S]] // failed samples that wait for their next attempt
	readding   source               // the health of the queue's Add
	slots      chan struct{}        // one value per iteration in flight
	wakeup     chan struct{}        // makes the loop look again
	paused     atomic.Bool
	overdue    atomic.Int64
	lastScored atomic.Int64 // Unix nanoseconds, 0 before the first
}

// New returns a scorer for the hooks of a validator, whose types S and R it
// infers. It checks all options and reports all that is wrong at once; it
// starts no goroutine and calls no hook, because the validator is only half
// built at that moment. Axons are attached last, when nothing else failed.
func New[S, R any](hooks Hooks[S, R], opts ...Option) (*OrganicScorer[S, R], error) {
	cfg := defaultConfig()
	errs := []error{checkHooks(hooks)}
	for i, opt := range opts {
		if isNil(opt) {
			errs = append(errs, invalid("New", "option %d is nil", i+1))
			continue
		}
		errs = append(errs, opt.apply(&cfg))
	}
	s := &OrganicScorer[S, R]{
		hooks:   hooks,
		stages:  cfg.stages,
		retry:   cfg.retry,
		trigger: cfg.trigger,
		random:  new(chance.Source),
		slots:   make(chan struct{}, cfg.concurrency),
		wakeup:  make(chan struct{}, 1),
	}
	errs = append(errs, s.adopt(&cfg))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.build(&cfg)
	if err := s.connect(cfg.axons); err != nil {
		return nil, err
	}
	return s, nil
}

// checkHooks refuses hooks that would panic when they are called.
func checkHooks[S, R any](hooks Hooks[S, R]) (err error) {
	if isNil(hooks) {
		return invalid("New(nil)", "hooks must not be nil")
	}
	defer func() {
		if recover() != nil {
			err = invalid("New", "DefaultHooks must be embedded by value in %T", hooks)
		}
	}()
	hooks.mustEmbedDefaultHooks()
	return nil
}

// adopt takes over the options that depend on the type of the payload.
func (s *OrganicScorer[S, R]) adopt(cfg *config) error {
	var queueOpts []QueueOption
	if cfg.seed != nil {
		s.random.Seed(*cfg.seed)
		queueOpts = append(queueOpts, WithSeed(^*cfg.seed)) // not the same stream twice
	}
	if cfg.queue == nil {
		cfg.queue, _ = NewMemoryQueue[S](queueOpts...)
	}
	queue, queueErr := typed[Queue[S]]("WithQueue", cfg.queue)
	datasets, synthErr := typed[[]NamedDataset[S]]("WithSynth", cfg.datasets)
	bury, buryErr := typed[deadLetterFunc[S]]("WithDeadLetter", cfg.deadLetter)
	if cfg.synthRatio > 0 && cfg.datasets == nil {
		synthErr = invalid(fmt.Sprintf("WithSynthRatio(%v)", cfg.synthRatio), "needs WithSynth")
	}
	s.queue, s.bury = queue, bury
	s.sources = newSources(queue, datasets, cfg.synthRatio, s.random)
	return errors.Join(queueErr, synthErr, buryErr)
}

// typed gives an option's value its type back; nil is the zero value.
func typed[T any](option string, value any) (T, error) {
	want, ok := value.(T)
	if !ok && value != nil {
		return want, invalid(option, "have %T, want %v", value, reflect.TypeFor[T]())
	}
	return want, nil
}

// build makes the parts that need nothing but valid options.
func (s *OrganicScorer[S, R]) build(cfg *config) {
	s.reporter = newReporter(cfg.logger, cfg.observers)
	s.sources.report = s.reporter.report
	s.life = newLifecycle(s.landed)
	if steps, ok := cfg.trigger.(Steps); ok {
		s.steps = newStepPacer(steps, s.wakeup)
	}
}

// connect watches the queue and attaches the axons, or leaves no trace.
func (s *OrganicScorer[S, R]) connect(axons []Axon) error {
	unwatch := func() {}
	if watched, ok := s.queue.(Watched); ok {
		s.watched = true
		if stop := watched.Watch(Watcher{Arrived: s.wake, Dropped: s.dropped}); stop != nil {
			unwatch = stop
		}
	}
	var detaches []func()
	for _, axon := range axons {
		err := protect(context.Background(), func(context.Context) error {
			detach, err := axon.Attach(s.handlers())
			if detach != nil {
				detaches = append(detaches, detach)
			}
			return err
		})
		if err != nil {
			for _, detach := range detaches {
				detach()
			}
			unwatch()
			return fmt.Errorf("organic: attach to axon: %w", err)
		}
	}
	return nil
}

func (s *OrganicScorer[S, R]) built() bool { return s != nil && s.hooks != nil }

func (s *OrganicScorer[S, R]) wake() { wake(s.wakeup) }

// size asks the queue, whose panic must not end the loop.
func (s *OrganicScorer[S, R]) size() (size int) {
	defer func() {
		if value := recover(); value != nil {
			s.reporter.report(&Event{Kind: EventSourceFailed, Source: queueName, Stage: StageSample, Err: newPanicError(value)})
		}
	}()
	return max(s.queue.Size(), 0)
}

// Enqueue puts an organic payload into the queue and returns the ID of its
// sample. It works at any time, whether the scorer runs or not. An error is
// the queue's, for instance [ErrFull], and means that the sample was not
// taken.
func (s *OrganicScorer[S, R]) Enqueue(ctx context.Context, payload S) (id string, err error) {
	if !s.built() {
		return "", ErrNotBuilt
	}
	sample := NewSample(payload)
	return sample.ID, s.enqueue(ctx, sample)
}

// EnqueueSample is [OrganicScorer.Enqueue] for a sample of which more is known,
// such as its Requester. It fills in ID, Received and Attempt where they are
// zero.
func (s *OrganicScorer[S, R]) EnqueueSample(ctx context.Context, sample Sample[S]) (id string, err error) {
	if !s.built() {
		return "", ErrNotBuilt
	}
	sample = sample.filled()
	return sample.ID, s.enqueue(ctx, sample)
}

func (s *OrganicScorer[S, R]) enqueue(ctx context.Context, sample Sample[S]) error {
	add := func(ctx context.Context) error { return s.queue.Add(ctx, sample) }
	if err := protect(ctx, add); err != nil {
		s.tell(&sample, EventRefused, 0, err)
		return fmt.Errorf("organic: enqueue: %w", err)
	}
	if !s.watched {
		s.wake()
	}
	s.tellAccepted(&sample)
	return nil
}

func (s *OrganicScorer[S, R]) tellAccepted(sample *Sample[S]) {
	s.reporter.count(EventAccepted, false)
	if !s.reporter.isHeard(EventAccepted) {
		return
	}
	e := sample.identity().event(EventAccepted)
	e.Size = s.size()
	s.reporter.publish(&e)
}

// tell reports an event about a sample that is in no iteration.
func (s *OrganicScorer[S, R]) tell(sample *Sample[S], kind EventKind, d time.Duration, err error) {
	e := sample.identity().event(kind)
	e.Duration, e.Err = d, err
	s.reporter.report(&e)
}

// dropped is told by the queue of a sample it gave up.
func (s *OrganicScorer[S, R]) dropped(d Dropped) {
	kind := EventDropped
	switch d.Reason {
	case DroppedExpired:
		kind = EventExpired
	case DroppedDead:
		kind = EventDead
	}
	s.reporter.report(&Event{Kind: kind, ID: d.ID, Origin: d.Origin, Attempt: d.Attempt, Duration: time.Since(d.Received)})
	s.life.noteLanding()
}

// IncrementStep adds a step to the counter of a [Steps] trigger, for instance
// once per block. It costs one atomic addition when no iteration is due. It
// has no effect under [Seconds].
func (s *OrganicScorer[S, R]) IncrementStep() {
	if s != nil && s.steps != nil {
		s.steps.increment()
	}
}

// SetStep sets the counter of a [Steps] trigger, which is not the chain's
// block number: reaching the threshold starts one iteration, however far the
// jump, and the counter keeps the remainder. It has no effect under [Seconds].
func (s *OrganicScorer[S, R]) SetStep(n int) {
	if s != nil && s.steps != nil {
		s.steps.set(n)
	}
}

// Pause holds the loop's starts: iterations in flight go on, as do requests,
// Enqueue, steps and Iterate. It lasts until Resume, over Stop and Start.
func (s *OrganicScorer[S, R]) Pause() { s.setPaused(true, EventPaused) }

// Resume ends a Pause.
func (s *OrganicScorer[S, R]) Resume() { s.setPaused(false, EventResumed) }

func (s *OrganicScorer[S, R]) setPaused(paused bool, kind EventKind) {
	if !s.built() || !s.paused.CompareAndSwap(!paused, paused) {
		return
	}
	s.reporter.report(&Event{Kind: kind})
	s.wake()
}

// Stats returns the counters and gauges. It is cheap enough for a readiness
// probe, but asks the queue for its size.
func (s *OrganicScorer[S, R]) Stats() Stats {
	if !s.built() {
		return Stats{}
	}
	stats := s.reporter.stats()
	s.life.fill(&stats)
	stats.Queued = s.size()
	stats.Delayed = s.held.Len()
	stats.Overdue = int(s.overdue.Load())
	stats.Paused = s.paused.Load()
	if last := s.lastScored.Load(); last != 0 {
		stats.LastScored = time.Unix(0, last)
	}
	return stats
}
