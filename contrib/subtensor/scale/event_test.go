package scale_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// record is an event as the kit's metadata describes it.
func record(phase any, pallet string, event scale.Variant) map[string]any {
	return map[string]any{
		"phase": phase, "event": scale.Variant{Name: pallet, Value: event}, "topics": []any{},
	}
}

func failed(failure any) scale.Variant {
	return scale.Variant{Name: "ExtrinsicFailed", Value: map[string]any{
		"dispatch_error": failure,
		"dispatch_info":  map[string]any{"weight": []any{1, 2}, "class": 0, "pays_fee": 1},
	}}
}

func TestEventsAreReadByName(t *testing.T) {
	t.Parallel()
	m := kit(t, 16)
	item, err := m.Storage("System", "Events")
	require.NoError(t, err)
	module := scale.Variant{Name: "Module", Value: map[string]any{"index": 7, "error": [4]byte{29}}}
	token := scale.Variant{Name: "Token", Value: scale.Variant{Name: "FundsUnavailable"}}
	value, err := item.Encode([]any{
		record("Initialization", "SubtensorModule",
			scale.Variant{Name: "WeightsSet", Value: []any{4097, 3}}),
		record(scale.Variant{Name: "ApplyExtrinsic", Value: 2}, "System", failed(module)),
		record(scale.Variant{Name: "ApplyExtrinsic", Value: 3}, "System", failed(token)),
		record(scale.Variant{Name: "ApplyExtrinsic", Value: 4}, "System", failed("BadOrigin")),
	})
	require.NoError(t, err)
	events, err := m.Events(value)
	require.NoError(t, err)
	require.Len(t, events, 4)

	require.True(t, events[0].Is("SubtensorModule", "WeightsSet"))
	require.False(t, events[0].Is("System", "WeightsSet"))
	require.Equal(t, "Initialization", events[0].Phase)
	var set struct{ Index, UID uint16 }
	require.NoError(t, events[0].Decode(&set))
	require.Equal(t, struct{ Index, UID uint16 }{4097, 3}, set)

	require.Equal(t, "ApplyExtrinsic", events[1].Phase)
	require.Equal(t, uint32(2), events[1].Extrinsic)
	for i, want := range []scale.ModuleError{
		{Pallet: "SubtensorModule", Name: "SettingWeightsTooFast", Docs: "What  it says."},
		{Name: "Token.FundsUnavailable"},
		{Name: "BadOrigin"},
	} {
		got, err := m.DispatchError(events[i+1])
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = m.DispatchError(events[0])
	require.Error(t, err)
}

func TestNoEvents(t *testing.T) {
	t.Parallel()
	events, err := kit(t, 16).Events(nil)
	require.NoError(t, err)
	require.Empty(t, events)
	_, err = kit(t, 16).Events(make([]byte, 5<<20))
	require.ErrorIs(t, err, scale.ErrMalformed)
}

func TestEventsOfARealRuntime(t *testing.T) {
	t.Parallel()
	m := realMetadata(t, "raonet-v15.hex")
	events, err := m.Events(runtime218(t).Events.Raw)
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.True(t, events[0].Is("System", "ExtrinsicSuccess"))
	require.Equal(t, "ApplyExtrinsic", events[0].Phase)
	failure, err := m.ModuleError(palletIndex(t, m, "SubtensorModule"), 30)
	require.NoError(t, err)
	require.Equal(t, "SettingWeightsTooFast", failure.Name)
}

func palletIndex(t *testing.T, m *scale.Metadata, name string) uint8 {
	t.Helper()
	pallet, err := m.Pallet(name)
	require.NoError(t, err)
	return pallet.Index
}
