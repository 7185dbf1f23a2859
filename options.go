package organic

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/organic-scoring/organic/internal/option"
	"github.com/organic-scoring/organic/internal/slogzap"
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
	logger      *zap.Logger // nil: none
	concurrency int
	heldLimit   int
	stages      stagePolicies
	retry       RetryPolicy
	observers   []func(Event)
	seed        *uint64
}

// defaultHeldLimit is the bound of the samples that wait for their next attempt.
const defaultHeldLimit = 10_000

func defaultConfig() config {
	cfg := config{
		trigger:     Seconds{Frequency: 15 * time.Second},
		concurrency: 1,
		heldLimit:   defaultHeldLimit,
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
func invalid(name, format string, args ...any) error {
	return option.Invalid(ErrInvalidOption, name, format, args...)
}

// invalidAll returns the errors of an option of which several things are wrong.
func invalidAll(name string, wrong option.Problems) error {
	return option.InvalidAll(ErrInvalidOption, name, wrong)
}

// WithTrigger sets when iterations start: [Seconds] or [Steps]. The default is
// Seconds{Frequency: 15 * time.Second}.
func WithTrigger(trigger Trigger) Option {
	return optionFunc(func(cfg *config) error {
		if option.IsNil(trigger) {
			return invalid("WithTrigger(nil)", "must be Seconds or Steps")
		}
		switch trigger.(type) {
		case Seconds, Steps:
		default: // a pointer, or a struct that embeds one of them
			return invalid(fmt.Sprintf("WithTrigger(%T)", trigger), "must be Seconds or Steps, by value")
		}
		cfg.trigger = trigger
		return invalidAll("WithTrigger", trigger.check())
	})
}

// WithQueue sets the queue that organic samples wait in. The default is a
// [MemoryQueue] with its defaults. S must be the payload type of the hooks.
func WithQueue[S any](queue Queue[S]) Option {
	return optionFunc(func(cfg *config) error {
		if option.IsNil(queue) {
			return invalid("WithQueue(nil)", "must be a queue")
		}
		cfg.queue = queue
		return nil
	})
}

// WithSynth sets the datasets that give a sample when no organic one waits.
// One of them is picked at random, by the weights given to [Named]; a dataset
// that is not named has weight 1 and the name "synth", or "synth-2" and so on
// by its position. Without this option there are no synthetic samples.
func WithSynth[S any](datasets ...SynthDataset[S]) Option {
	return optionFunc(func(cfg *config) error {
		if len(datasets) == 0 {
			return invalid("WithSynth()", "must have at least one dataset")
		}
		named := make([]NamedDataset[S], len(datasets))
		var wrong option.Problems
		for i, dataset := range datasets {
			named[i] = nameDataset(i+1, dataset)
			for _, problem := range named[i].check() {
				wrong.Add("dataset %d: %s", i+1, problem)
			}
		}
		wrong.If(len(wrong) == 0 && math.IsInf(sumOfWeights(named), 0),
			"the sum of the weights is infinite, must be a finite number")
		cfg.datasets = named
		return invalidAll("WithSynth", wrong)
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
		if option.IsNil(axon) {
			return invalid("WithAxon(nil)", "must be an axon")
		}
		cfg.axons = append(cfg.axons, axon)
		return nil
	})
}

// WithLogger sets the logger. The scorer logs under the name "organic" and
// never logs a payload. The default logs nothing. A panic in the logger is
// contained. Of WithLogger and [WithSlog] the last one wins.
func WithLogger(logger *zap.Logger) Option {
	return optionFunc(func(cfg *config) error {
		if logger == nil {
			return invalid("WithLogger(nil)", "must be a logger; leave the option out to log nothing")
		}
		if logger.Core() == nil {
			return invalid("WithLogger(&zap.Logger{})",
				"must be made by a function of zap, such as zap.NewProduction")
		}
		cfg.logger = logger
		return nil
	})
}

// WithSlog sets a logger of the standard library in place of one of zap. The
// attribute "logger" is "organic".
func WithSlog(logger *slog.Logger) Option {
	return optionFunc(func(cfg *config) error {
		if logger == nil {
			return invalid("WithSlog(nil)", "must be a logger; leave the option out to log nothing")
		}
		if logger.Handler() == nil {
			return invalid("WithSlog(&slog.Logger{})", "must be made by slog.New")
		}
		cfg.logger = zap.New(slogzap.New(logger.Handler()))
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
		name := fmt.Sprintf("WithStage(%v)", stage)
		if stage > StageEntry {
			name = fmt.Sprintf("WithStage(%d)", stage)
		}
		if wrong := policy.check(stage); len(wrong) > 0 {
			return invalidAll(name, wrong)
		}
		cfg.stages[stage] = policy.withDefaults(stage)
		return nil
	})
}

// WithRetry sets how often and how soon a failed sample comes back, and how the
// loop slows down while everything fails.
func WithRetry(policy RetryPolicy) Option {
	return optionFunc(func(cfg *config) error {
		cfg.retry = policy.withDefaults()
		return invalidAll("WithRetry", policy.check())
	})
}

// WithHeldLimit bounds the samples that wait in memory until a delay is over,
// 10,000 by default. Beyond it the sample that is due first goes back to the
// queue early ([EventDelayCut]). It concerns queues whose leases have no Settle:
// the others keep delayed samples themselves.
func WithHeldLimit(n int) Option {
	return optionFunc(func(cfg *config) error {
		if n < 1 {
			return invalid(fmt.Sprintf("WithHeldLimit(%d)", n), "must be at least 1")
		}
		cfg.heldLimit = n
		return nil
	})
}

// WithDeadLetter sets the function that gets the samples that are out of
// attempts or were discarded, with the error that ended them. It is called in a
// goroutine of its own, for several samples at once if several iterations are
// in flight, with a ctx that allows 10 s. If it returns an error, panics, or has
// not returned a second later, the sample comes back to be tried again, without
// counting as an attempt; during a stop it is dropped if the queue has refused
// it. Without this option such samples are only counted and logged.
func WithDeadLetter[S any](
	deadLetter func(ctx context.Context, sample Sample[S], cause error) error,
) Option {
	return optionFunc(func(cfg *config) error {
		if deadLetter == nil {
			return invalid("WithDeadLetter(nil)", "must be a function")
		}
		cfg.deadLetter = deadLetterFunc[S](deadLetter)
		return nil
	})
}

type deadLetterFunc[S any] func(ctx context.Context, sample Sample[S], cause error) error

// WithObserver calls a function for every [Event]. It adds: each observer gets
// all events. The scorer calls it synchronously, from the goroutine in which
// the event happens and so from several at once, and holds no lock of its own
// meanwhile. Events of one iteration come in order, except those of query and
// reference, which run at the same time; those of producers (accepted, dropped)
// may come late. The function must not block and must not call Stop. A panic in
// it is contained.
func WithObserver(observe func(Event)) Option {
	return optionFunc(func(cfg *config) error {
		if observe == nil {
			return invalid("WithObserver(nil)", "must be a function")
		}
		cfg.observers = append(cfg.observers, observe)
		return nil
	})
}

// WithSeed makes the random choices of the scorer repeatable, as far as
// goroutines allow: the choice of datasets, the synthetic ratio, the jitter of
// delays, and the choices of the default queue. Without it they differ from run
// to run.
func WithSeed(seed uint64) Option {
	return optionFunc(func(cfg *config) error {
		cfg.seed = &seed
		return nil
	})
}
