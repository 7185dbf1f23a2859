package subtensor_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/scale"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// axon is an axon as the chain stores it.
func axon(ip [16]byte, kind uint8, port uint16) map[string]any {
	return map[string]any{
		"block": 8, "version": 1, "ip": ip, "port": port, "ip_type": kind, "protocol": 4,
		"placeholder1": 0, "placeholder2": 0,
	}
}

// everyRuntime are runtimes that offer the metagraph in one way or the other.
func everyRuntime(t *testing.T) map[string]*subtensortest.Runtime {
	t.Helper()
	runtimes := make(map[string]*subtensortest.Runtime)
	for name, cfg := range map[string]subtensortest.RuntimeConfig{
		"selective metagraph": {},
		"metadata V16 alone":  {Offers: []uint8{16}, Shift: 3},
		"neurons lite":        {Without: []string{"SubnetInfoRuntimeApi_get_selective_metagraph"}},
	} {
		runtime, err := subtensortest.NewRuntime(cfg)
		require.NoError(t, err)
		runtimes[name] = runtime
	}
	return runtimes
}

func TestMetagraph(t *testing.T) {
	t.Parallel()
	for name, runtime := range everyRuntime(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				node := newNode(t, subtensortest.Config{Runtime: runtime})
				subnet := subnetOf(t, 3)
				subnet.Owner = keys.Hotkey{9}
				subnet.Neurons[1].Coldkey, subnet.Neurons[1].LastUpdate = keys.Hotkey{7}, 5
				require.NoError(t, node.AddSubnet(netuid, subnet))
				hotkey := func(uid int) [32]byte { return subnet.Neurons[uid].Hotkey }
				storage("Axons", axon([16]byte{4, 3, 2, 1}, 4, 8091), netuid, hotkey(1))(t, node)
				storage("Axons", axon([16]byte{1, 15: 0x20}, 6, 443), netuid, hotkey(2))(t, node)
				require.NoError(t, node.Mine(3))
				m, err := dial(t, node).Metagraph(t.Context(), netuid)
				require.NoError(t, err)
				require.Equal(t, uint64(3), m.Block)
				require.Equal(t, node.Hash(), m.Hash)
				require.Equal(t, keys.Hotkey{9}, m.Owner)
				require.Len(t, m.Neurons, 4)
				require.Equal(t, subtensor.Neuron{
					UID: 0, Hotkey: hotkey(0), Coldkey: hotkey(0), Permit: true, Active: true, Stake: 1000,
				}, m.Neurons[0], "a node's neuron without a coldkey has one of its own")
				require.Equal(t, subtensor.Neuron{
					UID: 1, Hotkey: hotkey(1), Coldkey: keys.Hotkey{7}, Active: true, Stake: 1, LastUpdate: 5,
					Axon: netip.MustParseAddrPort("1.2.3.4:8091"),
				}, m.Neurons[1])
				require.Equal(t, netip.MustParseAddrPort("[2000::1]:443"), m.Neurons[2].Axon)

				uid, ok := m.UID(hotkey(2))
				require.True(t, ok)
				require.Equal(t, organic.UID(2), uid)
				_, ok = m.UID(keys.Hotkey{99})
				require.False(t, ok)
				require.Equal(t, []keys.Hotkey{hotkey(0)}, m.Validators(1000))
				require.Empty(t, m.Validators(1001))
				require.Equal(t, m.Neurons[1:3], m.Targets())
				graph := m.Weights()
				require.Equal(t, uint64(3), graph.Block)
				require.Equal(t, subnet.Neurons[0].Hotkey.String(), graph.Neurons[0].Hotkey)
				require.Equal(t, keys.Hotkey{7}.String(), graph.Neurons[1].Coldkey)
			})
		})
	}
}

