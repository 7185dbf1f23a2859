package organic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// Validator asks its miners for capitals: prompts and answers are strings.
type Validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string] // the hooks that are not written here
}

var _ organic.Hooks[string, string] = (*Validator)(nil) // makes the compiler name the wrong hook

func (v *Validator) QueryMiners(
	ctx context.Context, sample organic.Sample[string],
) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "Lima", 1: "Quito, I think"}, nil // ask your miners here
}

func (v *Validator) GenerateReference(
	ctx context.Context, sample organic.Sample[string],
) (string, error) {
	return "Lima", nil // runs while the miners are asked
}

func (v *Validator) GenerateRewards(
	ctx context.Context, sample organic.Sample[string], responses map[organic.UID]string,
	reference string,
) (organic.Rewards, error) {
	rewards := make(organic.Rewards)
	for uid, answer := range responses {
		rewards[uid] = float64(strings.Count(answer, reference)) // compare as you like
	}
	return rewards, nil
}

func (v *Validator) SetWeights(
	ctx context.Context, sample organic.Sample[string], rewards organic.Rewards,
) error {
	fmt.Println(sample.Payload, rewards)
	return nil
}

// A whole validator: built, started, given a query, and stopped when that has
// been scored.
func Example() {
	v := &Validator{}
	scorer, err := organic.New(v, organic.WithTrigger(organic.Seconds{Frequency: time.Minute}))
	if err != nil {
		fmt.Println(err)
		return
	}
	v.OrganicScorer = scorer

	ctx := context.Background()
	if err := v.Start(ctx); err != nil { // the end of its ctx is the hard stop
		fmt.Println(err)
		return
	}
	if _, err := v.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
	}
	if err := v.Drain(ctx); err != nil { // nothing is queued, delayed or in flight
		fmt.Println(err)
	}
	if err := v.Stop(ctx); err != nil { // no hook runs, no goroutine is left
		fmt.Println(err)
	}
	fmt.Println(v.Stats().Scored, "scored")
	// Output:
	// What is the capital of Peru? map[0:1 1:0]
	// 1 scored
}

// Gateway is a validator that takes its queries from an axon. HookFuncs stands
// for the hooks that score them.
type Gateway struct {
	*organic.OrganicScorer[string, string]
	organictest.HookFuncs[string, string]
}

var _ organic.Hooks[string, string] = (*Gateway)(nil) // makes the compiler name the wrong hook

func (g *Gateway) Blacklist(ctx context.Context, synapse *organic.Synapse) error {
	if synapse.Requester != "friend" {
		return organic.Refuse(http.StatusForbidden, "unknown hotkey")
	}
	return nil
}

func (g *Gateway) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	sample := organic.NewSample(string(synapse.Body))
	sample.Requester = synapse.Requester
	if _, err := g.EnqueueSample(ctx, sample); err != nil {
		return organic.Refuse(http.StatusTooManyRequests, "come back later")
	}
	w.WriteHeader(http.StatusAccepted)
	_, err := w.Write([]byte("to be scored")) // or what the miners answer
	return err
}

// Requests are passed to the entry hooks while the scorer runs. A fake axon
// stands in for the real one of contrib/axon.
func ExampleWithAxon() {
	axon := &organictest.Axon{}
	g := &Gateway{}
	scorer, err := organic.New(g, organic.WithAxon(axon))
	if err != nil {
		fmt.Println(err)
		return
	}
	g.OrganicScorer = scorer

	ctx := context.Background()
	ask := func(hotkey string) {
		status, body := axon.Ask(ctx, &organic.Synapse{
			Requester: hotkey,
			Body:      []byte("What is the capital of Peru?"),
		})
		fmt.Println(status, string(body))
	}
	ask("friend")
	if err := g.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	ask("friend")
	ask("stranger")
	if err := g.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println(g.Stats().Accepted, "accepted")
	// Output:
	// 503 not serving now
	// 202 to be scored
	// 403 unknown hotkey
	// 1 accepted
}

