package subtensor_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// realMetadata reads metadata of a real runtime. The files are not part of the repository: the test
// is skipped where they are absent. CHAIN_METADATA names the folder.
func realMetadata(t *testing.T, name string) *scale.Metadata {
	t.Helper()
	folder := os.Getenv("CHAIN_METADATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data", "chain", "metadata")
	}
	data, err := os.ReadFile(filepath.Join(folder, name))
	if os.IsNotExist(err) {
		t.Skipf("no %s: CHAIN_METADATA must name a folder that has it", name)
	}
	require.NoError(t, err)
	if strings.HasSuffix(name, ".hex") {
		data, err = hex.DecodeString(strings.TrimPrefix(string(bytes.TrimSpace(data)), "0x"))
		require.NoError(t, err)
		m, err := scale.ParseResult(data)
		require.NoError(t, err)
		return m
	}
	m, err := scale.Parse(data)
	require.NoError(t, err)
	return m
}

// stored is a storage item that the client reads, with the types of its keys and of its value.
type stored struct {
	item   string
	target any
	keys   []any
}

func storedItems() []stored {
	var hotkey keys.Hotkey
	return []stored{
		{"SubtensorModule.NetworksAdded", new(bool), []any{netuid}},
		{"SubtensorModule.SubnetworkN", new(uint16), []any{netuid}},
		{"SubtensorModule.Tempo", new(uint16), []any{netuid}},
		{"SubtensorModule.WeightsSetRateLimit", new(uint64), []any{netuid}},
		{"SubtensorModule.MinAllowedWeights", new(uint16), []any{netuid}},
		{"SubtensorModule.WeightsVersionKey", new(uint64), []any{netuid}},
		{"SubtensorModule.CommitRevealWeightsEnabled", new(bool), []any{netuid}},
		{"SubtensorModule.RevealPeriodEpochs", new(uint64), []any{netuid}},
		{"SubtensorModule.ServingRateLimit", new(uint64), []any{netuid}},
		{"SubtensorModule.BlocksSinceLastStep", new(uint64), []any{netuid}},
		{"SubtensorModule.SubnetOwnerHotkey", new(keys.Hotkey), []any{netuid}},
		{"SubtensorModule.Uids", new(*uint16), []any{netuid, hotkey}},
		{"SubtensorModule.LastUpdate", new([]uint64), []any{netuid}},
		{"SubtensorModule.ValidatorPermit", new([]bool), []any{netuid}},
		{"SubtensorModule.Axons", new(*subtensor.AxonInfo), []any{netuid, hotkey}},
		{"SubtensorModule.Weights", new([]subtensor.Weight), []any{netuid, 5}},
		{"Timestamp.Now", new(int64), nil},
		{"System.Events", new(scale.Raw), nil},
		{"System.Account", new(struct {
			Nonce uint64 `scale:"nonce"`
		}), []any{hotkey}},
	}
}

func newerItems() []stored {
	return []stored{
		{"SubtensorModule.CommitRevealWeightsVersion", new(uint16), nil},
		{"SubtensorModule.StakeThreshold", new(uint64), nil},
		{"SubtensorModule.MechanismCountCurrent", new(uint8), []any{netuid}},
		{"SubtensorModule.TimelockedWeightCommits", new([]subtensor.TimelockedCommit), []any{netuid, 9}},
		{"Drand.LastStoredRound", new(uint64), nil},
	}
}

func newestItems() []stored {
	return []stored{
		{"SubtensorModule.LastEpochBlock", new(uint64), []any{netuid}},
		{"SubtensorModule.PendingEpochAt", new(uint64), []any{netuid}},
		{"SubtensorModule.SubnetEpochIndex", new(uint64), []any{netuid}},
		{"SubtensorModule.ActivityCutoffFactorMilli", new(uint32), []any{netuid}},
	}
}

// Everything that the client reads exists in real runtimes, with types that fit.
func TestRealRuntimesHaveWhatTheClientReads(t *testing.T) {
	t.Parallel()
	all := append(append(storedItems(), newerItems()...), newestItems()...)
	for file, has := range map[string]int{
		"raonet-v15.hex":       len(storedItems()),
		"finney-365-v16.scale": len(storedItems()) + len(newerItems()),
		"finney-393-v16.scale": len(storedItems()) + len(newerItems()),
		"finney-424-v16.scale": len(all),
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			m := realMetadata(t, file)
			for i, want := range append(append(storedItems(), newerItems()...), newestItems()...) {
				pallet, name, _ := strings.Cut(want.item, ".")
				item, err := m.Storage(pallet, name)
				if i >= has {
					require.ErrorIs(t, err, scale.ErrNotFound, want.item)
					continue
				}
				require.NoError(t, err)
				_, err = item.Key(want.keys...)
				require.NoError(t, err, want.item)
				require.Len(t, item.Type().Hashers, len(want.keys), want.item)
				_, err = item.Decode(nil, want.target)
				require.NoError(t, err, want.item)
			}
			var milliseconds uint64
			require.NoError(t, m.Constant("Aura", "SlotDuration", &milliseconds))
			require.Contains(t, []uint64{3000, 12000}, milliseconds)
		})
	}
}

func TestRealRuntimesOfferTheMetagraph(t *testing.T) {
	t.Parallel()
	for _, file := range []string{
		"finney-365-v16.scale", "finney-393-v16.scale", "finney-424-v16.scale",
	} {
		m := realMetadata(t, file)
		api, err := m.API("SubnetInfoRuntimeApi", "get_selective_metagraph")
		require.NoError(t, err)
		for _, field := range subtensor.SelectiveFields() {
			_, err := m.FieldIndex(api.Output(), field)
			require.NoError(t, err, file)
		}
		var graph *subtensor.Selective
		require.NoError(t, api.Decode([]byte{0}, &graph))
		require.Nil(t, graph)
		lite, err := m.API("NeuronInfoRuntimeApi", "get_neurons_lite")
		require.NoError(t, err)
		var neurons []subtensor.NeuronLite
		require.NoError(t, lite.Decode([]byte{0}, &neurons))
	}
}

// The answers are those of a real runtime and of the pool checks of newer ones.
func TestAnswersOfTheTransactionQueueAreNamed(t *testing.T) {
	t.Parallel()
	valid := append([]byte{0}, make([]byte, 8)...)    // priority
	valid = append(valid, 0, 4, 8, 1, 2)              // requires nothing, provides one tag
	valid = append(valid, 64, 0, 0, 0, 0, 0, 0, 0, 1) // longevity, propagate
	for _, file := range []string{"raonet-v15.hex", "finney-424-v16.scale"} {
		m := realMetadata(t, file)
		for want, answer := range map[string][]byte{
			"Stale": {1, 0, 3}, "BadProof": {1, 0, 4}, "AncientBirthBlock": {1, 0, 5},
			"RateLimitExceeded": {1, 0, 7, 6}, "Custom(99)": {1, 0, 7, 99}, "unknown": {1, 1, 0},
			"valid": valid,
		} {
			got, err := subtensor.Validity(m, answer)
			require.NoError(t, err, want)
			require.Equal(t, want, got)
		}
	}
}
