package weights_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/weights"
)

// days drives a validator through simulated days.
type days struct {
	t        *testing.T
	chain    *fakeChain
	chance   *rand.Rand
	path     string
	schedule weights.Schedule
	key      atomic.Uint64 // of the installed software

	restarts, outages int
	counted           map[string]int // sets that setters have counted, by hash
	lost              map[string]int
}

// process runs one process of the validator for some time. It ends as a crash does: what is under
// way is cut off, and nothing is saved at the end.
func (d *days) process(life time.Duration) {
	scores := newScores(d.t, weights.Hold(0.1), []string{"a", "b"})
	saver, err := weights.OpenSaver(d.path, scores, weights.SaverConfig{})
	require.NoError(d.t, err)
	source := func(context.Context) (weights.Vector, error) {
		return weights.Convert([]organic.UID{0, 1}, []float64{1, d.chance.Float64()}, 2)
	}
	setter, err := weights.NewSetter(sender{d.chain, d.key.Load()}, source, d.schedule,
		weights.WithSaver(saver), weights.WithObserver(d.see))
	require.NoError(d.t, err)
	ctx, cancel := context.WithTimeout(d.t.Context(), life)
	require.NoError(d.t, setter.Run(ctx))
	cancel()
	require.NoError(d.t, saver.Close())
}

func (d *days) see(event weights.SetterEvent) {
	if event.Submission.State.Set() {
		d.counted[event.Submission.Hash]++
	}
	if event.Kind == weights.SetterLost {
		d.lost[event.Submission.Hash]++
	}
}

// trouble changes the world now and then, until ctx ends.
func (d *days) trouble(ctx context.Context) {
	chance := rand.New(rand.NewPCG(7, 3))
	for ctx.Err() == nil {
		sleep(ctx, time.Duration(4+chance.IntN(20))*time.Hour)
		switch chance.IntN(3) {
		case 0: // an outage
			d.outages++
			d.chain.change(func(c *fakeChain) { c.faults.outage = true })
			sleep(ctx, time.Duration(1+chance.IntN(40))*time.Minute)
			d.chain.change(func(c *fakeChain) { c.faults.outage = false })
		case 1: // the subnet asks for newer software, which is installed some hours later
			d.outages++
			d.chain.change(func(c *fakeChain) { c.key++ })
			sleep(ctx, time.Duration(chance.IntN(60))*time.Minute)
			d.chain.change(func(c *fakeChain) { d.key.Store(c.key) })
		}
	}
}

func sleep(ctx context.Context, wait time.Duration) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// run simulates the days and returns how many blocks they had.
func (d *days) run(length time.Duration) {
	ctx, cancel := context.WithTimeout(d.t.Context(), length)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); d.trouble(ctx) }()
	for ctx.Err() == nil {
		life := 15*time.Minute + time.Duration(d.chance.Int64N(int64(165*time.Minute)))
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < life {
			life = time.Until(deadline)
		}
		d.process(life)
		d.restarts++
	}
	<-done
	d.chain.change(func(c *fakeChain) { c.faults = faults{} })
	d.process(3 * time.Hour) // so that the last submissions are followed to their end
}

func TestSetterForThirtyDaysWithFaultsAndRestarts(t *testing.T) {
	for _, timelock := range []bool{false, true} {
		for _, schedule := range []weights.Schedule{
			weights.Interval{Every: 72 * time.Minute}, weights.Blocks{Every: 360}, weights.Epoch{Before: 30},
		} {
			t.Run(fmt.Sprintf("%T, timelock %v", schedule, timelock), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { thirtyDays(t, schedule, timelock) })
			})
		}
	}
}

func thirtyDays(t *testing.T, schedule weights.Schedule, timelock bool) {
	t.Helper()
	const length = 30 * 24 * time.Hour
	d := &days{
		t: t, chain: newFakeChain(7), chance: rand.New(rand.NewPCG(7, 2)), schedule: schedule,
		path: filepath.Join(t.TempDir(), "scores.json"), counted: map[string]int{},
		lost: map[string]int{},
	}
	d.chain.timelock = timelock
	d.chain.faults = faults{lostAnswer: 0.1, dropped: 0.02, silent: 0.03}
	d.run(length)

	sets, inBlocks, lost := 0, 0, 0
	window := make(map[uint64]int)
	for _, e := range d.chain.extrinsics {
		switch {
		case e.committed: // waits for its reveal
			require.Zero(t, d.counted[e.hash]+d.lost[e.hash], "neither set nor lost yet")
		case e.set(timelock):
			sets++
			require.Equal(t, 1, d.counted[e.hash], "a set is counted once")
		default:
			lost++
			require.Zero(t, d.counted[e.hash], "what was not set is not counted")
		}
		if e.block > 0 {
			inBlocks++
			window[e.block/d.chain.tempo]++
		}
	}
	require.Len(t, d.counted, sets)
	require.Positive(t, lost)
	require.Len(t, d.lost, lost)
	require.Zero(t, d.chain.tooSoon, "nothing is sent before the rate limit has passed")
	asked := int((length + 3*time.Hour) / (72 * time.Minute))
	require.LessOrEqual(t, inBlocks, asked+1)
	require.GreaterOrEqual(t, inBlocks, asked-d.outages-lost-1)
	if _, ok := schedule.(weights.Epoch); ok {
		for epoch, n := range window {
			require.Equal(t, 1, n, "in epoch %d", epoch)
		}
	}
	t.Logf("%d of %d in blocks, %d set, %d lost; %d restarts, %d outages and changes of the version key",
		inBlocks, asked, sets, lost, d.restarts, d.outages)
}
