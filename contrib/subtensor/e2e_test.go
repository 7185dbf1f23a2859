package subtensor_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/scale"
)

// chopsticks is a real runtime in a development node: see "make chain-e2e".
type chopsticks struct {
	t      *testing.T
	client *subtensor.Client
	meta   *scale.Metadata
}

// startChopsticks skips the test unless "make chain-e2e" names a chain spec.
func startChopsticks(t *testing.T) *chopsticks {
	t.Helper()
	spec := os.Getenv("CHAIN_SPEC")
	if spec == "" {
		t.Skip("needs Node and a chain spec: make chain-e2e SPEC=file")
	}
	for range 5 { // the start fails now and then: "Timestamp slot must match CurrentSlot"
		if endpoint := launch(t, spec); endpoint != "" {
			client, err := subtensor.Dial(t.Context(), subtensor.Network{Endpoints: []string{endpoint}})
			require.NoError(t, err)
			t.Cleanup(client.Close)
			meta, err := client.Metadata(t.Context())
			require.NoError(t, err)
			return &chopsticks{t: t, client: client, meta: meta}
		}
	}
	t.Fatal("the node does not start")
	return nil
}

// launch starts a node and returns its endpoint, or nothing if it has ended at once.
func launch(t *testing.T, spec string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for a free port
	require.NoError(t, err)
	address := listener.Addr().(*net.TCPAddr)
	require.NoError(t, listener.Close())
	config := filepath.Join(t.TempDir(), "chopsticks.yml")
	text := fmt.Sprintf(
		"chain-spec: %s\nhost: 127.0.0.1\nport: %d\nbuild-block-mode: Manual\n",
		spec,
		address.Port,
	)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	process := exec.CommandContext(t.Context(), "node_modules/.bin/chopsticks", "--config", config)
	process.Dir = "e2e"
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	process.Stderr = process.Stdout
	require.NoError(t, process.Start())
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = process.Process.Kill()
		<-done
		_ = process.Wait()
	})
	ready := make(chan bool, 1)
	go func() {
		defer close(done)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "RPC listening") {
				ready <- true
			}
		}
		close(ready)
	}()
	if <-ready {
		return "ws://" + address.String()
	}
	return ""
}

// key returns the storage key of an item.
func (c *chopsticks) key(item string, keys ...any) string {
	c.t.Helper()
	pallet, name, _ := strings.Cut(item, ".")
	found, err := c.meta.Storage(pallet, name)
	require.NoError(c.t, err)
	key, err := found.Key(keys...)
	require.NoError(c.t, err)
	return "0x" + hex.EncodeToString(key)
}

// override writes a storage value of the best block.
func (c *chopsticks) override(item string, value any, keys ...any) {
	c.t.Helper()
	pallet, name, _ := strings.Cut(item, ".")
	found, err := c.meta.Storage(pallet, name)
	require.NoError(c.t, err)
	data, err := found.Encode(value)
	require.NoError(c.t, err)
	change := [][2]string{{c.key(item, keys...), "0x" + hex.EncodeToString(data)}}
	require.NoError(c.t, c.client.Call(c.t.Context(), nil, "dev_setStorage", change))
}

// remove deletes a storage value of the best block.
func (c *chopsticks) remove(item string, keys ...any) {
	c.t.Helper()
	change := [][2]any{{c.key(item, keys...), nil}}
	require.NoError(c.t, c.client.Call(c.t.Context(), nil, "dev_setStorage", change))
}

// block makes a block.
func (c *chopsticks) block() {
	c.t.Helper()
	require.NoError(c.t, c.client.Call(c.t.Context(), nil, "dev_newBlock"))
}

const subtensorModule = "SubtensorModule."

// subnet makes a subnet of three neurons by overrides, of which the first is a validator.
func (c *chopsticks) subnet(hotkeys ...keys.Hotkey) {
	c.t.Helper()
	n := len(hotkeys)
	c.override(subtensorModule+"NetworksAdded", true, netuid)
	c.override(subtensorModule+"SubnetworkN", n, netuid)
	c.override(subtensorModule+"Tempo", 100, netuid)
	c.override(subtensorModule+"WeightsSetRateLimit", 0, netuid)
	c.override(subtensorModule+"MinAllowedWeights", 1, netuid)
	c.override(subtensorModule+"MaxWeightsLimit", 65535, netuid)
	c.override(subtensorModule+"LastUpdate", make([]uint64, n), netuid)
	c.override(subtensorModule+"Active", []bool{true, true, true}, netuid)
	c.override(subtensorModule+"ValidatorPermit", []bool{true, false, false}, netuid)
	for uid, hotkey := range hotkeys {
		c.override(subtensorModule+"Keys", [32]byte(hotkey), netuid, uid)
		c.override(subtensorModule+"Uids", uid, netuid, [32]byte(hotkey))
		c.override(subtensorModule+"IsNetworkMember", true, [32]byte(hotkey), netuid)
	}
	c.block()
}