func TestMinersServeAndAreNoValidators(t *testing.T) {
	t.Parallel()
	address := netip.MustParseAddrPort("1.2.3.4:8091")
	m := subtensor.Metagraph{Neurons: []subtensor.Neuron{
		{UID: 0, Axon: address, Permit: true, Stake: 1000},
		{UID: 1, Axon: address, Permit: true, Stake: 999},
		{UID: 2, Stake: 5000},
		{UID: 3, Axon: address, Stake: 5000},
	}}
	require.Equal(t, []subtensor.Neuron{m.Neurons[1], m.Neurons[3]}, m.Miners(1000))
	require.Equal(t, []subtensor.Neuron{m.Neurons[0], m.Neurons[1], m.Neurons[3]}, m.Targets())
	require.Empty(t, subtensor.Metagraph{}.Miners(0))
}

// What miners publish is theirs to write: no record of one spoils the metagraph.
func TestAxonsThatAreNoAddressesAreNoAxons(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		records := []map[string]any{
			axon([16]byte{4, 3, 2, 1}, 4, 0),
			axon([16]byte{}, 4, 8091),
			axon([16]byte{}, 6, 8091),
			axon([16]byte{4, 3, 2, 1, 1}, 4, 8091), // above 2^32
			axon([16]byte{15: 1}, 4, 8091),
			axon([16]byte{4, 3, 2, 1}, 0, 8091),
			axon([16]byte{4, 3, 2, 1}, 5, 8091),
			axon([16]byte{4, 3, 2, 1}, 255, 8091),
			axon([16]byte{}, 0, 0),
		}
		subnet := subnetOf(t, len(records))
		require.NoError(t, node.AddSubnet(netuid, subnet))
		for i, record := range records {
			storage("Axons", record, netuid, [32]byte(subnet.Neurons[i+1].Hotkey))(t, node)
		}
		m, err := dial(t, node).Metagraph(t.Context(), netuid)
		require.NoError(t, err)
		require.Len(t, m.Neurons, len(records)+1)
		require.Empty(t, m.Targets())
	})
}

func TestAMetagraphThatContradictsItselfIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		subnet := subnetOf(t, 3)
		subnet.Neurons[3].Hotkey = subnet.Neurons[1].Hotkey
		require.NoError(t, node.AddSubnet(netuid, subnet))
		_, err := dial(t, node).Metagraph(t.Context(), netuid)
		require.ErrorIs(t, err, subtensor.ErrBadReply)
		require.ErrorContains(t, err, "UIDs 1 and 3 have the same hotkey")
	})
}

func TestARuntimeWithoutAMetagraphIsNamed(t *testing.T) {
	t.Parallel()
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Without: []string{
		"SubnetInfoRuntimeApi_get_selective_metagraph", "NeuronInfoRuntimeApi_get_neurons_lite",
	}})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{Runtime: runtime})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 3)))
		_, err := dial(t, node).Metagraph(t.Context(), netuid)
		require.ErrorIs(t, err, scale.ErrNotFound)
		require.ErrorContains(t, err, "NeuronInfoRuntimeApi_get_neurons_lite")
	})
}

func TestMetadataOfVersion14IsRefusedByName(t *testing.T) {
	t.Parallel()
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Offers: []uint8{}})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{Runtime: runtime})
		_, err := dial(t, node).Metagraph(t.Context(), netuid)
		require.ErrorIs(t, err, scale.ErrVersion)
		require.ErrorContains(t, err, "neither V15 nor V16")
	})
}

func TestHyperparametersAndEpochs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		subnet := subnetOf(t, 3)
		subnet.CommitReveal, subnet.RevealPeriod, subnet.VersionKey, subnet.Mechanisms = true, 2, 5, 2
		require.NoError(t, node.AddSubnet(netuid, subnet))
		storage("StakeThreshold", 1000)(t, node)
		require.NoError(t, node.Mine(25))
		client := dial(t, node)
		h, err := client.Hyperparameters(t.Context(), netuid)
		require.NoError(t, err)
		require.Equal(t, subtensor.Hyperparameters{
			Block: 25, Neurons: 4, Tempo: 20, WeightsRateLimit: 100, MinAllowedWeights: 1,
			WeightsVersionKey: 5, CommitReveal: true, RevealPeriod: 2, CommitRevealVersion: 4,
			StakeThreshold: 1000, Mechanisms: 2,
			ServingRateLimit: 50, ActivityCutoff: 277, BlockTime: 12 * time.Second,
		}, h)
		e, err := client.EpochSchedule(t.Context(), netuid)
		require.NoError(t, err)
		require.Equal(t, uint64(25), e.CurrentBlock)
		require.Equal(t, uint64(20), e.LastEpochBlock)
		require.Equal(t, uint64(2), e.RevealPeriod)
		next, err := e.NextEpochBlock()
		require.NoError(t, err)
		require.Equal(t, uint64(40), next)
	})
}

