package scale_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

type axonInfo struct {
	Block    uint64   `scale:"block"`
	Version  uint32   `scale:"version"`
	IP       [16]byte `scale:"ip"`
	Port     uint16   `scale:"port"`
	IPType   uint8    `scale:"ip_type"`
	Protocol uint8    `scale:"protocol"`
}

type neuronLite struct {
	Hotkey     [32]byte `scale:"hotkey"`
	UID        uint16   `scale:"uid"`
	Netuid     uint16   `scale:"netuid"`
	Active     bool     `scale:"active"`
	Axon       axonInfo `scale:"axon_info"`
	Stake      []stake  `scale:"stake"`
	LastUpdate uint64   `scale:"last_update"`
	Permit     bool     `scale:"validator_permit"`
}

type stake struct {
	Account [32]byte
	Amount  uint64
}

func TestNeuronsLiteOfTheVectors(t *testing.T) {
	t.Parallel()
	raw, _ := apiVector(t, "NeuronInfoRuntimeApi_get_neurons_lite")
	for name, m := range everyMetadata(t) {
		api, err := m.API("NeuronInfoRuntimeApi", "get_neurons_lite")
		require.NoError(t, err)
		require.Equal(t, "NeuronInfoRuntimeApi_get_neurons_lite", api.Name())
		args, err := api.Encode(7)
		require.NoError(t, err)
		require.Equal(t, []byte{7, 0}, args)
		var neurons []neuronLite
		require.NoError(t, api.Decode(raw, &neurons), name)
		require.Len(t, neurons, 2)
		require.Equal(t, neuronLite{
			Hotkey: alice, UID: 0, Netuid: 7, Active: true,
			Axon: axonInfo{
				Block: 8001, Version: 1, IP: [16]byte{4, 3, 2, 1}, Port: 8091, IPType: 4,
				Protocol: 4,
			},
			Stake:      []stake{{alice, 123456789012}},
			LastUpdate: 7000000, Permit: true,
		}, neurons[0])
		require.Equal(t, uint16(1), neurons[1].UID)
		require.False(t, neurons[1].Permit)
	}
}

func TestHyperparametersOfTheVectors(t *testing.T) {
	t.Parallel()
	raw, _ := apiVector(t, "SubnetInfoRuntimeApi_get_subnet_hyperparams_v3")
	for name, m := range everyMetadata(t) {
		api, err := m.API("SubnetInfoRuntimeApi", "get_subnet_hyperparams_v3")
		require.NoError(t, err)
		var parameters *[]struct {
			Name  []byte `scale:"name"`
			Value struct {
				Kind string  `scale:",name"`
				Bool *bool   `scale:"Bool"`
				U16  *uint16 `scale:"U16"`
				U64  *uint64 `scale:"U64"`
			} `scale:"value"`
		}
		require.NoError(t, api.Decode(raw, &parameters), name)
		require.Len(t, *parameters, 8)
		first, last := (*parameters)[0], (*parameters)[7]
		require.Equal(t, "tempo", string(first.Name))
		require.Equal(t, "U16", first.Value.Kind)
		require.Equal(t, uint16(360), *first.Value.U16)
		require.Nil(t, first.Value.U64)
		require.Equal(t, "TaoBalance", last.Value.Kind)
		require.True(t, *(*parameters)[5].Value.Bool)
	}
}

func TestSelectiveMetagraphOfTheVectors(t *testing.T) {
	t.Parallel()
	raw, _ := apiVector(t, "SubnetInfoRuntimeApi_get_selective_metagraph")
	for name, m := range everyMetadata(t) {
		api, err := m.API("SubnetInfoRuntimeApi", "get_selective_metagraph")
		require.NoError(t, err)
		args, err := api.Encode(7, []uint16{52, 53})
		require.NoError(t, err)
		require.Equal(t, []byte{7, 0, 8, 52, 0, 53, 0}, args)
		var graph *struct {
			Netuid  uint16      `scale:"netuid"`
			Block   *uint64     `scale:"block"`
			Hotkeys *[][32]byte `scale:"hotkeys"`
			Axons   *[]axonInfo `scale:"axons"`
			Permit  *[]bool     `scale:"validator_permit"`
			Updates *[]uint64   `scale:"last_update"`
			Stake   *[]uint64   `scale:"total_stake"`
			Rank    *scale.Raw  `scale:"rank"`
		}
		require.NoError(t, api.Decode(raw, &graph), name)
		require.Equal(t, uint64(7000000), *graph.Block)
		require.Equal(t, alice, (*graph.Hotkeys)[0])
		require.Equal(t, uint16(8091), (*graph.Axons)[1].Port)
		require.Equal(t, []bool{true, false}, *graph.Permit)
		require.Equal(t, []uint64{7000000, 0}, *graph.Updates)
		require.Equal(t, []uint64{1001, 2}, *graph.Stake)
		require.Nil(t, graph.Rank)
	}
}

func TestNextEpochOfTheVectors(t *testing.T) {
	t.Parallel()
	raw, _ := apiVector(t, "SubnetInfoRuntimeApi_get_next_epoch_start_block")
	for _, m := range everyMetadata(t) {
		api, err := m.API("SubnetInfoRuntimeApi", "get_next_epoch_start_block")
		require.NoError(t, err)
		var block *uint64
		require.NoError(t, api.Decode(raw, &block))
		require.Equal(t, uint64(7000361), *block)
		require.NoError(t, api.Decode([]byte{0}, &block))
		require.Nil(t, block)
	}
}
