package scale_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// realFile reads a file of metadata of a real runtime. The files are not part of the repository:
// the test is skipped where they are absent. CHAIN_METADATA names the folder.
func realFile(tb testing.TB, name string) []byte {
	tb.Helper()
	folder := os.Getenv("CHAIN_METADATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "..", "shared", "data", "chain", "metadata")
	}
	data, err := os.ReadFile(filepath.Join(folder, name))
	if os.IsNotExist(err) {
		tb.Skipf("no %s: CHAIN_METADATA must name a folder that has it", name)
	}
	require.NoError(tb, err)
	if strings.HasSuffix(name, ".hex") {
		data = unhex(tb, string(bytes.TrimSpace(data)))
	}
	return data
}

// realMetadata parses a file, without the Option<Vec<u8>> that state_call wraps it into.
func realMetadata(tb testing.TB, name string) *scale.Metadata {
	tb.Helper()
	data := realFile(tb, name)
	if bytes.HasPrefix(data, []byte("meta")) {
		m, err := scale.Parse(data)
		require.NoError(tb, err)
		return m
	}
	m, err := scale.ParseResult(data)
	require.NoError(tb, err)
	return m
}

func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	data, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	require.NoError(tb, err)
	return data
}

func TestParseReadsRealMetadata(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file    string
		version uint8
		types   int
		pallets int
	}{
		{"finney-365-v16.scale", 16, 720, 27},
		{"finney-393-v16.scale", 16, 727, 27},
		{"finney-424-v16.scale", 16, 753, 28},
		{"raonet-v15.hex", 15, 487, 26},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			m := realMetadata(t, tt.file)
			require.Equal(t, tt.version, m.Version)
			require.Len(t, m.Types, tt.types)
			require.Len(t, m.Pallets, tt.pallets)
			again, err := scale.Parse(m.Marshal())
			require.NoError(t, err)
			requireSameMetadata(t, m, again)
		})
	}
}

// The order of the signed extensions is that which the extrinsics of the vectors were signed with.
func TestParseKeepsTheOrderOfSignedExtensions(t *testing.T) {
	t.Parallel()
	m := realMetadata(t, "finney-424-v16.scale")
	var names []string
	for _, extension := range m.Extrinsic.Extensions {
		names = append(names, extension.Name)
	}
	require.Equal(t, []string{
		"CheckNonZeroSender", "CheckSpecVersion", "CheckTxVersion", "CheckGenesis", "CheckMortality",
		"CheckNonce", "CheckWeight", "ChargeTransactionPayment", "SudoTransactionExtension",
		"CheckShieldedTxValidity", "SubtensorTransactionExtension", "DrandPriority", "CheckMetadataHash",
	}, names)
}

func TestParseRefusesRealMetadataOfVersion14ByName(t *testing.T) {
	t.Parallel()
	_, err := scale.Parse(realFile(t, "raonet-v14.hex"))
	require.ErrorIs(t, err, scale.ErrVersion)
	require.ErrorContains(t, err, "V14")
}

// The runtime of spec version 393 lacks what the schedule of epochs needs.
func TestMissingItemsOfAnOlderRuntimeAreNamed(t *testing.T) {
	t.Parallel()
	m := realMetadata(t, "finney-393-v16.scale")
	for _, item := range []string{"LastEpochBlock", "PendingEpochAt", "SubnetEpochIndex"} {
		_, err := m.Storage("SubtensorModule", item)
		var missing *scale.NotFoundError
		require.ErrorAs(t, err, &missing)
		require.Equal(t, "SubtensorModule."+item, missing.Name)
	}
}

// Runtimes of 2024 wrap results into bytes without a type. A client must refuse them by name.
func TestResultsWrappedIntoBytesAreRefused(t *testing.T) {
	t.Parallel()
	m := realMetadata(t, "raonet-v15.hex")
	api, err := m.API("NeuronInfoRuntimeApi", "get_neurons_lite")
	require.NoError(t, err)
	raw := runtime218(t).NeuronsLite.Raw
	var neurons []neuronLite
	require.ErrorIs(t, api.Decode(raw, &neurons), scale.ErrType)
	var inner []byte
	require.NoError(t, api.Decode(raw, &inner))
	require.Equal(t, []byte(runtime218(t).NeuronsLite.Inner), inner)
}

func TestFieldIndexFindsThePositionsOfTheSelectiveMetagraph(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"finney-393-v16.scale", "finney-424-v16.scale"} {
		m := realMetadata(t, file)
		api, err := m.API("SubnetInfoRuntimeApi", "get_selective_metagraph")
		require.NoError(t, err)
		for field, want := range map[string]int{
			"block": 7, "tempo": 8, "hotkeys": 52, "coldkeys": 53, "axons": 55, "active": 56,
			"validator_permit": 57, "last_update": 59, "alpha_stake": 67, "tao_stake": 68, "total_stake": 69,
		} {
			got, err := m.FieldIndex(api.Output(), field)
			require.NoError(t, err)
			require.Equal(t, want, got, field)
		}
		_, err = m.FieldIndex(api.Output(), "absent")
		require.ErrorIs(t, err, scale.ErrNotFound)
	}
}