// A sample that fails comes back, and is given to the dead-letter function
// when it has no attempt left.
func ExampleWithRetry() {
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(_ context.Context, sample organic.Sample[string]) (map[organic.UID]string,
			error,
		) {
			fmt.Println("attempt", sample.Attempt)
			return nil, errors.New("no miner can be reached")
		},
	}
	bury := func(_ context.Context, sample organic.Sample[string], cause error) error {
		fmt.Printf("buried %q: %v\n", sample.Payload, cause) // keep it in a file, say
		return nil
	}
	scorer, err := organic.New(hooks,
		organic.WithRetry(organic.RetryPolicy{Attempts: 2, Delay: time.Millisecond}),
		organic.WithDeadLetter(bury),
		organic.WithTrigger(organic.Seconds{Frequency: time.Millisecond}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := scorer.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
	}
	if err := scorer.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	if err := scorer.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// attempt 1
	// attempt 2
	// buried "What is the capital of Peru?": organic: query: no miner can be reached
}

// A hook that sees that a sample can never be scored gives it up at once,
// however many attempts are left.
func ExampleDiscard() {
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(_ context.Context, sample organic.Sample[string]) (map[organic.UID]string,
			error,
		) {
			if sample.Payload == "" {
				return nil, organic.Discard(errors.New("empty prompt"))
			}
			return map[organic.UID]string{0: "Lima"}, nil
		},
	}
	scorer, err := organic.New(hooks)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := scorer.Enqueue(ctx, ""); err != nil {
		fmt.Println(err)
		return
	}
	_, err = scorer.Iterate(ctx)
	fmt.Println(err)
	fmt.Println(scorer.Stats().Discarded, "discarded")
	// Output:
	// organic: query: discard: empty prompt
	// 1 discarded
}

// A hook that cannot work now says when it can: the attempt does not count.
func ExampleRetryAfter() {
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(context.Context, organic.Sample[string], organic.Rewards) error {
			return organic.RetryAfter(12*time.Second, errors.New("weights were set in this block"))
		},
	}
	scorer, err := organic.New(hooks)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
		return
	}
	_, err = scorer.Iterate(ctx)
	fmt.Println(err)
	stats := scorer.Stats()
	fmt.Println(stats.Delayed, "delayed,", stats.Returned, "returned,", stats.Retried, "retried")
	// Output:
	// organic: weights: retry after 12s: weights were set in this block
	// 1 delayed, 1 returned, 0 retried
}

