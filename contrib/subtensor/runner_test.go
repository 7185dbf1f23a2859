package subtensor_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// runnersStand is a runner over a fake node of six neurons that makes a block every 12 seconds.
type runnersStand struct {
	node      *subtensortest.Node
	client    *subtensor.Client
	validator *subtensor.Validator
	scores    *weights.Scores
	file      string
}

func newRunnersStand(t *testing.T) *runnersStand {
	t.Helper()
	node := newNode(t, subtensortest.Config{Clock: true, States: 10000})
	require.NoError(t, node.AddSubnet(netuid, subnetOf(t, 5)))
	blocks(3)
	client := dial(t, node)
	s := &runnersStand{
		node: node, client: client, validator: alice(t, client),
		file: filepath.Join(t.TempDir(), "scores.json"),
	}
	s.empty(t)
	return s
}

// empty stands for a new process: the scores know nothing.
func (s *runnersStand) empty(t *testing.T) {
	t.Helper()
	var err error
	s.scores, err = weights.NewScores(weights.Hold(0.5), weights.Between(0, 1), weights.WithGuards())
	require.NoError(t, err)
}

func (s *runnersStand) open(t *testing.T, cfg subtensor.RunnerConfig) *subtensor.Runner {
	t.Helper()
	r, err := s.validator.OpenRunner(s.file, s.scores, cfg)
	require.NoError(t, err)
	return r
}

// run runs it, and returns what ends it and closes it.
func run(t *testing.T, r *subtensor.Runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-ended)
		require.NoError(t, r.Close())
	}
}

func TestRunnerSetsTheWeightsOfTheScores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		var height atomic.Uint64
		var neurons, readings int
		core, logged := observer.New(zap.WarnLevel)
		r := s.open(t, subtensor.RunnerConfig{
			Schedule: weights.Blocks{Every: 100},
			Logger:   zap.New(core),
			Block:    func(h uint64) { height.Store(h) },
			Metagraph: func(m subtensor.Metagraph) {
				neurons = len(m.Neurons)
				readings++
			},
		})
		stop := run(t, r)
		blocks(1)
		_, err := s.scores.Update(weights.RoundOf(organic.NewSample("Peru?")),
			organic.Rewards{2: 1, 3: 0.5})
		require.NoError(t, err)
		blocks(99)
		rows, err := s.client.Weights(t.Context(), netuid, 0)
		require.NoError(t, err)
		stop()
		require.Equal(t, []subtensor.Weight{{UID: 2, Weight: 65535}, {UID: 3, Weight: 32768}}, rows[0])
		require.Equal(t, s.node.Height(), height.Load())
		require.Equal(t, 6, neurons)
		require.Equal(t, 5, readings, "each 25 blocks")
		require.Equal(t, 1, r.Setter().Status().Sets)
		require.NotZero(t, r.Saver().Status().Saved)
		for _, line := range logged.All() { // no try before the first metagraph
			require.NotContains(t, line.ContextMap()["error"], "metagraph")
		}

		s.empty(t)
		stop = run(t, s.open(t, subtensor.RunnerConfig{}))
		blocks(1)
		require.Equal(t, []float64{0, 0, 0.5, 0.25, 0, 0}, s.scores.Values(), "after a restart")
		stop()
	})
}

func TestRunnerTriesAgainWhenItsHotkeyIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		r := s.open(t, subtensor.RunnerConfig{Schedule: weights.Blocks{Every: 100}})
		defer run(t, r)()
		blocks(1)
		_, err := s.scores.Update(weights.RoundOf(organic.NewSample("Peru?")), organic.Rewards{2: 1})
		require.NoError(t, err)
		hotkey := s.validator.Hotkey()
		require.NoError(t, s.node.Remove("SubtensorModule.Uids", netuid, hotkey))
		blocks(150)
		require.ErrorIs(t, r.Setter().Status().Err, weights.ErrNotRegistered)
		require.NoError(t, s.node.Set("SubtensorModule.Uids", 0, netuid, hotkey))
		blocks(50)
		require.Positive(t, r.Setter().Status().Sets)
	})
}

func TestRunnerKeepsTheMetagraphOverAFailedReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		core, logged := observer.New(zap.WarnLevel)
		var readings atomic.Int32
		defer run(t, s.open(t, subtensor.RunnerConfig{
			MetagraphEvery: 10, Logger: zap.New(core),
			Metagraph: func(subtensor.Metagraph) { readings.Add(1) },
		}))()
		blocks(1)
		require.EqualValues(t, 1, readings.Load())
		twice := keys.Hotkey{1} // two UIDs with one hotkey are no metagraph
		require.NoError(t, s.node.Set("SubtensorModule.Keys", twice, netuid, uint16(3)))
		require.NoError(t, s.node.Set("SubtensorModule.Keys", twice, netuid, uint16(4)))
		blocks(15)
		require.EqualValues(t, 1, readings.Load())
		require.Len(t, s.scores.Values(), 6)
		require.NotZero(t, logged.FilterMessageSnippet("metagraph not read").Len())
	})
}

