// Package organic is the scoring loop of a Bittensor validator, to be embedded
// in a Go program. It replaces the loop, queue, triggers, retries and shutdown
// that each validator of a subnet with organic queries has to write by hand.
//
// # Overview
//
// A validator serves queries of real users ("organic" ones) by way of its
// miners, and scores the miners by them. The queries are kept in a [Queue]. A
// [Trigger] fires every so many seconds or steps, the sooner the more queries
// wait. Then one sample is taken, an organic one or, when there is none, a
// synthetic one from a [SynthDataset]; the miners are queried and a reference
// is made side by side; the answers become rewards, the rewards weights; and
// the iteration is logged. What is particular to a subnet is in the [Hooks]
// that the validator writes; everything else is here.
//
// It is a port of the base class in macrocosm-os/organic-scoring. What differs
// from it, and why, is in the README.
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
//	var _ organic.Hooks[Prompt, Completion] = (*Validator)(nil) // makes the compiler name the wrong hook
//
//	func NewValidator() (*Validator, error) {
//		v := &Validator{}
//		var err error
//		v.OrganicScorer, err = organic.New(v, organic.WithTrigger(organic.Seconds{Frequency: time.Minute}))
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
// same method are ambiguous, and the compiler says so where it is called. To
// have nothing promoted, keep the scorer in a named field.
//
// # Lifecycle
//
// New checks everything and starts nothing. [OrganicScorer.Run] blocks until
// its ctx ends or [OrganicScorer.Stop] is called; [OrganicScorer.Start] does
// the same in a goroutine of the scorer. Stop is the soft stop: no new
// iteration begins, those in flight are finished, and when it has returned nil
// no hook runs and no goroutine is left. The end of the ctx given to Run or
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
// goroutine while nobody writes them. Hooks run in goroutines
// that the scorer owns, never in that of the loop. QueryMiners and
// GenerateReference run side by side, the entry hooks beside everything; with
// [WithConcurrency] above 1 every hook may run beside every other one and
// beside itself.
//
// # Errors
//
// Bad configuration is an error of New that wraps [ErrInvalidOption]; nothing
// panics. A hook that fails, panics or leaves by runtime.Goexit fails its
// iteration with a [StageError]. The organic sample comes back later, by
// default twice, after 5 s and 10 s, and then goes to the dead-letter hook
// ([WithRetry], [WithDeadLetter]); [RetryAfter] and [Discard] let a hook say
// otherwise. SetWeights alone is tried again at once with the same rewards.
// Delivery is at least once: SetWeights can see the ID of a sample twice.
//
// # Privacy
//
// Organic payloads are other people's text. The package itself puts no
// payload, response or reference into a log line, event, status or error, and
// a [Sample] or [Result] printed through fmt, zap or slog shows none. The text
// of a hook's own error is carried as it comes.
package organic
