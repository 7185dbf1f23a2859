package subtensortest_test

import (
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/scale"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
	"github.com/organic-scoring/organic/contrib/subtensor/timelock"
)

const (
	netuid  = 7
	pallet  = "SubtensorModule"
	tempo   = 20
	weights = "set_mechanism_weights"
)

// account signs extrinsics for a node.
type account struct {
	t       *testing.T
	node    *subtensortest.Node
	runtime *subtensortest.Runtime
	pair    *keys.Keypair
	beacon  *subtensortest.Beacon
	nonce   uint64
}

// setup starts a node with a subnet of four neurons, of which the account is the first.
func setup(t *testing.T, cfg subtensortest.Config, subnet subtensortest.Subnet) *account {
	t.Helper()
	var err error
	a := &account{t: t, runtime: cfg.Runtime}
	if a.runtime == nil {
		a.runtime, err = subtensortest.NewRuntime(subtensortest.RuntimeConfig{})
		require.NoError(t, err)
	}
	a.beacon, err = subtensortest.NewBeacon("test")
	require.NoError(t, err)
	a.pair, err = keys.FromURI("//Alice", keys.SR25519)
	require.NoError(t, err)
	cfg.Runtime = a.runtime
	if cfg.Pulses == nil {
		cfg.Pulses = a.beacon
	}
	a.node, err = subtensortest.New(cfg)
	require.NoError(t, err)
	t.Cleanup(a.node.Close)
	subnet.Tempo = tempo
	subnet.Neurons = []subtensortest.Neuron{{Hotkey: a.pair.Hotkey(), Stake: 1000, Permit: true}}
	for i := range 3 {
		subnet.Neurons = append(subnet.Neurons, subtensortest.Neuron{Hotkey: keys.Hotkey{byte(i + 1)}})
	}
	require.NoError(t, a.node.AddSubnet(netuid, subnet))
	require.NoError(t, a.node.Mine(1))
	return a
}

// sign builds an extrinsic of a call, with an era of 64 blocks from the best block on.
func (a *account) sign(call string, args map[string]any) []byte {
	a.t.Helper()
	data, err := a.runtime.Metadata.Call(pallet, call, args)
	require.NoError(a.t, err)
	return a.signCall(data, a.pair)
}

func (a *account) signCall(call []byte, pair *keys.Keypair) []byte {
	a.t.Helper()
	height := a.node.Height()
	transaction := scale.Transaction{
		Call: call, Era: scale.MortalEra(height, 64), Nonce: a.nonce,
		SpecVersion: a.runtime.Version.Spec, TransactionVersion: a.runtime.Version.Transaction,
		Genesis: a.node.Genesis(), BirthHash: a.node.Hash(),
	}
	payload, err := a.runtime.Metadata.Payload(transaction)
	require.NoError(a.t, err)
	signature, err := pair.Sign(payload)
	require.NoError(a.t, err)
	extrinsic, err := a.runtime.Metadata.SignedExtrinsic(
		transaction,
		pair.Hotkey(),
		[64]byte(signature),
	)
	require.NoError(a.t, err)
	return extrinsic
}

// send submits a call, makes a block and returns the name of the error that the call ended with.
func (a *account) send(call string, args map[string]any) string {
	a.t.Helper()
	hash, err := a.node.Submit(a.sign(call, args))
	require.NoError(a.t, err)
	a.nonce++
	require.NoError(a.t, a.node.Mine(1))
	require.Equal(a.t, []uint64{a.node.Height()}, a.node.Included(hash))
	return a.outcome(a.node.Height())
}

// outcome returns how extrinsic 1 of a block ended.
func (a *account) outcome(height uint64) string {
	a.t.Helper()
	events, err := a.node.Events(height)
	require.NoError(a.t, err)
	for _, event := range events {
		switch {
		case event.Phase != "ApplyExtrinsic" || event.Extrinsic != 1:
		case event.Is("System", "ExtrinsicSuccess"):
			return ""
		case event.Is("System", "ExtrinsicFailed"):
			failure, err := a.runtime.Metadata.DispatchError(event)
			require.NoError(a.t, err)
			return failure.Name
		}
	}
	a.t.Fatal("the extrinsic has no outcome")
	return ""
}

func vector(uids ...int) map[string]any {
	values := make([]int, len(uids))
	for i := range values {
		values[i] = 65535
	}
	return map[string]any{
		"netuid":      netuid,
		"mecid":       0,
		"dests":       uids,
		"weights":     values,
		"version_key": 0,
	}
}

func with(args map[string]any, name string, value any) map[string]any {
	args[name] = value
	return args
}

