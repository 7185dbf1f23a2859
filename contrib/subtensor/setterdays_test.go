package subtensor_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// settersMonth is a validator that is restarted every 15 minutes to 3 hours, on a node that fails.
type settersMonth struct {
	t        *testing.T
	node     *subtensortest.Node
	beacon   *subtensortest.Beacon
	schedule weights.Schedule
	path     string
	key      atomic.Uint64 // the version key of the installed software

	restarts, troubles int
	counted, lost      map[string]int // by the hash of the extrinsic
	committed, set     []uint64       // blocks
	failed             int            // extrinsics, in their blocks
	read               uint64         // blocks whose events were read
}

// process runs one process of the validator. What is under way at its end is cut off.
func (m *settersMonth) process(life time.Duration) {
	ctx, cancel := context.WithTimeout(m.t.Context(), life)
	defer cancel()
	scores, err := weights.NewScores(weights.Hold(0.1), weights.Between(0, 1))
	require.NoError(m.t, err)
	require.NoError(m.t, scores.SetMetagraph(weights.Hotkeys("validator", "miner")))
	saver, err := weights.OpenSaver(m.path, scores, weights.SaverConfig{})
	require.NoError(m.t, err)
	client, err := subtensor.Dial(ctx, m.node.Network(), subtensor.WithDialer(m.node.Dial))
	if err != nil { // the node could not be reached before the end
		require.NoError(m.t, saver.Close())
		<-ctx.Done()
		return
	}
	v := alice(
		m.t,
		client,
		subtensor.WithBeacon(m.beacon.Public()),
		subtensor.WithVersionKey(m.key.Load()),
	)
	// The vector is always the same: what the chain's row holds is no evidence of a reveal.
	source := func(context.Context) (weights.Vector, error) { return good, nil }
	setter, err := weights.NewSetter(
		v,
		source,
		m.schedule,
		weights.WithSaver(saver),
		weights.WithObserver(m.see),
	)
	require.NoError(m.t, err)
	require.NoError(m.t, setter.Run(ctx))
	client.Close()
	require.NoError(m.t, saver.Close())
}

func (m *settersMonth) see(event weights.SetterEvent) {
	if event.Submission.State.Set() {
		m.counted[event.Submission.Hash]++
	}
	if event.Kind == weights.SetterLost {
		m.lost[event.Submission.Hash]++
	}
}

// events reads what the chain has done since the last call, before its state is pruned.
func (m *settersMonth) events() {
	for ; m.read < m.node.Height(); m.read++ {
		events, err := m.node.Events(m.read + 1)
		require.NoError(m.t, err)
		for _, event := range events {
			switch {
			case event.Is("SubtensorModule", "TimelockedWeightsCommitted"):
				m.committed = append(m.committed, m.read+1)
			case event.Is("SubtensorModule", "WeightsSet"):
				m.set = append(m.set, m.read+1)
			case event.Is("System", "ExtrinsicFailed"):
				m.failed++
			}
		}
	}
}

// trouble makes the node fail every 4 to 20 hours, until ctx ends.
func (m *settersMonth) trouble(ctx context.Context) {
	chance := rand.New(rand.NewPCG(11, 1))
	pause := func(length time.Duration) {
		select {
		case <-time.After(length):
		case <-ctx.Done():
		}
	}
	for pause(time.Duration(4+chance.IntN(16)) * time.Hour); ctx.Err() == nil; pause(time.Duration(4+chance.IntN(16)) * time.Hour) {
		m.troubles++
		length := time.Duration(1+chance.IntN(40)) * time.Minute
		switch chance.IntN(6) {
		case 0:
			m.node.Refuse(http.StatusServiceUnavailable)
			m.node.Drop()
			pause(length)
			m.node.Refuse(0)
		case 1:
			m.node.Stall()
			pause(length)
			m.node.Resume()
		case 2: // answers to submissions are lost
			m.node.Inject(
				subtensortest.Fault{
					Method: "author_submitExtrinsic",
					Action: subtensortest.DropAfter,
					Times:  3,
				},
			)
		case 3: // submissions are lost
			m.node.Inject(
				subtensortest.Fault{
					Method: "author_submitExtrinsic",
					Action: subtensortest.DropBefore,
				},
			)
		case 4:
			m.node.LoseReveals(1)
		case 5: // the subnet asks for newer software, which is installed later
			key := m.key.Load() + 1
			require.NoError(m.t, m.node.Set("SubtensorModule.WeightsVersionKey", key, netuid))
			pause(length)
			m.key.Store(key)
		}
	}
}

func (m *settersMonth) run(length time.Duration) {
	ctx, cancel := context.WithTimeout(m.t.Context(), length)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); m.trouble(ctx) }()
	chance := rand.New(rand.NewPCG(11, 2))
	for ctx.Err() == nil {
		m.process(15*time.Minute + time.Duration(chance.Int64N(int64(165*time.Minute))))
		m.events()
		m.restarts++
	}
	<-done
	m.process(3 * time.Hour)
	m.events()
}

// TestSetterForThirtyDaysOfRestartsAndFaults compares what setters have counted with what the chain
// has done. With the race detector it is three days.
func TestSetterForThirtyDaysOfRestartsAndFaults(t *testing.T) {
	tests := map[string]struct {
		schedule weights.Schedule
		length   time.Duration
	}{
		"timelocked": {weights.Epoch{Before: 40}, 30 * 24 * time.Hour},
		"plain":      {weights.Interval{Every: 72 * time.Minute}, 5 * 24 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length := tt.length
			if raceDetector || testing.Short() {
				length = 3 * 24 * time.Hour
			}
			subnet := subnetOf(t, 5)
			subnet.CommitReveal, subnet.Tempo, subnet.RateLimit = name == "timelocked", 360, 100
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)))
				beacon, err := subtensortest.NewBeacon("a month")
				require.NoError(t, err)
				node := newNode(t, subtensortest.Config{Clock: true, Pulses: beacon, States: 2000})
				require.NoError(t, node.AddSubnet(netuid, subnet))
				m := &settersMonth{
					t:        t,
					node:     node,
					beacon:   beacon,
					schedule: tt.schedule,
					path:     filepath.Join(t.TempDir(), "scores.json"),
					counted:  map[string]int{},
					lost:     map[string]int{},
				}
				m.run(length)
				m.requireCounted(int((length+3*time.Hour)/(72*time.Minute)), subnet.CommitReveal)
			})
		})
	}
}

// requireCounted compares the counters with the events of the chain.
func (m *settersMonth) requireCounted(asked int, timelocked bool) {
	m.t.Helper()
	m.t.Logf("%d asked for, %d committed, %d set, %d lost; %d restarts, %d troubles",
		asked, len(m.committed), len(m.set), len(m.lost), m.restarts, m.troubles)
	require.Zero(m.t, m.failed, "nothing is sent that the chain refuses")
	sets, counted := len(m.set), len(m.counted)
	require.Equal(m.t, sets, counted, "each set is counted, and nothing else")
	for hash, times := range m.counted {
		require.Equal(m.t, 1, times, "and once: %s", hash)
		require.Zero(m.t, m.lost[hash])
	}
	sent := m.set
	if timelocked {
		sent = m.committed
		for i := range sent[1:] {
			require.Greater(m.t, sent[i+1]/360, sent[i]/360, "once in an epoch")
		}
	}
	for i := range sent[1:] {
		require.GreaterOrEqual(m.t, sent[i+1]-sent[i], uint64(100), "the rate limit")
	}
	require.LessOrEqual(m.t, len(sent), asked+1)
	require.GreaterOrEqual(m.t, len(sent), asked-2*m.troubles-1)
}
