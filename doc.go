// Package organic is the scoring loop of a Bittensor validator, to be embedded
// in a Go program. It replaces the loop, queue, triggers, retries and shutdown
// that each validator of a subnet with organic queries has to write by hand.
//
// # Overview
//
// A validator answers queries of real users ("organic" queries) through its
// miners, and scores the miners by them. The queries wait in a [Queue]. A
// [Trigger] starts an iteration every so many seconds or steps, sooner the more
// queries wait:
//
//	take a sample             organic, or synthetic if none waits
//	     │
//	QueryMiners ∥ GenerateReference
//	     │
//	GenerateRewards
//	     │
//	SetWeights                scored from here on
//	     │
//	LogResults
//
// The [Hooks] that the validator implements have what is particular to its
// subnet. The package does the rest.
//
// It is a port of the base class in macrocosm-os/organic-scoring; the page
// docs/from-python.md lists what differs.
//
// # Embedding
//
// A validator embeds the scorer and the default hooks, and writes the hooks
// that have no default:
//
//	type Validator struct {
//		*organic.OrganicScorer[Prompt, Completion]
//		organic.DefaultHooks[Prompt, Completion]
//	}
//
//	var _ organic.Hooks[Prompt, Completion] = (*Validator)(nil) // the compiler names a wrong hook
//
//	func NewValidator() (*Validator, error) {
//		v := &Validator{}
//		var err error
//		v.OrganicScorer, err = organic.New(v,
//			organic.WithTrigger(organic.Seconds{Frequency: time.Minute}))
//		return v, err
//	}
//
// The type parameters are the same everywhere: S is the payload of a sample, R
// what one miner answers. New infers both from the hooks.
//
// Embed DefaultHooks by value; New refuses a nil pointer to it. The scorer has
// no exported fields and its method names are few and specific (none is Close,
// String or Error), so that what is promoted does not change what the
// validator is. A method of the same name in the validator hides the scorer's,
// which stays reachable as v.OrganicScorer.Stop; two embedded types with the
// same method are ambiguous, and the compiler reports it where it is called. To
// have nothing promoted, keep the scorer in a named field.
//
// # Lifecycle
//
// New checks everything and starts nothing. [OrganicScorer.Run] blocks until
// its ctx ends or [OrganicScorer.Stop] is called; [OrganicScorer.Start] does
// the same in a goroutine of the scorer. Stop is the soft stop: no new
// iteration begins, those in flight are finished, and when it has returned nil
// no hook runs and no goroutine is left, except hooks that were abandoned (see
// [StagePolicy]). The end of the ctx given to Run or
// Start, or of the one given to Stop, is the hard stop: hooks are cancelled,
// and the samples they were at go back to the queue without costing an
// attempt. A scorer can be started again.
//
// Requests reach the hooks through an [Axon] only while the scorer runs.
// [OrganicScorer.Enqueue] works at any time.
//
// # Concurrency
//
// Every exported method is safe for concurrent use, and so are options,
// queues and datasets. Samples, results, rewards, events, stats, policies,
// triggers and errors are plain values: they may be copied, and read from any
// goroutine while none writes them. Hooks run in goroutines that the scorer
// owns, never in that of the loop. QueryMiners and GenerateReference run at the
// same time, the entry hooks beside everything; with
// [WithConcurrency] above 1 every hook may run beside every other one and
// beside itself.
//
// # Errors
//
// Bad configuration is an error of New that wraps [ErrInvalidOption]; nothing
// panics. A hook that fails, panics or leaves by runtime.Goexit fails its
// iteration with a [StageError]. The organic sample comes back later, up to
// seven times, and then goes to the dead-letter hook ([WithRetry],
// [WithDeadLetter]); [RetryAfter] and [Discard] change that. SetWeights alone is
// called again with the same rewards. While every iteration fails, the loop
// slows down ([LoopBackoff]). Delivery is at least once: SetWeights can see the
// ID of a sample twice.
//
// # Privacy
//
// Organic payloads are other people's text. The package itself puts no
// payload, response or reference into a log line, event, status or error, and
// a [Sample] or [Result] printed through fmt, zap or slog shows none. The text
// of a hook's own error is passed on as it is.
package organic
