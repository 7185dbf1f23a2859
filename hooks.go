package organic

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/organic-scoring/organic/internal/hookctx"
	"github.com/organic-scoring/organic/internal/slogzap"
)

// Hooks is what a validator implements. S is the payload of a sample, R the
// response of one miner. A reference is an R too: the answer of an ideal miner.
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
// decides. Nil after the deadline is success, so partial answers count. With
// [StagePolicy].Abandon the scorer stops waiting for a hook that ignores the end
// of its ctx. A hook must not use ctx after it has returned, and must not wait
// for the end of the scorer: Stop then returns [ErrStopInHook], and Drain,
// Iterate and Run return [ErrInHook].
//
// # Errors
//
// An error fails the iteration: an organic sample comes back later, with its
// attempt counted, or goes to the dead-letter hook; a synthetic one is dropped.
// [RetryAfter] and [Discard] change that. A panic is an error
// ([PanicError]), and so is leaving by runtime.Goexit ([ErrGoexit]), which
// additionally ends all tries of the stage. The text of an error is logged:
// keep payloads and responses out of it.
//
// # Delivery
//
// A sample is scored at least once, not exactly once: SetWeights can see a
// sample's ID again if it returned an error after it had set weights, if
// the process died, or if the queue did not take the verdict.
type Hooks[S, R any] interface {
	// QueryMiners asks the miners and returns an answer for each UID that gave
	// one. The map is not touched by the scorer after GenerateRewards has seen
	// it; nil is allowed and means that no miner answered. Default stage policy:
	// no timeout, one try.
	QueryMiners(ctx context.Context, sample Sample[S]) (map[UID]R, error)

	// GenerateReference makes the answer that responses are compared with,
	// while the miners are being asked. Default: the zero R.
	GenerateReference(ctx context.Context, sample Sample[S]) (R, error)

	// GenerateRewards compares the responses with the reference. It runs after
	// both have succeeded.
	GenerateRewards(
		ctx context.Context, sample Sample[S], responses map[UID]R, reference R,
	) (Rewards, error)

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
	// An error made by [Refuse] is sent to the requester; any other is a plain
	// 500, or a broken stream when bytes are out. Default: 501.
	OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *Synapse) error

	// Blacklist refuses a requester by returning an error, best made by
	// [Refuse]. Called first of the entry hooks, before Verify. Default:
	// no requester is refused.
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

// Blacklist refuses no requester.
func (DefaultHooks[S, R]) Blacklist(context.Context, *Synapse) error { return nil }

// Priority is 0 for every requester.
func (DefaultHooks[S, R]) Priority(context.Context, *Synapse) float64 { return 0 }

// Verify asks for nothing beyond the axon's own verification.
func (DefaultHooks[S, R]) Verify(context.Context, *Synapse) error { return nil }

func (DefaultHooks[S, R]) mustEmbedDefaultHooks() {} //nolint:unused // New calls it through Hooks

// Annotate adds a value to the [Result] of the iteration whose hook was given
// ctx: additional information that is not a reward, such as a miner's latency.
// Later hooks of the iteration read it by [Annotations], and LogResults finds
// it in Result.Annotations and under its key in [Result.Logs]. Annotate may be
// called from several goroutines. It does nothing if ctx is not that of a hook
// of an iteration, or once LogResults has been called. The library does not
// print the values.
func Annotate(ctx context.Context, key string, value any) {
	hookctx.Annotate(orBackground(ctx), key, value)
}

// Annotations returns a copy of what was added by [Annotate] in the iteration
// whose hook was given ctx. It is nil if nothing was.
func Annotations(ctx context.Context) map[string]any {
	return hookctx.Annotations(orBackground(ctx))
}

// Rewards holds one reward per miner of an iteration. A miner that is missing
// gets no reward at all, which is not the same as a reward of zero. Negative
// rewards are penalties. NaN and infinite rewards fail the iteration with
// [ErrBadReward].
type Rewards map[UID]float64

