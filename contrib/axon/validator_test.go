package axon_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/organic-scoring/organic"
	"github.com/stretchr/testify/require"
)

// validator is a scorer behind both routes of a stand.
type validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string]
	entries atomic.Int64
}

var _ organic.Hooks[string, string] = (*validator)(nil)

func newValidator(t *testing.T, s *stand) *validator {
	t.Helper()
	v := &validator{}
	scorer, err := organic.New(v, organic.WithAxon(s.bittensor), organic.WithAxon(s.epistula))
	require.NoError(t, err)
	v.OrganicScorer = scorer
	return v
}

func (v *validator) QueryMiners(
	context.Context, organic.Sample[string],
) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "answer"}, nil
}

func (v *validator) GenerateRewards(
	context.Context, organic.Sample[string], map[organic.UID]string, string,
) (organic.Rewards, error) {
	return organic.Rewards{0: 1}, nil
}

func (v *validator) SetWeights(context.Context, organic.Sample[string], organic.Rewards) error {
	return nil
}

func (v *validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	v.entries.Add(1)
	if _, err := v.EnqueueSample(ctx,
		organic.Sample[string]{
			Payload:   string(synapse.Body),
			Requester: synapse.Dendrite.Hotkey,
		}); err != nil {
		return err
	}
	return echo(ctx, w, synapse)
}