// pending waits until an extrinsic waits in the pool.
func (c *chopsticks) pending() {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		var extrinsics []string
		require.NoError(c.t, c.client.Call(c.t.Context(), &extrinsics, "author_pendingExtrinsics"))
		return len(extrinsics) > 0
	}, time.Minute, 20*time.Millisecond)
}

// run sends something in a goroutine of its own, changes the state while that waits in the pool,
// makes a block, and returns how it ended.
func (c *chopsticks) run(send func(ctx context.Context) error, change func()) error {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- send(ctx) }()
	c.pending()
	change()
	c.block()
	return <-result
}

// TestChainE2E runs against the real runtime of spec version 218, which is older than mechanisms
// and timelocked weights, and whose runtime APIs return bytes without a type.
func TestChainE2E(t *testing.T) {
	c := startChopsticks(t)
	alice := keypair(t, "//Alice")
	v, err := c.client.Validator(alice, netuid)
	require.NoError(t, err)
	t.Logf("connected: %+v", c.client.Stats())
	c.subnet(alice.Hotkey(), keypair(t, "//Bob").Hotkey(), keypair(t, "//Charlie").Hotkey())

	c.axon(v)
	c.plainWeights(v)
	c.refusals(v)
	c.badSignature(v)
	c.dryRuns(v)
	c.namedLimits(v)
}

func (c *chopsticks) axon(v *subtensor.Validator) {
	c.t.Helper()
	address := netip.MustParseAddrPort("1.2.3.4:8091")
	var served subtensor.Served
	err := c.run(func(ctx context.Context) (err error) {
		served, err = v.ServeAxon(ctx, address)
		return err
	}, func() {})
	require.NoError(c.t, err)
	c.t.Logf("axon served: %+v", served)
	again, err := v.ServeAxon(c.t.Context(), address)
	require.NoError(c.t, err)
	require.False(c.t, again.Sent, "the same address is not sent again")
	_, err = v.ServeAxon(c.t.Context(), netip.MustParseAddrPort("1.2.3.4:8092"))
	require.ErrorIs(c.t, err, weights.ErrTooSoon)
	c.t.Logf("another address: %v", err)
}

func (c *chopsticks) plainWeights(v *subtensor.Validator) {
	c.t.Helper()
	var submission weights.Submission
	err := c.run(func(ctx context.Context) (err error) {
		submission, err = v.SetWeights(ctx, vectorOf(1, 65535, 2, 100), func(weights.Submission) {})
		return err
	}, func() {})
	require.NoError(c.t, err)
	require.Equal(c.t, weights.Included, submission.State)
	c.t.Logf("weights set: %+v", submission)
	rows, err := c.client.Weights(c.t.Context(), netuid, 0)
	require.NoError(c.t, err)
	require.Equal(
		c.t,
		map[organic.UID][]subtensor.Weight{0: {{UID: 1, Weight: 65535}, {UID: 2, Weight: 100}}},
		rows,
	)
	c.t.Logf("weights read back: %v", rows)
	position, err := v.Position(c.t.Context())
	require.NoError(c.t, err)
	require.Equal(c.t, submission.Block, position.LastUpdate)
	c.t.Logf("position: %+v", position)
	followed, err := v.Follow(c.t.Context(), submission)
	require.NoError(c.t, err)
	require.Equal(c.t, submission, followed)
	parameters, err := c.client.Hyperparameters(c.t.Context(), netuid)
	require.NoError(c.t, err)
	c.t.Logf("hyperparameters: %+v", parameters)
}

// chainRefusal is a state of the chain that passes the checks of the client, and one in which the
// chain itself refuses the weights.
type chainRefusal struct {
	name           string
	kind           error
	vector         weights.Vector
	before, change func()
}