func TestRunnerPublishesTheAxonWhenTheChainDoesNotShowIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		address := netip.MustParseAddrPort("203.0.113.7:8091")
		published := func() netip.AddrPort {
			metagraph, err := s.client.Metagraph(t.Context(), netuid)
			require.NoError(t, err)
			return metagraph.Neurons[0].Axon
		}
		s.node.FailDispatch("ServingRateLimitExceeded")
		defer run(t, s.open(t, subtensor.RunnerConfig{
			Axon: netip.AddrPortFrom(netip.MustParseAddr("::ffff:203.0.113.7"), 8091),
		}))()
		blocks(10)
		require.False(t, published().IsValid(), "refused")
		blocks(30)
		require.Equal(t, address, published())
		require.NoError(t, s.node.Remove("SubtensorModule.Axons", netuid, s.validator.Hotkey()))
		blocks(40)
		require.Equal(t, address, published(), "after it was gone")
		sent := count(s.node.Requests(), submitMethod)
		blocks(100)
		require.Equal(t, sent, count(s.node.Requests(), submitMethod), "not sent without need")

		_, err := s.validator.OpenRunner(s.file, s.scores, subtensor.RunnerConfig{
			Axon: netip.MustParseAddrPort("127.0.0.1:8091"),
		})
		require.ErrorIs(t, err, organic.ErrInvalidOption)
	})
}

func TestRunnerPublishesAPrivateAddressIfAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		address := netip.MustParseAddrPort("10.0.0.7:8091")
		defer run(t, s.open(t, subtensor.RunnerConfig{
			Axon: address, ServeOptions: []subtensor.ServeOption{subtensor.AllowPrivate()},
		}))()
		blocks(10)
		metagraph, err := s.client.Metagraph(t.Context(), netuid)
		require.NoError(t, err)
		require.Equal(t, address, metagraph.Neurons[0].Axon)
	})
}

// Setter and runner both read the metagraph: the one that comes last may have read an earlier
// block.
func TestRunnerTakesAnEarlierMetagraphForNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		metagraph, err := s.client.Metagraph(t.Context(), netuid)
		require.NoError(t, err)
		later := metagraph.Weights()
		later.Block += 10_000
		require.NoError(t, s.scores.SetMetagraph(later))
		core, logged := observer.New(zap.WarnLevel)
		var readings atomic.Int32
		r := s.open(t, subtensor.RunnerConfig{
			Schedule: weights.Blocks{Every: 100}, Logger: zap.New(core),
			Metagraph: func(subtensor.Metagraph) { readings.Add(1) },
		})
		defer run(t, r)()
		blocks(1)
		_, err = s.scores.Update(weights.RoundOf(organic.NewSample("Peru?")), organic.Rewards{2: 1})
		require.NoError(t, err)
		blocks(150)
		require.Positive(t, r.Setter().Status().Sets)
		require.EqualValues(t, 7, readings.Load())
		require.Zero(t, logged.FilterMessageSnippet("metagraph").Len())
		for _, line := range logged.All() {
			require.NotContains(t, line.ContextMap()["error"], "metagraph")
		}
	})
}

func TestRunnerEndsWithTheClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		r := s.open(t, subtensor.RunnerConfig{})
		ended := make(chan error, 1)
		go func() { ended <- r.Run(t.Context()) }()
		blocks(1)
		require.ErrorIs(t, r.Run(t.Context()), weights.ErrRunning)
		s.client.Close()
		require.ErrorIs(t, <-ended, subtensor.ErrClosed)
		require.NoError(t, r.Close())
		require.NoError(t, r.Close())
	})
}

func TestRunnerThatCannotBeOpenedLeavesTheFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		_, err := s.validator.OpenRunner(s.file, nil, subtensor.RunnerConfig{})
		require.ErrorIs(t, err, weights.ErrInvalidOption)
		_, err = s.validator.OpenRunner(s.file, s.scores, subtensor.RunnerConfig{
			Setter: []weights.SetterOption{weights.WithTimeout(0)},
		})
		require.ErrorIs(t, err, weights.ErrInvalidOption)
		r := s.open(t, subtensor.RunnerConfig{})
		_, err = s.validator.OpenRunner(s.file, s.scores, subtensor.RunnerConfig{})
		require.ErrorIs(t, err, weights.ErrLocked)
		require.NoError(t, r.Close())
	})
}

// After a lost connection a node can refuse what the one before has offered. That passes, and must
// not end the validator.
func TestRunnerOutlastsANodeThatRefusesHeads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newRunnersStand(t)
		core, logged := observer.New(zap.WarnLevel)
		var heights []uint64
		var readings int
		stop := run(t, s.open(t, subtensor.RunnerConfig{
			MetagraphEvery: 10, Logger: zap.New(core),
			Block:     func(height uint64) { heights = append(heights, height) },
			Metagraph: func(subtensor.Metagraph) { readings++ },
		}))
		blocks(5)
		s.node.Inject(subtensortest.Fault{
			Method: "chain_subscribeNewHeads", Action: subtensortest.Fail, Times: 6,
			Error: `{"code":-32006,"message":"Too many subscriptions on the connection"}`,
		})
		s.node.Drop()
		blocks(30)
		stop()
		require.Equal(t, s.node.Height(), heights[len(heights)-1])
		for i, height := range heights {
			require.Equal(t, heights[0]+uint64(i), height, "each height once and in order")
		}
		require.GreaterOrEqual(t, readings, 3)
		require.NotZero(t, logged.FilterMessageSnippet("blocks not followed").Len())
		require.LessOrEqual(t, logged.FilterMessageSnippet("blocks not followed").Len(), 6)
	})
}
