package organic_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// base has what every validator must write, and serves whoever gets that far.
type base struct {
	organic.DefaultHooks[string, string]
}

func (base) QueryMiners(context.Context, textSample) (map[organic.UID]string, error) {
	return map[organic.UID]string{}, nil
}

func (base) GenerateRewards(context.Context, textSample, map[organic.UID]string, string) (organic.Rewards, error) {
	return organic.Rewards{}, nil
}

func (base) SetWeights(context.Context, textSample, organic.Rewards) error { return nil }

func (base) OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	return okEntry(ctx, w, synapse)
}

// direct writes its guards itself.
type direct struct{ base }

func (direct) Blacklist(_ context.Context, synapse *organic.Synapse) error {
	if synapse.Dendrite.Hotkey == "banned" {
		return organic.Refuse(http.StatusForbidden, "banned")
	}
	return nil
}

func (direct) Verify(_ context.Context, synapse *organic.Synapse) error {
	if synapse.Dendrite.Hotkey == "forged" {
		return organic.Refuse(http.StatusUnauthorized, "forged")
	}
	return nil
}

func (direct) Priority(_ context.Context, synapse *organic.Synapse) float64 {
	return float64(len(synapse.Dendrite.Hotkey))
}

// Ways of inheriting the guards.
type (
	child        struct{ direct }
	grandchild   struct{ child }
	pointerChild struct{ *direct }
	// mixed has guards of a type that has nothing else, before the base.
	mixed struct {
		guards
		base
	}
	guards struct{}
	// embedding is as the documentation has it, a level deeper.
	embedding struct {
		*organic.OrganicScorer[string, string]
		child
	}
)

func (guards) Blacklist(ctx context.Context, synapse *organic.Synapse) error {
	return direct{}.Blacklist(ctx, synapse)
}

func (guards) Verify(ctx context.Context, synapse *organic.Synapse) error {
	return direct{}.Verify(ctx, synapse)
}

func (guards) Priority(ctx context.Context, synapse *organic.Synapse) float64 {
	return direct{}.Priority(ctx, synapse)
}

func TestInheritedGuardsAreCalled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		hooks organic.Hooks[string, string]
	}{
		{name: "written by the validator", hooks: direct{}},
		{name: "of its embedded type", hooks: child{}},
		{name: "of a grandparent", hooks: grandchild{}},
		{name: "of a pointer", hooks: pointerChild{&direct{}}},
		{name: "of a mixin", hooks: mixed{}},
		{name: "beside the scorer", hooks: &embedding{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				axon := &organictest.Axon{}
				run(t, tt.hooks, organic.WithAxon(axon))
				for hotkey, want := range map[string]int{
					"banned": http.StatusForbidden, "forged": http.StatusUnauthorized, "friend": http.StatusOK,
				} {
					synapse := &organic.Synapse{Dendrite: organic.Dendrite{Hotkey: hotkey}}
					status, _ := axon.Ask(t.Context(), synapse)
					require.Equal(t, want, status, hotkey)
					require.InDelta(t, 6, axon.Handlers().Priority(t.Context(), synapse), 0)
				}
			})
		})
	}
}

func TestHooksCannotBeMadeWithoutTheirDefaults(t *testing.T) {
	t.Parallel()
	type pointer struct {
		*organic.DefaultHooks[string, string]
		required
	}
	_, err := organic.New[string, string](pointer{})
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	require.ErrorContains(t, err, "by value")
	_, err = organic.New[string, string](nil)
	require.ErrorIs(t, err, organic.ErrInvalidOption)
	_, err = organic.New[string, string]((*direct)(nil))
	require.ErrorIs(t, err, organic.ErrInvalidOption)
}

// required has the hooks without a default, and nothing else.
type required struct{}

func (required) QueryMiners(ctx context.Context, sample textSample) (map[organic.UID]string, error) {
	return base{}.QueryMiners(ctx, sample)
}

func (required) GenerateRewards(ctx context.Context, sample textSample, responses map[organic.UID]string, reference string) (organic.Rewards, error) {
	return base{}.GenerateRewards(ctx, sample, responses, reference)
}

func (required) SetWeights(ctx context.Context, sample textSample, rewards organic.Rewards) error {
	return base{}.SetWeights(ctx, sample, rewards)
}
