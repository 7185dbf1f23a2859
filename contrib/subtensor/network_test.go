package subtensor_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

func TestNetworksAreWellFormed(t *testing.T) {
	t.Parallel()
	networks := []subtensor.Network{subtensor.Finney(), subtensor.TestFinney(), subtensor.Local()}
	for _, network := range networks {
		require.NotEmpty(t, network.Endpoints)
		for _, endpoint := range network.Endpoints {
			require.Regexp(t, `^wss?://[a-z0-9.-]+:\d+$`, endpoint)
		}
	}
	require.Equal(t, "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03",
		subtensor.Finney().Genesis.String())
}

func TestHashIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(subtensor.Hash{0xab, 31: 0xcd})
	require.NoError(t, err)
	require.Equal(t, `"0xab`+strings.Repeat("00", 30)+`cd"`, string(text))
	var hash subtensor.Hash
	require.NoError(t, json.Unmarshal(text, &hash))
	require.Equal(t, subtensor.Hash{0xab, 31: 0xcd}, hash)
	for _, bad := range []string{
		"", "0x", "0x00", strings.Repeat("0", 64), "0x" + strings.Repeat("g", 64),
		"0x" + strings.Repeat("0", 66),
	} {
		require.Error(t, hash.UnmarshalText([]byte(bad)), bad)
	}
}

func TestSecureEndpointIsAskedForItsCertificate(t *testing.T) {
	t.Parallel()
	node := newNode(t, subtensortest.Config{})
	endpoint, err := node.Listen(t.Context())
	require.NoError(t, err)
	secure := subtensor.Network{Endpoints: []string{strings.Replace(endpoint, "ws://", "wss://", 1)}}
	_, err = subtensor.Dial(t.Context(), secure)
	require.ErrorContains(
		t,
		err,
		"server gave HTTP response to HTTPS client",
		"nothing is sent without TLS",
	)
	require.Empty(t, node.Requests())
}
