package organictest

import (
	"context"
	"net/http"

	"github.com/organic-scoring/organic"
)

// HookFuncs is an [organic.Hooks] with a field for each hook, for tests. A nil
// field is the hook's default; QueryMiners and GenerateRewards then return a
// nil map, SetWeights does nothing. It is used by value or by pointer, and is
// as safe for concurrent use as its functions are; fields must not be changed
// once a scorer has it.
//
// A validator is better off with hooks as methods: the compiler then finds
// the one that was forgotten.
type HookFuncs[S, R any] struct {
	organic.DefaultHooks[S, R]

	QueryMinersFunc func(
		ctx context.Context, sample organic.Sample[S],
	) (map[organic.UID]R, error)

	GenerateReferenceFunc func(ctx context.Context, sample organic.Sample[S]) (R, error)

	GenerateRewardsFunc func(
		ctx context.Context, sample organic.Sample[S], responses map[organic.UID]R, reference R,
	) (organic.Rewards, error)

	SetWeightsFunc func(
		ctx context.Context, sample organic.Sample[S], rewards organic.Rewards,
	) error

	LogResultsFunc func(ctx context.Context, result *organic.Result[S, R]) error

	OnOrganicEntryFunc func(
		ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
	) error

	BlacklistFunc func(ctx context.Context, synapse *organic.Synapse) error
	PriorityFunc  func(ctx context.Context, synapse *organic.Synapse) float64
	VerifyFunc    func(ctx context.Context, synapse *organic.Synapse) error
}

// QueryMiners calls QueryMinersFunc; without it no miner answers.
func (h HookFuncs[S, R]) QueryMiners(
	ctx context.Context, sample organic.Sample[S],
) (map[organic.UID]R, error) {
	var responses map[organic.UID]R
	if h.QueryMinersFunc == nil {
		return responses, nil
	}
	return h.QueryMinersFunc(ctx, sample)
}

// GenerateReference calls GenerateReferenceFunc, or the default hook.
func (h HookFuncs[S, R]) GenerateReference(
	ctx context.Context, sample organic.Sample[S],
) (R, error) {
	if h.GenerateReferenceFunc == nil {
		return h.DefaultHooks.GenerateReference(ctx, sample)
	}
	return h.GenerateReferenceFunc(ctx, sample)
}

// GenerateRewards calls GenerateRewardsFunc; without it no miner is rewarded.
func (h HookFuncs[S, R]) GenerateRewards(
	ctx context.Context, sample organic.Sample[S], responses map[organic.UID]R, reference R,
) (organic.Rewards, error) {
	var rewards organic.Rewards
	if h.GenerateRewardsFunc == nil {
		return rewards, nil
	}
	return h.GenerateRewardsFunc(ctx, sample, responses, reference)
}

// SetWeights calls SetWeightsFunc; without it every sample is scored.
func (h HookFuncs[S, R]) SetWeights(
	ctx context.Context, sample organic.Sample[S], rewards organic.Rewards,
) error {
	if h.SetWeightsFunc == nil {
		return nil
	}
	return h.SetWeightsFunc(ctx, sample, rewards)
}

// LogResults calls LogResultsFunc, or the default hook.
func (h HookFuncs[S, R]) LogResults(ctx context.Context, result *organic.Result[S, R]) error {
	if h.LogResultsFunc == nil {
		return h.DefaultHooks.LogResults(ctx, result)
	}
	return h.LogResultsFunc(ctx, result)
}

// OnOrganicEntry calls OnOrganicEntryFunc, or the default hook.
func (h HookFuncs[S, R]) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	if h.OnOrganicEntryFunc == nil {
		return h.DefaultHooks.OnOrganicEntry(ctx, w, synapse)
	}
	return h.OnOrganicEntryFunc(ctx, w, synapse)
}

// Blacklist calls BlacklistFunc, or the default hook.
func (h HookFuncs[S, R]) Blacklist(ctx context.Context, synapse *organic.Synapse) error {
	if h.BlacklistFunc == nil {
		return h.DefaultHooks.Blacklist(ctx, synapse)
	}
	return h.BlacklistFunc(ctx, synapse)
}

// Priority calls PriorityFunc, or the default hook.
func (h HookFuncs[S, R]) Priority(ctx context.Context, synapse *organic.Synapse) float64 {
	if h.PriorityFunc == nil {
		return h.DefaultHooks.Priority(ctx, synapse)
	}
	return h.PriorityFunc(ctx, synapse)
}

// Verify calls VerifyFunc, or the default hook.
func (h HookFuncs[S, R]) Verify(ctx context.Context, synapse *organic.Synapse) error {
	if h.VerifyFunc == nil {
		return h.DefaultHooks.Verify(ctx, synapse)
	}
	return h.VerifyFunc(ctx, synapse)
}
