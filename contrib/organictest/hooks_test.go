package organictest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// Both forms are hooks.
var (
	_ organic.Hooks[string, int] = organictest.HookFuncs[string, int]{}
	_ organic.Hooks[string, int] = (*organictest.HookFuncs[string, int])(nil)
)

func TestEveryHookHasAField(t *testing.T) {
	t.Parallel()
	interfaceType := reflect.TypeFor[organic.Hooks[string, int]]()
	structType := reflect.TypeFor[organictest.HookFuncs[string, int]]()
	exported := 0
	for method := range interfaceType.Methods() {
		if !method.IsExported() {
			continue
		}
		exported++
		field, found := structType.FieldByName(method.Name + "Func")
		require.Truef(t, found, "no field for %s", method.Name)
		require.Equal(t, method.Type, field.Type, method.Name)
	}
	require.Equal(t, exported+1, structType.NumField(), "a field for each hook, and DefaultHooks")
}

func TestNilHooksAreDefaults(t *testing.T) {
	t.Parallel()
	ctx, sample := t.Context(), organic.NewSample("prompt")
	hooks := &organictest.HookFuncs[string, int]{}

	responses, err := hooks.QueryMiners(ctx, sample)
	require.NoError(t, err)
	require.Nil(t, responses)
	reference, err := hooks.GenerateReference(ctx, sample)
	require.NoError(t, err)
	require.Zero(t, reference)
	rewards, err := hooks.GenerateRewards(ctx, sample, responses, reference)
	require.NoError(t, err)
	require.Nil(t, rewards)
	require.NoError(t, hooks.SetWeights(ctx, sample, rewards))
	require.NoError(t, hooks.LogResults(ctx, &organic.Result[string, int]{}))
	status, _ := organic.RefusalOf(hooks.OnOrganicEntry(ctx, httptest.NewRecorder(),
		&organic.Synapse{}))
	require.Equal(t, http.StatusNotImplemented, status)
	require.NoError(t, hooks.Blacklist(ctx, &organic.Synapse{}))
	require.NoError(t, hooks.Verify(ctx, &organic.Synapse{}))
	require.Zero(t, hooks.Priority(ctx, &organic.Synapse{}))
}

// note makes hooks that note their own names.
func note(called *[]string) organictest.HookFuncs[string, int] {
	add := func(name string) { *called = append(*called, name) }
	return organictest.HookFuncs[string, int]{
		QueryMinersFunc: func(context.Context, organic.Sample[string]) (map[organic.UID]int, error) {
			add("query")
			return map[organic.UID]int{0: 1}, errOwn
		},
		GenerateReferenceFunc: func(context.Context, organic.Sample[string]) (int,
			error,
		) {
			add("reference")
			return 2, errOwn
		},
		GenerateRewardsFunc: func(
			_ context.Context, _ organic.Sample[string], responses map[organic.UID]int, reference int,
		) (organic.Rewards, error) {
			add("rewards")
			return organic.Rewards{0: float64(responses[0] + reference)}, errOwn
		},
		SetWeightsFunc: func(
			context.Context, organic.Sample[string], organic.Rewards,
		) error {
			add("weights")
			return errOwn
		},
		LogResultsFunc: func(
			context.Context, *organic.Result[string, int],
		) error {
			add("log")
			return errOwn
		},
		OnOrganicEntryFunc: func(
			context.Context, http.ResponseWriter, *organic.Synapse,
		) error {
			add("entry")
			return errOwn
		},
		BlacklistFunc: func(
			context.Context, *organic.Synapse,
		) error {
			add("blacklist")
			return errOwn
		},
		PriorityFunc: func(context.Context, *organic.Synapse) float64 { add("priority"); return 7 },
		VerifyFunc: func(
			context.Context, *organic.Synapse,
		) error {
			add("verify")
			return errOwn
		},
	}
}

func TestHooksAreCalled(t *testing.T) {
	t.Parallel()
	var called []string
	ctx, sample, synapse := t.Context(), organic.NewSample("prompt"), &organic.Synapse{}
	hooks := note(&called)

	responses, err := hooks.QueryMiners(ctx, sample)
	require.ErrorIs(t, err, errOwn)
	reference, err := hooks.GenerateReference(ctx, sample)
	require.ErrorIs(t, err, errOwn)
	rewards, err := hooks.GenerateRewards(ctx, sample, responses, reference)
	require.ErrorIs(t, err, errOwn)
	require.Equal(t, organic.Rewards{0: 3}, rewards)
	require.ErrorIs(t, hooks.SetWeights(ctx, sample, rewards), errOwn)
	require.ErrorIs(t, hooks.LogResults(ctx, &organic.Result[string, int]{}), errOwn)
	require.ErrorIs(t, hooks.OnOrganicEntry(ctx, httptest.NewRecorder(), synapse), errOwn)
	require.ErrorIs(t, hooks.Blacklist(ctx, synapse), errOwn)
	require.InDelta(t, 7, hooks.Priority(ctx, synapse), 0)
	require.ErrorIs(t, hooks.Verify(ctx, synapse), errOwn)
	require.Equal(t, []string{
		"query", "reference", "rewards", "weights", "log", "entry", "blacklist",
		"priority", "verify",
	}, called)
}