func TestPositionOfAnOlderRuntime(t *testing.T) {
	t.Parallel()
	runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Without: []string{
		"SubtensorModule.PendingEpochAt", "SubtensorModule.CommitRevealWeightsVersion",
		"SubtensorModule.StakeThreshold",
		"SubtensorModule.MechanismCountCurrent", "SubtensorModule.ActivityCutoffFactorMilli",
		"SubnetInfoRuntimeApi_get_next_epoch_start_block",
	}})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{Runtime: runtime})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 5)))
		v := alice(t, dial(t, node))
		position, err := v.Position(t.Context())
		require.NoError(t, err)
		require.Zero(t, position.NextEpoch, "it cannot be told")
		require.Equal(t, uint64(20), position.Tempo)
		s := set(t.Context(), v, good)
		mineUntil(t, node, s, 2)
		_, err = s.wait(t)
		require.NoError(t, err)
	})
}

func TestPositionOfAHotkeyThatIsNotRegistered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 3)))
		v, err := dial(t, node).Validator(keypair(t, "//Bob"), netuid)
		require.NoError(t, err)
		_, err = v.Position(t.Context())
		requireRefusal(t, refusal{name: "HotKeyNotRegisteredInSubNet", kind: weights.ErrNotRegistered},
			err)
	})
}

func TestRowsOfALargeSubnetAreReadInPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 1199)))
		want := make(map[organic.UID][]subtensor.Weight)
		for _, uid := range []uint16{0, 511, 512, 1023, 1024, 1199} {
			row := []subtensor.Weight{{UID: organic.UID(uid), Weight: 65535}, {UID: 3, Weight: uid}}
			want[organic.UID(uid)] = row
			storage("Weights", row, netuid, uid)(t, node)
		}
		rows, err := dial(t, node).Weights(t.Context(), netuid, 0)
		require.NoError(t, err)
		require.Equal(t, want, rows)
	})
}

// allowList is what an axon has: it follows the validators.
type allowList struct{ hotkeys []keys.Hotkey }

func (l *allowList) Replace(hotkeys ...keys.Hotkey) { l.hotkeys = hotkeys }

func TestEachMetagraphKeepsAnAllowListCurrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		node := newNode(t, subtensortest.Config{})
		subnet := subnetOf(t, 3)
		require.NoError(t, node.AddSubnet(netuid, subnet))
		require.NoError(t, node.Mine(1))
		client := dial(t, node)
		ctx, cancel := context.WithCancel(t.Context())
		var list allowList
		var blocks []uint64
		var failures int
		done := make(chan error, 1)
		go func() {
			done <- client.EachMetagraph(ctx, netuid, 10, func(m subtensor.Metagraph, err error) {
				if err != nil {
					failures++
					return
				}
				blocks = append(blocks, m.Block)
				list.Replace(m.Validators(500)...)
			})
		}()
		synctest.Wait()
		require.Equal(t, []keys.Hotkey{subnet.Neurons[0].Hotkey}, list.hotkeys)
		storage("ValidatorPermit", []bool{true, true, false, false}, netuid)(t, node)
		node.SetStake(netuid, 1, 700)
		node.Inject(subtensortest.Fault{
			Method: "state_call", Action: subtensortest.Fail,
			Error: `{"code":4003,"message":"out of order"}`,
		})
		for range 15 {
			require.NoError(t, node.Mine(1))
			synctest.Wait()
		}
		require.Equal(t, []uint64{1, 12}, blocks, "the reading at block 11 failed and was repeated")
		require.Equal(t, 1, failures)
		require.Equal(t, []keys.Hotkey{subnet.Neurons[0].Hotkey, subnet.Neurons[1].Hotkey}, list.hotkeys)
		cancel()
		require.NoError(t, <-done)
	})
}