func TestMetadataIsWhatScaleReads(t *testing.T) {
	t.Parallel()
	for _, version := range []uint8{15, 16} {
		runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Offers: []uint8{version}})
		require.NoError(t, err)
		data := runtime.Metadata.Marshal()
		require.Equal(t, version, data[4])
		m, err := scale.Parse(data)
		require.NoError(t, err)
		require.True(t, m.HasCall(pallet, weights))
	}
}

func TestRuntimeConfigIsChecked(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]subtensortest.RuntimeConfig{
		"Shift is 65":              {Shift: 65},
		"BlockTime is 1ns":         {BlockTime: 1},
		`there is no "System.Nix"`: {Without: []string{"System.Nix"}},
	} {
		_, err := subtensortest.NewRuntime(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestWeightsAreSet(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
	require.Empty(t, a.send(weights, vector(0, 1, 2)))
	var rows []struct{ UID, Weight uint16 }
	require.NoError(t, a.node.Get(&rows, pallet+".Weights", netuid, 0))
	require.Len(t, rows, 3)
	var updates []uint64
	require.NoError(t, a.node.Get(&updates, pallet+".LastUpdate", netuid))
	require.Equal(t, []uint64{a.node.Height(), 0, 0, 0}, updates)
}

func TestWeightsAreStretched(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
	for _, c := range []struct{ weights, want []int }{
		{[]int{10, 20}, []int{32768, 65535}},
		{[]int{1, 3}, []int{21845, 65535}},
		{[]int{0, 0}, []int{0, 0}},
		{[]int{65535, 1}, []int{65535, 1}},
		{[]int{40000, 20001}, []int{65535, 32769}},
	} {
		require.Empty(t, a.send(weights, with(vector(1, 2), "weights", c.weights)))
		var rows []struct{ UID, Weight int }
		require.NoError(t, a.node.Get(&rows, pallet+".Weights", netuid, 0))
		require.Equal(t, c.want, []int{rows[0].Weight, rows[1].Weight})
	}
}

func TestWeightsAreRefusedInTheChainsOrder(t *testing.T) {
	t.Parallel()
	// Each step breaks one rule more, and the earlier rule decides: the list is in reverse order.
	a := setup(t, subtensortest.Config{PoolChecksOff: true}, subtensortest.Subnet{MinAllowed: 3})
	set := func(item string, value any, keys ...any) {
		t.Helper()
		require.NoError(t, a.node.Set(pallet+"."+item, value, keys...))
	}
	args := vector(1, 2)
	require.Equal(t, "WeightVecLengthIsLow", a.send(weights, args))
	args = vector(1, 4)
	require.Equal(t, "UidVecContainInvalidOne", a.send(weights, args))
	args = vector(4, 4)
	require.Equal(t, "DuplicateUids", a.send(weights, args))
	set("ValidatorPermit", []bool{false, false, false, false}, netuid)
	require.Equal(t, "NeuronNoValidatorPermit", a.send(weights, args))
	set("LastUpdate", []uint64{a.node.Height(), 0, 0, 0}, netuid)
	set("WeightsSetRateLimit", 100, netuid)
	require.Equal(t, "SettingWeightsTooFast", a.send(weights, args))
	set("WeightsVersionKey", 5, netuid)
	require.Equal(t, "IncorrectWeightVersionKey", a.send(weights, args))
	set("StakeThreshold", 1001)
	require.Equal(t, "NotEnoughStakeToSetWeights", a.send(weights, args))
	args = vector(4, 4, 4, 4, 4)
	require.Equal(t, "UidsLengthExceedUidsInSubNet", a.send(weights, args))
	require.Equal(t, "MechanismDoesNotExist", a.send(weights, with(args, "mecid", 1)))
	set("CommitRevealWeightsEnabled", false, 8)
	set("CommitRevealWeightsEnabled", false, 0)
	require.Equal(t, "SubnetNotExists", a.send(weights, with(args, "netuid", 8)))
	require.Equal(t, "WeightVecNotEqualSize", a.send(weights, with(args, "weights", []int{1})))
	require.Equal(t, "CanNotSetRootNetworkWeights", a.send(weights, with(args, "netuid", 0)))
	set("CommitRevealWeightsEnabled", true, netuid)
	require.Equal(t, "CommitRevealEnabled", a.send(weights, with(args, "netuid", netuid)))
}

func TestOwnerAndSelfWeightAreExempt(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{MinAllowed: 2})
	require.NoError(
		t,
		a.node.Set(pallet+".ValidatorPermit", []bool{false, false, false, false}, netuid),
	)
	require.Empty(t, a.send(weights, vector(0)), "the own UID alone")
	require.Equal(t, "NeuronNoValidatorPermit", a.send(weights, vector(0, 1)))
	require.NoError(t, a.node.Set(pallet+".SubnetOwnerHotkey", [32]byte(a.pair.Hotkey()), netuid))
	require.NoError(t, a.node.Set(pallet+".StakeThreshold", 5000))
	require.Empty(t, a.send(weights, vector(0, 1)), "the owner")
}

func TestPoolRefusesAsTheChainDoes(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{RateLimit: 100})
	refused := func(want string, extrinsic []byte) {
		t.Helper()
		_, err := a.node.Submit(extrinsic)
		require.ErrorContains(t, err, want)
	}
	bob, err := keys.FromURI("//Bob", keys.SR25519)
	require.NoError(t, err)
	call, err := a.runtime.Metadata.Call(pallet, weights, vector(0))
	require.NoError(t, err)

	broken := a.sign(weights, vector(0))
	broken[len(broken)-1] ^= 1
	refused("1010 Invalid Transaction: Transaction has a bad signature", broken)
	refused("1001", []byte{1, 2, 3})
	first := a.sign(weights, vector(0))
	_, err = a.node.Submit(first)
	require.NoError(t, err)
	refused("1013 Transaction is already imported", first)
	refused("1014 Priority is too low", a.sign(weights, vector(1)))
	require.NoError(t, a.node.Mine(1))
	require.Empty(t, a.outcome(a.node.Height()))
	refused("Transaction is outdated", first)
	a.nonce++
	refused("Custom error: 6", a.sign(weights, vector(0)))
	require.NoError(t, a.node.Set(pallet+".StakeThreshold", 5000))
	refused("Custom error: 1", a.sign(weights, vector(0)))
	a.node.WithoutCodes(true)
	refused(`{"invalid":{"custom":1}}`, a.sign(weights, vector(0)))
	refused(`{"invalid":{"stale":null}}`, first)
	a.node.WithoutCodes(false)

	require.NoError(t, a.node.Set(pallet+".StakeThreshold", 0))
	a.nonce = 0
	_, err = a.node.Submit(a.signCall(call, bob))
	require.NoError(t, err, "not registered is seen in the block only")
	require.NoError(t, a.node.Mine(1))
	require.Equal(t, "HotKeyNotRegisteredInSubNet", a.outcome(a.node.Height()))
}

