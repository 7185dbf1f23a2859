package organic

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"go.uber.org/zap"
)

// Option configures an [OrganicScorer]; [New] lists what is wrong with all of
// them at once. Of two options of the same kind the last one wins, unless
// its comment says that it adds.
type Option interface {
	apply(cfg *config) error
}

// config is what the options leave behind. Values that depend on the payload
// type are held as any: New, which knows the type, checks them again.
type config struct {
	trigger     Trigger
	queue       any // Queue[S]
	datasets    any // []NamedDataset[S]
	synthRatio  float64
	deadLetter  any // deadLetterFunc[S]
	axons       []Axon
	logger      *zap.Logger
	concurrency int
	stages      stagePolicies
	retry       RetryPolicy
	observers   []func(Event)
	seed        *uint64
}

func defaultConfig() config {
	cfg := config{
		trigger:     Seconds{Frequency: 15 * time.Second},
		logger:      zap.NewNop(),
		concurrency: 1,
		retry:       RetryPolicy{}.withDefaults(),
	}
	for stage := range cfg.stages {
		cfg.stages[stage] = StagePolicy{}.withDefaults(Stage(stage))
	}
	return cfg
}

// optionFunc makes a function an Option.
type optionFunc func(cfg *config) error

func (f optionFunc) apply(cfg *config) error { return f(cfg) }

// invalid returns the error of an option: which one, and what would be right.
func invalid(option, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInvalidOption, option, fmt.Sprintf(format, args...))
}

// isNil reports whether an interface holds nothing, or a nil pointer, map or
// function.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch value := reflect.ValueOf(v); value.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice, reflect.Interface:
		return value.IsNil()
	default:
		return false
	}
}

// WithTrigger sets when iterations start: [Seconds] or [Steps]. The default is
// Seconds{Frequency: 15 * time.Second}.
func WithTrigger(trigger Trigger) Option {
	return optionFunc(func(cfg *config) error {
		if isNil(trigger) {
			return invalid("WithTrigger(nil)", "must be Seconds or Steps")
		}
		switch trigger.(type) {
		case Seconds, Steps:
		default: // a pointer, or a struct that embeds one of them
			return invalid(fmt.Sprintf("WithTrigger(%T)", trigger), "must be Seconds or Steps, by value")
		}
		cfg.trigger = trigger
		if err := trigger.check(); err != nil {
			return invalid("WithTrigger", "%v", err)
		}
		return nil
	})
}

// WithQueue sets the queue that organic samples wait in. The default is a
// [MemoryQueue] with its defaults. S must be the payload type of the hooks.
func WithQueue[S any](queue Queue[S]) Option {
	return optionFunc(func(cfg *config) error {
		if isNil(queue) {
			return invalid("WithQueue(nil)", "must be a queue")
		}
		cfg.queue = queue
		return nil
	})
}

// WithSynth sets the datasets that give a sample when no organic one waits.
// One of them is picked at random, by the weights given to [Named]; a dataset
// that is not named has weight 1 and the name "synth", or "synth-2" and so on
// by its place. Without this option there are no synthetic samples.
func WithSynth[S any](datasets ...SynthDataset[S]) Option {
	return optionFunc(func(cfg *config) error {
		if len(datasets) == 0 {
			return invalid("WithSynth()", "must have at least one dataset")
		}
		named := make([]NamedDataset[S], len(datasets))
		var errs []error
		for i, dataset := range datasets {
			named[i] = nameDataset(i+1, dataset)
			if err := named[i].check(); err != nil {
				errs = append(errs, invalid("WithSynth", "dataset %d: %v", i+1, err))
			}
		}
		cfg.datasets = named
		return errors.Join(errs...)
	})
}

// WithSynthRatio makes a share of the iterations synthetic even when organic
// samples wait. The ratio is a probability from 0, the default, to 1, and
// needs [WithSynth]. Where the dataset fails, an organic sample is taken.
func WithSynthRatio(ratio float64) Option {
	return optionFunc(func(cfg *config) error {
		if !(ratio >= 0 && ratio <= 1) {
			return invalid(fmt.Sprintf("WithSynthRatio(%v)", ratio), "must be from 0 to 1")
		}
		cfg.synthRatio = ratio
		return nil
	})
}

