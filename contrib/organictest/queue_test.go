package organictest_test

import (
	"testing"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// traitsOf is what a fullQueue of this plan promises.
func traitsOf(p plan) organictest.QueueTraits {
	traits := organictest.QueueTraits{
		Order: p.order, Deduplicates: p.dedupes, Settles: p.settles,
		Draws: 3000,
	}
	switch {
	case p.refuses:
		traits.Bound = organictest.Refuses
	case p.capacity == 0:
		traits.Bound = organictest.Unbounded
	}
	traits.NewAged = func(_ *testing.T, maxAge time.Duration) organic.Queue[string] {
		p.maxAge = maxAge
		return newFullQueue(p)
	}
	return traits
}

// builder makes fullQueues of this plan; a plan without a bound stays so.
func builder(p plan) func(*testing.T, int) organic.Queue[string] {
	return func(_ *testing.T, capacity int) organic.Queue[string] {
		if p.capacity > 0 {
			p.capacity = capacity
		}
		return newFullQueue(p)
	}
}

func TestRightQueuesPass(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		plan plan
	}{
		{name: "random", plan: plan{capacity: 8}},
		{name: "fifo refuses", plan: plan{capacity: 8, order: organic.OrderFIFO, refuses: true}},
		{name: "newest unbounded deduplicates", plan: plan{order: organic.OrderNewest, dedupes: true}},
		{name: "fifo tells later", plan: plan{capacity: 8, order: organic.OrderFIFO, tellLater: true}},
		{name: "random settles", plan: plan{capacity: 8, settles: true}},
		{
			name: "fifo settles refuses deduplicates",
			plan: plan{capacity: 8, order: organic.OrderFIFO, settles: true, refuses: true, dedupes: true},
		},
		{name: "newest settles unbounded", plan: plan{order: organic.OrderNewest, settles: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			organictest.TestQueue(t, builder(tt.plan), traitsOf(tt.plan))
		})
	}
}

// TestSmallestQueuePasses: a queue of fifteen lines keeps the contract.
func TestSmallestQueuePasses(t *testing.T) {
	t.Parallel()
	organictest.TestQueue(t, func(_ *testing.T, capacity int) organic.Queue[string] {
		return &sliceQueue{capacity: capacity}
	}, organictest.QueueTraits{AgesByArrival: true})
}