func TestExtrinsicIsInvalidAfterItsEra(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
	extrinsic := a.sign(weights, vector(0))
	a.node.Hold(true)
	hash, err := a.node.Submit(extrinsic)
	require.NoError(t, err)
	require.NoError(t, a.node.Mine(62))
	require.Equal(t, 1, a.node.Pending())
	_, err = a.node.Submit(extrinsic)
	require.ErrorContains(t, err, "already imported")
	require.NoError(t, a.node.Mine(2))
	a.node.Hold(false)
	require.NoError(t, a.node.Mine(1))
	require.Empty(t, a.node.Included(hash))
	require.Zero(t, a.node.Pending())
	_, err = a.node.Submit(extrinsic)
	require.ErrorContains(t, err, "bad signature", "another block is the birth block now")
}

func TestLaterNonceWaits(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
	first := a.sign(weights, vector(0))
	a.nonce = 1
	second := a.sign(weights, vector(1, 0))
	hash, err := a.node.Submit(second)
	require.NoError(t, err)
	require.NoError(t, a.node.Mine(1))
	require.Empty(t, a.node.Included(hash))
	_, err = a.node.Submit(first)
	require.NoError(t, err)
	require.NoError(t, a.node.Mine(1))
	require.Equal(t, []uint64{a.node.Height()}, a.node.Included(hash))
}

func axon(ip [16]byte, kind, port int) map[string]any {
	return map[string]any{
		"netuid": netuid, "version": 1, "ip": ip, "port": port, "ip_type": kind, "protocol": 4,
		"placeholder1": 0, "placeholder2": 0,
	}
}

func TestAxonIsServed(t *testing.T) {
	t.Parallel()
	address := [16]byte{4, 3, 2, 1}
	a := setup(t, subtensortest.Config{PoolChecksOff: true}, subtensortest.Subnet{})
	require.Equal(t, "InvalidIpType", a.send("serve_axon", axon(address, 5, 80)))
	require.Equal(t, "InvalidIpAddress", a.send("serve_axon", axon([16]byte{1, 0, 0, 127}, 4, 80)))
	require.Equal(t, "InvalidIpAddress", a.send("serve_axon", axon([16]byte{1}, 6, 80)))
	require.Equal(t, "InvalidPort", a.send("serve_axon", axon(address, 4, 0)))
	require.Empty(t, a.send("serve_axon", axon(address, 4, 8091)))
	require.Equal(t, "ServingRateLimitExceeded", a.send("serve_axon", axon(address, 4, 8092)))
	var served struct {
		Block uint64   `scale:"block"`
		IP    [16]byte `scale:"ip"`
		Port  uint16   `scale:"port"`
	}
	require.NoError(t, a.node.Get(&served, pallet+".Axons", netuid, [32]byte(a.pair.Hotkey())))
	require.Equal(t, a.node.Height()-1, served.Block)
	require.Equal(t, address, served.IP)
	require.EqualValues(t, 8091, served.Port)
}