// WithAxon attaches the scorer to an axon, which hands it the requests of
// users. It adds: a scorer may be attached to several.
func WithAxon(axon Axon) Option {
	return optionFunc(func(cfg *config) error {
		if isNil(axon) {
			return invalid("WithAxon(nil)", "must be an axon")
		}
		cfg.axons = append(cfg.axons, axon)
		return nil
	})
}

// WithLogger sets the logger. The scorer logs under the name "organic" and
// never logs a payload. The default logs nothing.
func WithLogger(logger *zap.Logger) Option {
	return optionFunc(func(cfg *config) error {
		if logger == nil {
			return invalid("WithLogger(nil)", "must be a logger; leave the option out to log nothing")
		}
		cfg.logger = logger
		return nil
	})
}

// WithConcurrency sets how many iterations may be in flight at the same time,
// 1 by default. The trigger still paces their starts. With n above 1 every
// hook may run beside every other and beside itself. An iteration over HTTP
// takes some 300 KB, so about 1000 is a sensible ceiling.
func WithConcurrency(n int) Option {
	return optionFunc(func(cfg *config) error {
		if n < 1 {
			return invalid(fmt.Sprintf("WithConcurrency(%d)", n), "must be at least 1")
		}
		cfg.concurrency = n
		return nil
	})
}

// WithStage sets the policy of one stage, from [StageQuery] to [StageLog].
func WithStage(stage Stage, policy StagePolicy) Option {
	return optionFunc(func(cfg *config) error {
		option := fmt.Sprintf("WithStage(%v)", stage)
		if stage > StageEntry {
			option = fmt.Sprintf("WithStage(%d)", stage)
		}
		if stage < StageQuery || stage > StageLog {
			return invalid(option, "stage must be from StageQuery to StageLog")
		}
		if err := policy.check(); err != nil {
			return invalid(option, "%v", err)
		}
		cfg.stages[stage] = policy.withDefaults(stage)
		return nil
	})
}

// WithRetry sets how often and how soon a failed sample comes back.
func WithRetry(policy RetryPolicy) Option {
	return optionFunc(func(cfg *config) error {
		if err := policy.check(); err != nil {
			return invalid("WithRetry", "%v", err)
		}
		cfg.retry = policy.withDefaults()
		return nil
	})
}

// WithDeadLetter sets what gets the samples that are out of attempts or were
// discarded, with the error that ended them. The function is called from the
// goroutine of the iteration, several at once perhaps, with a ctx of its own
// that allows 10 s. An error or a panic of it sends the sample back to be
// tried again, without counting. Without this option such samples are
// only counted and logged.
func WithDeadLetter[S any](bury func(ctx context.Context, sample Sample[S], cause error) error) Option {
	return optionFunc(func(cfg *config) error {
		if bury == nil {
			return invalid("WithDeadLetter(nil)", "must be a function")
		}
		cfg.deadLetter = deadLetterFunc[S](bury)
		return nil
	})
}

type deadLetterFunc[S any] func(ctx context.Context, sample Sample[S], cause error) error

// WithObserver tells a function of every [Event]. It adds: each observer gets
// all events. It is called synchronously, from the goroutine where the event
// happened and so from several at once, outside the scorer's locks. Events of
// one iteration come in order, but for query and reference, which run side by
// side; those of producers (accepted, dropped) may come late. It must not block
// and must not call Stop. A panic in it is contained.
func WithObserver(observe func(Event)) Option {
	return optionFunc(func(cfg *config) error {
		if observe == nil {
			return invalid("WithObserver(nil)", "must be a function")
		}
		cfg.observers = append(cfg.observers, observe)
		return nil
	})
}