// check refuses what cannot be averaged.
func (r Rewards) check() error {
	var sum float64
	for _, reward := range r {
		sum += reward - reward // 0, but NaN for NaN and the infinities
	}
	if sum == 0 {
		return nil
	}
	return r.badReward()
}

// badReward names the lowest UID whose reward is not a finite number.
func (r Rewards) badReward() error {
	for _, uid := range slices.Sorted(maps.Keys(r)) {
		if reward := r[uid]; math.IsNaN(reward) || math.IsInf(reward, 0) {
			return fmt.Errorf("%w: %v for UID %d", ErrBadReward, reward, uid)
		}
	}
	return nil
}

// Result is what one iteration produced. [Hooks].LogResults gets it and may
// keep it: the scorer does not touch it afterwards.
//
// It prints through fmt, zap, slog and encoding/json without payload, responses
// and reference: encode the fields where they are meant to be stored. It is not
// synchronised.
type Result[S, R any] struct {
	Sample    Sample[S]
	Responses map[UID]R
	Reference R
	Rewards   Rewards
	// Annotations are what hooks have added by [Annotate]; nil if nothing.
	Annotations map[string]any
	// Started is when sampling began.
	Started time.Time
	// Durations says how long each stage took, all its tries included.
	Durations Durations
	// QueueSize is how many samples waited at the end of the iteration.
	QueueSize int
}

// Durations are the times that an iteration spent, up to the log hook.
type Durations struct {
	Sample    time.Duration // taking the sample
	Query     time.Duration // QueryMiners
	Reference time.Duration // GenerateReference
	Responses time.Duration // both of them together, side by side
	Rewards   time.Duration // GenerateRewards
	Weights   time.Duration // SetWeights, all tries and the waits between them
	Total     time.Duration // from the start of sampling until SetWeights returned
}

// Logs returns the result under the keys of the Python original: times are
// float64 seconds, organic_queue_size and its twin organic_queue_len are int,
// is_organic_sample is bool. Beyond the original, organic_time_query and
// organic_time_reference separate what organic_time_responses holds together,
// and the annotations of the iteration stand under their own keys. An
// annotation does not overwrite a key of the original.
func (r Result[S, R]) Logs() map[string]any {
	logs := maps.Clone(r.Annotations)
	if logs == nil {
		logs = make(map[string]any)
	}
	maps.Copy(logs, map[string]any{
		"organic_time_sample":    r.Durations.Sample.Seconds(),
		"organic_time_responses": r.Durations.Responses.Seconds(),
		"organic_time_query":     r.Durations.Query.Seconds(),
		"organic_time_reference": r.Durations.Reference.Seconds(),
		"organic_time_rewards":   r.Durations.Rewards.Seconds(),
		"organic_time_weights":   r.Durations.Weights.Seconds(),
		"organic_time_total":     r.Durations.Total.Seconds(),
		"organic_queue_size":     r.QueueSize,
		"organic_queue_len":      r.QueueSize,
		"is_organic_sample":      r.Sample.Origin == Organic,
	})
	return logs
}

// Format writes the result without payload, responses and reference, whatever
// the verb for which fmt calls it.
func (r Result[S, R]) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "result of %v: %d responses, %d rewards, %v",
		r.Sample, len(r.Responses), len(r.Rewards), r.Durations.Total)
}

// LogValue gives slog the result without payload, responses and reference.
func (r Result[S, R]) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Any("sample", r.Sample),
		slog.Int("responses", len(r.Responses)),
		slog.Int("rewards", len(r.Rewards)),
		slog.Duration("total", r.Durations.Total),
		slog.Int("queue_size", r.QueueSize),
	)
}

// MarshalLogObject gives zap the result without payload, responses and
// reference.
func (r Result[S, R]) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return slogzap.AddGroup(enc, r.LogValue())
}

// MarshalJSON encodes what LogValue returns.
func (r Result[S, R]) MarshalJSON() ([]byte, error) { return slogzap.JSON(r.LogValue()) }