// commit encrypts weights for the reveal at the next epoch.
func (a *account) commit(hotkey keys.Hotkey, uids ...uint16) map[string]any {
	a.t.Helper()
	plaintext, err := timelock.Weights{Hotkey: hotkey, UIDs: uids, Values: uids}.Encode()
	require.NoError(a.t, err)
	var s timelock.Schedule
	s.CurrentBlock, s.Tempo = a.node.Height(), tempo
	require.NoError(a.t, a.node.Get(&s.LastEpochBlock, pallet+".LastEpochBlock", netuid))
	block, err := s.RevealBlock(1)
	require.NoError(a.t, err)
	round := a.beacon.Public().RevealRound(s.CurrentBlock, block, 12*time.Second, a.node.Now())
	data, err := a.beacon.Public().Encrypt(plaintext, round)
	require.NoError(a.t, err)
	return map[string]any{
		"netuid": netuid, "mecid": 0, "commit": data, "reveal_round": round, "commit_reveal_version": 4,
	}
}

const commitCall = "commit_timelocked_mechanism_weights"

// revealed makes blocks until well into the epoch after the next and returns the heights of the
// events of a name.
func (a *account) revealed(name string) (heights []uint64) {
	a.t.Helper()
	for range 2 * tempo {
		require.NoError(a.t, a.node.Mine(1))
		events, err := a.node.Events(a.node.Height())
		require.NoError(a.t, err)
		for _, event := range events {
			if event.Is(pallet, name) {
				require.Equal(a.t, "Initialization", event.Phase)
				heights = append(heights, a.node.Height())
			}
		}
	}
	return heights
}

func TestCommitIsRevealedInItsEpoch(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{CommitReveal: true})
	require.Empty(t, a.send(commitCall, a.commit(a.pair.Hotkey(), 1, 2)))
	var updates []uint64
	require.NoError(t, a.node.Get(&updates, pallet+".LastUpdate", netuid))
	require.Equal(t, a.node.Height(), updates[0])
	var rows []struct{ UID, Weight uint16 }
	require.NoError(t, a.node.Get(&rows, pallet+".Weights", netuid, 0))
	require.Empty(t, rows)
	heights := a.revealed("TimelockedWeightsRevealed")
	require.Len(t, heights, 1)
	require.InDelta(t, tempo+3, heights[0], 2)
	require.NoError(t, a.node.Get(&rows, pallet+".Weights", netuid, 0))
	require.Len(t, rows, 2)
}

func TestRevealThatFailsLeavesNoTrace(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(a *account) map[string]any{
		"another hotkey": func(a *account) map[string]any { return a.commit(keys.Hotkey{9}, 1) },
		"unknown UID":    func(a *account) map[string]any { return a.commit(a.pair.Hotkey(), 1, 99) },
		"not encrypted": func(a *account) map[string]any {
			return with(a.commit(a.pair.Hotkey(), 1), "commit", []byte("nothing"))
		},
		"on command": func(a *account) map[string]any {
			a.node.LoseReveals(1)
			return a.commit(a.pair.Hotkey(), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := setup(t, subtensortest.Config{}, subtensortest.Subnet{CommitReveal: true})
			require.Empty(t, a.send(commitCall, spoil(a)))
			require.Empty(t, a.revealed("TimelockedWeightsRevealed"))
			var commits []struct {
				Who    [32]byte
				Block  uint64
				Commit []byte
				Round  uint64
			}
			for epoch := range uint64(4) {
				require.NoError(t, a.node.Get(&commits, pallet+".TimelockedWeightCommits", netuid, epoch))
				require.Empty(t, commits)
			}
		})
	}
}