// refusals changes the state after the checks of the client and before the block, and back.
func (c *chopsticks) refusals(v *subtensor.Validator) {
	c.t.Helper()
	hotkey := [32]byte(v.Hotkey())
	pair := vectorOf(1, 65535, 2, 100)
	set := func(item string, value any, keys ...any) func() {
		return func() { c.override(subtensorModule+item, value, keys...) }
	}
	for _, r := range []chainRefusal{
		{
			"IncorrectWeightVersionKey", weights.ErrVersionKey, pair,
			set("WeightsVersionKey", 0, netuid), set("WeightsVersionKey", 9, netuid),
		},
		{
			"SettingWeightsTooFast", weights.ErrTooSoon, pair,
			set("WeightsSetRateLimit", 0, netuid), set("WeightsSetRateLimit", 1000, netuid),
		},
		{
			"WeightVecLengthIsLow", weights.ErrVector, pair,
			set("MinAllowedWeights", 1, netuid), set("MinAllowedWeights", 3, netuid),
		},
		{
			"MaxWeightExceeded", weights.ErrVector, pair,
			set("MaxWeightsLimit", 65535, netuid), set("MaxWeightsLimit", 1, netuid),
		},
		{
			"UidVecContainInvalidOne", weights.ErrVector, vectorOf(1, 65535, 3, 100),
			set("SubnetworkN", 4, netuid), set("SubnetworkN", 3, netuid),
		},
		{
			"UidsLengthExceedUidsInSubNet", weights.ErrVector, vectorOf(0, 65535, 1, 100, 2, 100, 3, 100),
			set("SubnetworkN", 4, netuid), set("SubnetworkN", 3, netuid),
		},
		{
			"HotKeyNotRegisteredInSubNet", weights.ErrNotRegistered, pair,
			set("Uids", 0, netuid, hotkey), func() { c.remove(subtensorModule+"Uids", netuid, hotkey) },
		},
	} {
		r.before()
		var submission weights.Submission
		err := c.run(func(ctx context.Context) (err error) {
			submission, err = v.SetWeights(ctx, r.vector, func(weights.Submission) {})
			return err
		}, r.change)
		refused := new(weights.ChainError)
		require.ErrorAs(c.t, err, &refused, r.name)
		require.ErrorIs(c.t, err, r.kind, r.name)
		require.Equal(c.t, r.name, refused.Name)
		require.Equal(c.t, weights.Lost, submission.State)
		c.t.Logf("refused by the chain in block %d: %v", submission.Block, err)
		r.before()
		set("SubnetworkN", 3, netuid)()
	}
	set("WeightsVersionKey", 0, netuid)()
}

// badSignature changes an extrinsic that waits, and sends it again: its signature does not fit any
// more.
func (c *chopsticks) badSignature(v *subtensor.Validator) {
	c.t.Helper()
	require.NoError(c.t, c.run(func(ctx context.Context) error {
		_, err := v.SetWeights(ctx, vectorOf(1, 65535), func(weights.Submission) {})
		return err
	}, func() {
		var pending []string
		require.NoError(c.t, c.client.Call(c.t.Context(), &pending, "author_pendingExtrinsics"))
		changed, err := hex.DecodeString(pending[0][2:])
		require.NoError(c.t, err)
		changed[len(changed)-1] ^= 1 // of the version key
		err = c.client.Submit(
			c.t.Context(),
			nil,
			"author_submitExtrinsic",
			"0x"+hex.EncodeToString(changed),
		)
		require.ErrorContains(c.t, err, "badProof")
		c.t.Logf("wrong signature: %v", err)
	}))
}

func (c *chopsticks) dryRuns(v *subtensor.Validator) {
	c.t.Helper()
	plan, err := v.DryRun(c.t.Context(), vectorOf(1, 65535, 2, 100))
	require.NoError(c.t, err)
	c.t.Logf("dry run: %+v", plan)
	_, err = v.DryRun(c.t.Context(), vectorOf(1, 65535, 1, 100))
	require.ErrorIs(c.t, err, weights.ErrVector)
	c.t.Logf("dry run of duplicates: %v", err)
	var before, after string
	require.NoError(c.t, c.client.Call(c.t.Context(), &before, "chain_getBlockHash"))
	var pending []string
	require.NoError(c.t, c.client.Call(c.t.Context(), &pending, "author_pendingExtrinsics"))
	require.Empty(c.t, pending, "a dry run sends nothing")
	require.NoError(c.t, c.client.Call(c.t.Context(), &after, "chain_getBlockHash"))
	require.Equal(c.t, before, after)
}

// namedLimits shows that what this runtime does not offer is refused by name.
func (c *chopsticks) namedLimits(v *subtensor.Validator) {
	c.t.Helper()
	_, err := c.client.Metagraph(c.t.Context(), netuid)
	require.ErrorIs(c.t, err, scale.ErrType)
	c.t.Logf("metagraph: %v", err)
	_, err = c.client.EpochSchedule(c.t.Context(), netuid)
	require.ErrorIs(c.t, err, scale.ErrNotFound)
	c.t.Logf("epoch schedule: %v", err)
	c.override(subtensorModule+"CommitRevealWeightsEnabled", true, netuid)
	c.block()
	_, err = v.SetWeights(c.t.Context(), vectorOf(1, 65535), func(weights.Submission) {})
	require.ErrorIs(c.t, err, weights.ErrUnsupported)
	c.t.Logf("timelocked weights: %v", err)
	_, err = c.client.Hyperparameters(c.t.Context(), 999)
	require.ErrorIs(c.t, err, subtensor.ErrNoSubnet)
	c.t.Logf("unknown subnet: %v", err)
}
