package organic

import (
	"context"
	"net/http"
)

// Hooks is what a validator brings: S is the payload of a sample, R is the
// response of one miner. A reference is an R too, what an ideal miner would
// have answered.
//
// Embed [DefaultHooks] by value; it seals the interface and gives the methods
// marked "Default". Let the compiler name a wrong signature:
//
//	var _ organic.Hooks[Prompt, Completion] = (*Validator)(nil)
//
// # Who calls
//
// The scorer calls hooks from goroutines of its own (from the caller's in
// [OrganicScorer.Iterate], from the axon's for the four entry hooks), never
// from the goroutine of its loop, so a hook may block as long as it respects
// its ctx.
//
// # What runs at the same time
//
// QueryMiners and GenerateReference of one iteration run side by side, and the
// entry hooks run beside everything. With [WithConcurrency] above 1, or with
// Iterate called from several goroutines, every hook may run beside every
// other one and beside itself.
//
// # Context
//
// The ctx ends when the stage's [StagePolicy] times out, when the sibling of
// QueryMiners or GenerateReference failed, or at a hard stop. The end of ctx
// cancels nothing else: the scorer waits for the hook, and what it returns
// decides. Nil after the deadline is success, so partial answers count. The
// hook must not use ctx after it has returned, and must not wait in it for
// the scorer's own end: Stop answers [ErrStopInHook], Drain, Iterate and Run
// answer [ErrInHook].
//
// # Errors
//
// An error fails the iteration: an organic sample comes back later, with its
// attempt counted, or goes to the dead letters; a synthetic one is dropped.
// [RetryAfter] and [Discard] say it differently. A panic is an error
// ([PanicError]), and so is leaving by runtime.Goexit ([ErrGoexit]), which
// additionally ends all tries of the stage. The text of an error is logged:
// keep payloads and responses out of it.
//
// # Delivery
//
// A sample is scored at least once, not exactly once: SetWeights can see a
// sample's ID again when it returned an error after having set weights, when
// the process died, or when the queue could not be told the outcome.
type Hooks[S, R any] interface {
	// QueryMiners asks the miners and returns an answer for each UID that gave
	// one. The map is not touched by the scorer after GenerateRewards has seen
	// it; nil is allowed and means that nobody answered. Default stage policy:
	// no timeout, one try.
	QueryMiners(ctx context.Context, sample Sample[S]) (map[UID]R, error)

	// GenerateReference makes the answer that responses are compared with,
	// while the miners are being asked. Default: the zero R.
	GenerateReference(ctx context.Context, sample Sample[S]) (R, error)

	// GenerateRewards compares the responses with the reference. It runs after
	// both have succeeded.
	GenerateRewards(ctx context.Context, sample Sample[S], responses map[UID]R, reference R) (Rewards, error)

	// SetWeights takes the rewards. It alone is tried three times by default,
	// with the same rewards and without asking the miners again. The sample is
	// scored from the moment SetWeights returns nil; it can see the same
	// sample ID more than once. The scorer does not touch rewards afterwards.
	SetWeights(ctx context.Context, sample Sample[S], rewards Rewards) error

	// LogResults gets what the iteration produced; the result is the hook's to
	// keep. It runs after the sample is scored: an error is logged and changes
	// nothing else. Default: nothing.
	LogResults(ctx context.Context, result *Result[S, R]) error

	// OnOrganicEntry serves one request of a user that came in at an axon, and
	// must [OrganicScorer.Enqueue] what is to be scored. It is called only
	// while the scorer runs, from the axon's goroutine, beside any other hook.
	// An error made by [Refuse] is told to the requester; any other is a plain
	// 500, or a broken stream when bytes are out. Default: 501.
	OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *Synapse) error

	// Blacklist refuses a requester by returning an error, best made by
	// [Refuse]. Called first of the entry hooks, before Verify. Default:
	// nobody is refused.
	Blacklist(ctx context.Context, synapse *Synapse) error

	// Priority orders requests that wait at the axon: higher goes first, NaN
	// counts as zero. It does not order the queue. Called after Verify.
	// Default: 0.
	Priority(ctx context.Context, synapse *Synapse) float64

	// Verify refuses a request by returning an error. It comes on top of the
	// axon's own verification of the signature, which always runs. Default:
	// nothing more is verified.
	Verify(ctx context.Context, synapse *Synapse) error

	mustEmbedDefaultHooks()
}

// DefaultHooks gives a validator the hooks it does not write itself. Embed it
// by value; the documentation of [Hooks] says what each default does. It is
// empty and safe for concurrent use.
type DefaultHooks[S, R any] struct{}

// GenerateReference returns the zero R.
func (DefaultHooks[S, R]) GenerateReference(context.Context, Sample[S]) (R, error) {
	var none R
	return none, nil
}

// LogResults does nothing.
func (DefaultHooks[S, R]) LogResults(context.Context, *Result[S, R]) error { return nil }

// OnOrganicEntry refuses with status 501: the validator takes no requests.
func (DefaultHooks[S, R]) OnOrganicEntry(context.Context, http.ResponseWriter, *Synapse) error {
	return Refuse(http.StatusNotImplemented, "organic queries are not served")
}

// Blacklist refuses nobody.
func (DefaultHooks[S, R]) Blacklist(context.Context, *Synapse) error { return nil }

// Priority is 0 for everybody.
func (DefaultHooks[S, R]) Priority(context.Context, *Synapse) float64 { return 0 }

// Verify asks for nothing beyond the axon's own verification.
func (DefaultHooks[S, R]) Verify(context.Context, *Synapse) error { return nil }

func (DefaultHooks[S, R]) mustEmbedDefaultHooks() {} //nolint:unused // seals Hooks; called through the interface by New