func TestCommitsAreRefused(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{PoolChecksOff: true}, subtensortest.Subnet{CommitReveal: true})
	args := func() map[string]any { return a.commit(a.pair.Hotkey(), 1) }
	require.Equal(t, "MechanismDoesNotExist", a.send(commitCall, with(args(), "mecid", 3)))
	require.Equal(
		t,
		"IncorrectCommitRevealVersion",
		a.send(commitCall, with(args(), "commit_reveal_version", 3)),
	)
	require.Equal(t, "InvalidRevealRound", a.send(commitCall, with(args(), "reveal_round", 5)))
	for i := range 10 {
		require.Empty(t, a.send(commitCall, args()), fmt.Sprint(i))
	}
	require.Equal(t, "TooManyUnrevealedCommits", a.send(commitCall, args()))
	require.NoError(t, a.node.Set(pallet+".WeightsSetRateLimit", 50, netuid))
	require.Equal(t, "CommittingWeightsTooFast", a.send(commitCall, args()))
	require.NoError(t, a.node.Set(pallet+".CommitRevealWeightsEnabled", false, netuid))
	require.Equal(t, "CommitRevealDisabled", a.send(commitCall, args()))
}

func TestUpgradeMovesIndices(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
	old := a.sign(weights, vector(0))
	next, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Spec: 426, Shift: 11})
	require.NoError(t, err)
	a.node.Upgrade(next)
	require.NoError(t, a.node.Mine(1))
	events, err := a.node.Events(a.node.Height())
	require.NoError(t, err)
	require.True(t, events[len(events)-1].Is("System", "CodeUpdated"))
	_, err = a.node.Submit(old)
	require.Error(t, err)
	a.runtime = next
	require.Empty(t, a.send(weights, vector(0)))
	require.Equal(t, "DuplicateUids", a.send(weights, vector(1, 1)))
}

func TestReorgReplacesBlocks(t *testing.T) {
	t.Parallel()
	for _, forget := range []bool{false, true} {
		t.Run(fmt.Sprint(forget), func(t *testing.T) {
			t.Parallel()
			a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
			hash, err := a.node.Submit(a.sign(weights, vector(0)))
			require.NoError(t, err)
			require.NoError(t, a.node.Mine(3))
			height, head := a.node.Height(), a.node.Hash()
			require.NoError(t, a.node.Reorg(3, 4, forget))
			require.Equal(t, height+1, a.node.Height())
			require.NotEqual(t, head, a.node.Hash())
			if forget {
				require.Empty(t, a.node.Included(hash))
				return
			}
			require.Equal(t, []uint64{height - 2}, a.node.Included(hash))
		})
	}
}

func TestClosedNode(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
	a.node.Close()
	a.node.Close()
	require.ErrorIs(t, a.node.Mine(1), subtensortest.ErrClosed)
	require.ErrorIs(t, a.node.Reorg(1, 1, false), subtensortest.ErrClosed)
	_, err := subtensor.Dial(t.Context(), a.node.Network(), subtensor.WithDialer(a.node.Dial))
	require.ErrorContains(t, err, "refused")
}

func TestNodeOnLoopback(t *testing.T) {
	t.Parallel()
	a := setup(t, subtensortest.Config{}, subtensortest.Subnet{})
	endpoint, err := a.node.Listen(t.Context())
	require.NoError(t, err)
	client, err := subtensor.Dial(t.Context(), subtensor.Network{Endpoints: []string{endpoint}})
	require.NoError(t, err)
	require.EqualValues(t, 425, client.Stats().Version.Spec)
	client.Close()
}

func TestRecordedPulsesRevealQuicknetCommits(t *testing.T) {
	t.Parallel()
	const round = 30668815 // of 23 July 2026
	signature, err := hex.DecodeString(
		"aab35f9c2dedeb6f5d7b47748be8eb76a5871d18a7368fda06aa1034d83045b52d60a5d6b132329a0e2ff9e20152155c",
	)
	require.NoError(t, err)
	require.NoError(t, timelock.Quicknet().Verify(round, signature))
	a := setup(t, subtensortest.Config{Pulses: subtensortest.Recorded{round: signature}},
		subtensortest.Subnet{CommitReveal: true})
	plaintext, err := timelock.Weights{
		Hotkey: a.pair.Hotkey(), UIDs: []uint16{1, 2}, Values: []uint16{7, 65535},
	}.Encode()
	require.NoError(t, err)
	commit, err := timelock.Quicknet().Encrypt(plaintext, round)
	require.NoError(t, err)
	args := with(a.commit(a.pair.Hotkey(), 1), "commit", commit)
	require.Empty(t, a.send(commitCall, with(args, "reveal_round", round)))
	require.Len(t, a.revealed("TimelockedWeightsRevealed"), 1)
	var rows []struct{ UID, Weight uint16 }
	require.NoError(t, a.node.Get(&rows, pallet+".Weights", netuid, 0))
	require.Equal(t, uint16(7), rows[0].Weight)
}
