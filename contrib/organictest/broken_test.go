package organictest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// brokenVariable names the broken implementation that a child process puts to
// the suite.
const brokenVariable = "ORGANICTEST_BROKEN"

// broken is a queue that breaks a promise, and how that is seen.
type broken struct {
	name    string
	plan    plan
	bend    func(*bent)                    // what is wrong, beyond the plan
	traits  func(*organictest.QueueTraits) // what it promises, beyond the plan
	check   string                         // the check that must fail
	message string                         // part of what it says
}

// bent is a fullQueue with methods replaced.
type bent struct {
	*fullQueue
	add    func(context.Context, organic.Sample[string]) error
	sample func(context.Context) (organic.Lease[string], error)
	size   func() int
	watch  func(organic.Watcher) func()
	calls  atomic.Int64
}

func (b *bent) Add(ctx context.Context, sample organic.Sample[string]) error {
	return b.add(ctx, sample)
}
func (b *bent) Sample(ctx context.Context) (organic.Lease[string], error) { return b.sample(ctx) }
func (b *bent) Size() int                                                 { return b.size() }
func (b *bent) Watch(watcher organic.Watcher) func() {
	return b.watch(watcher)
}

// every is true at each nth call.
func (b *bent) every(n int64) bool { return b.calls.Add(1)%n == 0 }

// alter changes each sample that is handed out.
func (b *bent) alter(change func(*organic.Sample[string])) {
	b.sample = func(ctx context.Context) (organic.Lease[string], error) {
		lease, err := b.fullQueue.Sample(ctx)
		change(&lease.Sample)
		return lease, err
	}
}

// misjudge changes each verdict, or drops it by returning false.
func (b *bent) misjudge(change func(*organic.Verdict) bool) {
	b.sample = func(ctx context.Context) (organic.Lease[string], error) {
		lease, err := b.fullQueue.Sample(ctx)
		settle := lease.Settle
		lease.Settle = func(ctx context.Context, verdict organic.Verdict) error {
			if change(&verdict) {
				return settle(ctx, verdict)
			}
			return nil
		}
		return lease, err
	}
}

func (b broken) build(p plan) organic.Queue[string] {
	queue := newFullQueue(p)
	made := &bent{
		fullQueue: queue, add: queue.Add, sample: queue.Sample, size: queue.Size,
		watch: queue.Watch,
	}
	if b.bend != nil {
		b.bend(made)
	}
	return made
}

// run puts the queue to the suite.
func (b broken) run(t *testing.T) {
	t.Helper()
	traits := traitsOf(b.plan)
	traits.Patience = 500 * time.Millisecond
	traits.NewAged = func(_ *testing.T, maxAge time.Duration) organic.Queue[string] {
		aged := b.plan
		aged.maxAge = maxAge
		return b.build(aged)
	}
	if b.traits != nil {
		b.traits(&traits)
	}
	organictest.TestQueue(t, func(_ *testing.T, capacity int) organic.Queue[string] {
		sized := b.plan
		if sized.capacity > 0 {
			sized.capacity = capacity
		}
		return b.build(sized)
	}, traits)
}

// requireCaught runs a test of this binary in a child, for one broken
// implementation and one check, and requires that the check fails and says why.
func requireCaught(t *testing.T, test, implementation, check, message string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.CommandContext(t.Context(), self, "-test.run=^"+test+"$/^"+check+"$",
		"-test.timeout=1m")
	child.Env = append(os.Environ(), brokenVariable+"="+implementation)
	output, err := child.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAsf(t, err, &exit, "%q was not caught:\n%s", implementation, output)
	require.Containsf(t, string(output), "--- FAIL: "+test, "%q was not caught by a check",
		implementation)
	require.Containsf(t, string(output), message, "%q was caught for another reason", implementation)
}

func TestBrokenQueuesFail(t *testing.T) {
	t.Parallel()
	implementation, child := os.LookupEnv(brokenVariable)
	for _, tt := range brokenQueues() {
		if child && tt.name == implementation {
			tt.run(t)
		}
		if !child {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				requireCaught(t, "TestBrokenQueuesFail", tt.name, tt.check, tt.message)
			})
		}
	}
}

func brokenQueues() []broken {
	var all []broken
	groups := [][]broken{
		brokenDelivery(), brokenSamples(), brokenContexts(), brokenSizes(),
		brokenOrder(), brokenFairness(), brokenBounds(), brokenRefusals(), brokenAges(),
		brokenLeases(), brokenVerdicts(), brokenReturns(), brokenWatchers(),
	}
	for _, some := range groups {
		all = append(all, some...)
	}
	return all
}

var (
	random  = plan{capacity: 8}
	fifo    = plan{capacity: 8, order: organic.OrderFIFO}
	settles = plan{capacity: 8, settles: true}
	errOwn  = errors.New("a queue's own error")
)
