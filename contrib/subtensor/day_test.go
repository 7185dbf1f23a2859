package subtensor_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/organic-scoring/organic/contrib/weights"
	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/subtensor/subtensortest"
)

// day is a validator that sets timelocked weights every half hour for a day, on a node that fails
// every 20 minutes.
type day struct {
	node    *subtensortest.Node
	client  *subtensor.Client
	beacon  *subtensortest.Beacon
	heights []uint64
	ends    map[weights.State]int
	errs    []error
}

// watch records the heights.
func (d *day) watch(ctx context.Context) {
	err := d.client.EachBlock(ctx, func(height uint64) { d.heights = append(d.heights, height) })
	if err != nil {
		d.errs = append(d.errs, err)
	}
}

// validate sets weights and follows each submission to its end.
func (d *day) validate(ctx context.Context, v *subtensor.Validator) {
	ticker := time.NewTicker(30 * time.Minute)
	defer ticker.Stop()
	for {
		submission, err := v.SetWeights(ctx, vectorOf(1, 10, 2, 20), func(weights.Submission) {})
		for err == nil && !submission.State.Final() {
			time.Sleep(time.Minute)
			submission, err = v.Follow(ctx, submission)
		}
		if err == nil {
			d.ends[submission.State]++
		} else if ctx.Err() == nil {
			d.ends[weights.None]++
			d.errs = append(d.errs, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// faults returns what goes wrong in turn.
func (d *day) faults(t *testing.T) []func() {
	t.Helper()
	spec, shift := uint32(426), uint8(1)
	return []func(){
		d.node.Drop,
		func() { require.NoError(t, d.node.Reorg(3, 4, false)) },
		func() { d.node.Duplicate(true) },
		func() { d.node.Stall() },
		func() { d.node.Resume() },
		func() { d.node.Refuse(http.StatusTooManyRequests); d.node.Drop() },
		func() { d.node.Refuse(0) },
		func() {
			runtime, err := subtensortest.NewRuntime(subtensortest.RuntimeConfig{Spec: spec, Shift: shift})
			require.NoError(t, err)
			d.node.Upgrade(runtime)
			spec, shift = spec+1, shift+1
		},
		func() {
			d.node.Inject(subtensortest.Fault{
				Skip: 5, Action: subtensortest.Fail, Error: `{"code":-32999,"message":"Rate limit exceeded"}`,
			})
		},
		func() { d.node.Inject(subtensortest.Fault{Skip: 17, Action: subtensortest.DropAfter}) },
		func() { d.node.Duplicate(false) },
	}
}

func TestDayOfBlocksAndFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		beacon, err := subtensortest.NewBeacon("day")
		require.NoError(t, err)
		node := newNode(t, subtensortest.Config{Clock: true, Pulses: beacon, FinalityLag: 3})
		subnet := subnetOf(t, 3)
		subnet.CommitReveal, subnet.RateLimit = true, 20
		require.NoError(t, node.AddSubnet(netuid, subnet))
		client := dial(t, node)
		d := &day{node: node, client: client, beacon: beacon, ends: make(map[weights.State]int)}

		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		var tasks sync.WaitGroup
		tasks.Go(func() { d.watch(ctx) })
		tasks.Go(func() { d.validate(ctx, alice(t, client, subtensor.WithBeacon(beacon.Public()))) })
		faults := d.faults(t)
		for i := 0; ctx.Err() == nil; i++ {
			select {
			case <-time.After(20 * time.Minute):
				faults[i%len(faults)]()
			case <-ctx.Done():
			}
		}
		tasks.Wait()

		require.Empty(t, d.errs)
		for i, height := range d.heights {
			require.Equal(t, uint64(i), height, "each height once and in order")
		}
		require.Greater(t, len(d.heights), 7000)
		require.Greater(t, d.ends[weights.Revealed], 35)
		require.Empty(t, d.ends[weights.Lost], "nothing is lost")
		require.Greater(t, client.Stats().Connections, uint64(30))
	})
}
