// Package organictest tests what is plugged into package organic, and stands
// in for what cannot be had in a test. Conformance suites check whether a queue
// or a dataset of one's own keeps its contract; fake miners, a fake axon and
// hooks made of functions let a validator be tested without a network.
//
// # A queue of one's own
//
// [TestQueue] runs the conformance suite in the queue's own tests. The queue
// says what it promises, and the suite holds it to that:
//
//	func TestConformance(t *testing.T) {
//		t.Parallel()
//		organictest.TestQueue(t, func(t *testing.T, capacity int) organic.Queue[string] {
//			queue := sqlqueue.New(openDatabase(t), capacity)
//			t.Cleanup(queue.Close)
//			return queue
//		}, organictest.QueueTraits{
//			Order:   organic.OrderFIFO,
//			Bound:   organictest.Refuses,
//			Settles: true,
//		})
//	}
//
// Each promise is a subtest with a queue of its own, so that
//
//	go test -race -run 'TestConformance/retry'
//
// looks at one of them. Run the suite with the race detector: that a queue is
// safe for concurrent use cannot be seen otherwise. [TestSynthDataset] does
// the same for datasets.
//
// # Hooks
//
// [HookFuncs] is a set of hooks with a field for each; a nil field is the
// hook's default. So a test writes only what it is about:
//
//	hooks := organictest.HookFuncs[string, string]{
//		QueryMinersFunc: miners.Query,
//		SetWeightsFunc: func(
//			_ context.Context, _ organic.Sample[string], rewards organic.Rewards,
//		) error {
//			got <- rewards
//			return nil
//		},
//	}
//	scorer, err := organic.New(hooks)
//
// # Miners
//
// [Miners] answer as a subnet does: some at once, some late, some never. They
// measure time by timers alone, so that in a bubble of testing/synctest a
// minute of latency costs nothing:
//
//	miners := organictest.Miners[string, string]{
//		0: {Answer: answer},
//		1: {Answer: answer, Latency: 20 * time.Second},
//		2: {Err: errors.New("connection refused")},
//		3: {Hang: true},
//		4: {Panic: "boom"},
//	}
//	responses, err := miners.Query(ctx, sample)
//
// # An axon
//
// [Axon] takes the scorer's entry hooks from organic.WithAxon and passes
// requests to them in the order of a real one, without signatures and
// without a socket:
//
//	axon := &organictest.Axon{}
//	scorer, err := organic.New(hooks, organic.WithAxon(axon))
//	// … Start …
//	status, body := axon.Ask(ctx, &organic.Synapse{Name: "Prompt", Body: []byte(`{}`)})
package organictest