// SeedOption is what [WithSeed] returns: an option of scorers, of queues and
// of datasets.
type SeedOption struct{ seed uint64 }

// WithSeed makes random choices repeatable, as far as goroutines allow: in a
// scorer the pick of datasets, the synthetic ratio, the jitter of delays and
// the default queue's picks; in a [MemoryQueue] its picks; in a dataset its
// picks and changes. Without it they differ from run to run.
func WithSeed(seed uint64) SeedOption { return SeedOption{seed: seed} }

func (o SeedOption) apply(cfg *config) error { //nolint:unparam // the interface asks for an error
	cfg.seed = &o.seed
	return nil
}

// Unlimited is the number of RetryPolicy.Attempts that lets a sample fail for
// ever.
const Unlimited = -1

// RetryPolicy says what becomes of a sample whose iteration failed. A zero
// field means its default.
type RetryPolicy struct {
	// Attempts is how many iterations a sample may fail before it is
	// dead-lettered: 3 by default, or Unlimited.
	Attempts int
	// Delay is how long a sample waits after its first failure: 5 s by
	// default. It doubles with each further one, up to MaxDelay, and is then
	// changed by up to 20 % either way, at random.
	Delay time.Duration
	// MaxDelay is 5 min by default, or Delay if that is longer.
	MaxDelay time.Duration
}

func (p RetryPolicy) check() error {
	switch {
	case p.Attempts < Unlimited:
		return fmt.Errorf("RetryPolicy.Attempts is %d, must be at least 1, or Unlimited", p.Attempts)
	case p.Delay < 0:
		return fmt.Errorf("RetryPolicy.Delay is %v, must not be negative", p.Delay)
	case p.MaxDelay < 0 || p.MaxDelay > 0 && p.MaxDelay < p.Delay:
		return fmt.Errorf("RetryPolicy.MaxDelay is %v, must be at least Delay (%v)", p.MaxDelay, p.Delay)
	}
	return nil
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.Attempts == 0 {
		p.Attempts = 3
	}
	if p.Delay == 0 {
		p.Delay = 5 * time.Second
	}
	if p.MaxDelay == 0 {
		p.MaxDelay = max(5*time.Minute, p.Delay)
	}
	return p
}

// delay returns the wait before the attempt after this one. Jitter is a random
// number in [0, 1).
func (p RetryPolicy) delay(attempt int, jitter float64) time.Duration {
	delay := float64(doubled(p.Delay, attempt-1, p.MaxDelay))
	return time.Duration(delay * (0.8 + 0.4*jitter))
}

// doubled returns base doubled n times, at most limit.
func doubled(base time.Duration, n int, limit time.Duration) time.Duration {
	if n >= 63 || base > limit>>n {
		return limit
	}
	return base << n
}

// StagePolicy says how a stage's hook is called. A zero field means its
// default.
type StagePolicy struct {
	// Timeout ends the ctx of each call of the hook. Zero means no timeout,
	// which costs nothing.
	Timeout time.Duration
	// Tries is how often the hook is called until it succeeds, within one
	// iteration: by default 3 for StageWeights and 1 for the other stages.
	Tries int
	// Backoff is the wait before the second try: 1 s by default. It doubles
	// with each further try, up to 1 min or Backoff if that is longer. Stop
	// cuts it short: the remaining tries then follow at once.
	Backoff time.Duration
}

// stagePolicies has a policy for each stage from StageQuery to StageLog.
type stagePolicies [StageLog + 1]StagePolicy

func (p StagePolicy) check() error {
	switch {
	case p.Timeout < 0:
		return fmt.Errorf("StagePolicy.Timeout is %v, must not be negative", p.Timeout)
	case p.Tries < 0:
		return fmt.Errorf("StagePolicy.Tries is %d, must not be negative", p.Tries)
	case p.Backoff < 0:
		return fmt.Errorf("StagePolicy.Backoff is %v, must not be negative", p.Backoff)
	}
	return nil
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
	return doubled(p.Backoff, try-1, max(time.Minute, p.Backoff))
}