// Two datasets, of which one is picked three times as often, give a third of
// the samples even while organic ones wait, and all of them afterwards.
func ExampleWithSynth() {
	trivia, err := organic.NewSliceDataset([]string{"Is water wet?", "Are bananas berries?"}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	sums := organic.SynthFunc[string](func(context.Context) (string, error) {
		return "What is 2 + 2?",
			nil
	})
	scorer, err := organic.New(organictest.HookFuncs[string, string]{},
		organic.WithSynth(organic.Named("trivia", 3, trivia), organic.Named("sums", 1, sums)),
		organic.WithSynthRatio(1.0/3),
		organic.WithSeed(8), // the same picks in each run
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for range 3 {
		if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
			fmt.Println(err)
		}
	}
	for range 8 {
		result, err := scorer.Iterate(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%v %q\n", result.Sample.Origin, result.Sample.Source)
	}
	// Output:
	// synthetic "trivia"
	// organic ""
	// organic ""
	// organic ""
	// synthetic "trivia"
	// synthetic "trivia"
	// synthetic "trivia"
	// synthetic "sums"
}

// An observer that writes events as lines of slog. No event holds a payload;
// the kind says which fields are set.
func ExampleWithObserver() {
	withoutTime := func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return attr
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	observe := func(e organic.Event) {
		switch {
		case e.Kind == organic.EventStageDone, e.Kind == organic.EventStageFailed: // five per iteration
		case e.Err != nil:
			logger.Warn(e.Kind.String(), "id", e.ID, "attempt", e.Attempt, "err", e.Err)
		default:
			logger.Info(e.Kind.String(), "id", e.ID, "attempt", e.Attempt)
		}
	}
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(_ context.Context, sample organic.Sample[string]) (map[organic.UID]string,
			error,
		) {
			if sample.ID == "q-2" {
				return nil, errors.New("no miner can be reached")
			}
			return map[organic.UID]string{0: "Lima"}, nil
		},
	}
	scorer, err := organic.New(hooks, organic.WithObserver(observe))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, id := range []string{"q-1", "q-2"} {
		if _, err := scorer.EnqueueSample(ctx,
			organic.Sample[string]{ID: id, Payload: "What is the capital of Peru?"}); err != nil {
			fmt.Println(err)
		}
		_, _ = scorer.Iterate(ctx) // the observer gets its error
	}
	// Output:
	// level=INFO msg=accepted id=q-1 attempt=1
	// level=INFO msg=started id=q-1 attempt=1
	// level=INFO msg=scored id=q-1 attempt=1
	// level=INFO msg=accepted id=q-2 attempt=1
	// level=INFO msg=started id=q-2 attempt=1
	// level=WARN msg=failed id=q-2 attempt=1 err="organic: query: no miner can be reached"
	// level=WARN msg=retried id=q-2 attempt=1 err="organic: query: no miner can be reached"
}

// A small queue that serves in order, and refuses samples instead of dropping
// the oldest.
func ExampleNewMemoryQueue() {
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{
		Capacity: 2,
		Order:    organic.OrderFIFO, Refuse: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	for _, prompt := range []string{"first", "second", "third"} {
		err := queue.Add(ctx, organic.NewSample(prompt))
		fmt.Println(prompt, errors.Is(err, organic.ErrFull))
	}
	for queue.Size() > 0 {
		lease, err := queue.Sample(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("out:", lease.Sample.Payload)
	}
	_, err = queue.Sample(ctx)
	fmt.Println(err)
	// Output:
	// first false
	// second false
	// third true
	// out: first
	// out: second
	// organic: nothing to score
}

// What waits in memory is saved when a program stops, and enqueued again, with
// IDs, times and attempts, when it starts.
func ExampleMemoryQueue_TakeAll() {
	ctx := context.Background()
	queue, err := organic.NewMemoryQueue[string](organic.MemoryConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, sample := range []organic.Sample[string]{
		{ID: "q-1", Payload: "Peru?", Attempt: 1},
		{ID: "q-2", Payload: "Chile?", Attempt: 2},
	} {
		if err := queue.Add(ctx, sample); err != nil {
			fmt.Println(err)
		}
	}
	saved, err := json.Marshal(queue.TakeAll()) // after Stop has returned nil
	if err != nil {
		fmt.Println(err)
		return
	}

	scorer, err := organic.New(organictest.HookFuncs[string, string]{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var samples []organic.Sample[string]
	if err := json.Unmarshal(saved, &samples); err != nil {
		fmt.Println(err)
		return
	}
	for _, sample := range samples {
		if _, err := scorer.EnqueueSample(ctx, sample); err != nil {
			fmt.Println(err)
		}
		fmt.Println(sample) // prints without the payload
	}
	fmt.Println(queue.Size(), "left,", scorer.Stats().Queued, "queued")
	// Output:
	// sample q-1 (organic, attempt 1)
	// sample q-2 (organic, attempt 2)
	// 0 left, 2 queued
}

// One iteration at a time, without a loop: for tests of a validator, and for
// programs with a loop of their own.
func ExampleOrganicScorer_Iterate() {
	scorer, err := organic.New(organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(context.Context, organic.Sample[string]) (map[organic.UID]string, error) {
			return map[organic.UID]string{7: "Lima"}, nil
		},
		GenerateRewardsFunc: func(
			_ context.Context, _ organic.Sample[string], responses map[organic.UID]string, _ string,
		) (organic.Rewards, error) {
			return organic.Rewards{7: float64(len(responses[7]))}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
		return
	}

	result, err := scorer.Iterate(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Sample.Origin, result.Responses, result.Rewards)

	_, err = scorer.Iterate(ctx)
	fmt.Println(errors.Is(err, organic.ErrEmpty), err)
	// Output:
	// organic map[7:Lima] map[7:4]
	// true organic: nothing to score
}

// The soft stop waits for what is in flight. When its ctx ends first it turns
// into the hard stop, and a second call waits until has ended.
func ExampleOrganicScorer_Stop() {
	asked := make(chan struct{})
	scorer, err := organic.New(organictest.HookFuncs[string, string]{
		QueryMinersFunc: func(ctx context.Context, _ organic.Sample[string]) (map[organic.UID]string,
			error,
		) {
			close(asked)
			<-ctx.Done() // the miners never answer
			return nil, context.Cause(ctx)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := scorer.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
		return
	}
	<-asked

	soft, cancel := context.WithTimeout(ctx, 10*time.Millisecond) // half a minute, say, in production
	defer cancel()
	err = scorer.Stop(soft)
	fmt.Println("soft:", err)
	if err != nil {
		fmt.Println("hard:", scorer.Stop(ctx))
	}
	fmt.Println("back in the queue:", scorer.Stats().Queued)
	// Output:
	// soft: context deadline exceeded
	// hard: <nil>
	// back in the queue: 1
}

// The keys are those of the Python original, and two more.
func ExampleResult_Logs() {
	result := organic.Result[string, string]{
		Sample: organic.NewSample("What is the capital of Peru?"),
		Durations: organic.Durations{
			Query: 1200 * time.Millisecond, Responses: 1250 * time.Millisecond,
			Total: 1500 * time.Millisecond,
		},
		QueueSize: 3,
	}
	logs := result.Logs()
	for _, key := range slices.Sorted(maps.Keys(logs)) {
		fmt.Println(key, logs[key])
	}
	// Output:
	// is_organic_sample true
	// organic_queue_len 3
	// organic_queue_size 3
	// organic_time_query 1.2
	// organic_time_reference 0
	// organic_time_responses 1.25
	// organic_time_rewards 0
	// organic_time_sample 0
	// organic_time_total 1.5
	// organic_time_weights 0
}

// A validator that counts blocks instead of seconds.
func ExampleSteps() {
	hooks := organictest.HookFuncs[string, string]{
		SetWeightsFunc: func(_ context.Context, sample organic.Sample[string], _ organic.Rewards) error {
			fmt.Println("scored:", sample.Payload)
			return nil
		},
	}
	trigger := organic.Steps{Frequency: 4}
	scorer, err := organic.New(hooks, organic.WithTrigger(trigger))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := scorer.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := scorer.Enqueue(ctx, "What is the capital of Peru?"); err != nil {
		fmt.Println(err)
	}

	fmt.Println("threshold:", trigger.Threshold(scorer.Stats().Queued))
	for block := 101; block <= 103; block++ { // your subscription to the chain
		fmt.Println("block", block)
		scorer.IncrementStep()
	}
	if err := scorer.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	if err := scorer.Stop(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// threshold: 3
	// block 101
	// block 102
	// block 103
	// scored: What is the capital of Peru?
}

// The more samples wait, the fewer steps lie between two iterations.
func ExampleSteps_Threshold() {
	trigger := organic.Steps{Frequency: 100, Min: 10, ScalingFactor: 0.5}
	for _, queued := range []int{0, 1, 20, 45, 1000} {
		fmt.Println(queued, "queued:", trigger.Threshold(queued), "steps")
	}
	// Output:
	// 0 queued: 100 steps
	// 1 queued: 98 steps
	// 20 queued: 60 steps
	// 45 queued: 10 steps
	// 1000 queued: 10 steps
}

// The more samples wait, the shorter is the time between two iterations. Min
// and ScalingFactor are 2 s and 5 here.
func ExampleSeconds_Wait() {
	trigger := organic.Seconds{Frequency: 15 * time.Second}
	for _, queued := range []int{0, 1, 20, 65, 1000} {
		fmt.Println(queued, "queued:", trigger.Wait(queued))
	}
	// Output:
	// 0 queued: 15s
	// 1 queued: 14.8s
	// 20 queued: 11s
	// 65 queued: 2s
	// 1000 queued: 2s
}
