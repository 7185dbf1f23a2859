package organictest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// A test of a validator's loop writes the hooks it is about, lets fake miners
// answer, and looks at one iteration.
func ExampleHookFuncs() {
	capital := func(name string) organictest.Miner[string, string] {
		return organictest.Miner[string, string]{
			Answer: func(context.Context, organic.Sample[string]) (string, error) { return name, nil },
		}
	}
	miners := organictest.Miners[string, string]{
		0: capital("Lima"),
		1: capital("Quito"),
		2: {Err: errors.New("connection refused")},
	}
	hooks := organictest.HookFuncs[string, string]{
		QueryMinersFunc:       miners.Query,
		GenerateReferenceFunc: capital("Lima").Answer,
		GenerateRewardsFunc: func(
			_ context.Context, _ organic.Sample[string], responses map[organic.UID]string, reference string,
		) (organic.Rewards, error) {
			rewards := make(organic.Rewards)
			for uid, answer := range responses {
				if answer == reference {
					rewards[uid] = 1
				}
			}
			return rewards, nil
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
	result, err := scorer.Iterate(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Responses, result.Rewards)
	// Output: map[0:Lima 1:Quito] map[0:1]
}

func ExampleMiners() {
	answer := func(_ context.Context, sample organic.Sample[string]) (string, error) {
		return "an answer to " + sample.Payload, nil
	}
	miners := organictest.Miners[string, string]{
		0: {Answer: answer},
		1: {Answer: answer, Latency: 10 * time.Millisecond},
		2: {Err: errors.New("connection refused")},
		3: {Hang: true},
		4: {Panic: "boom"},
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	responses, err := miners.Query(ctx, organic.NewSample("a question"))
	fmt.Println(responses, err)
	// Output: map[0:an answer to a question 1:an answer to a question] <nil>
}

func ExampleAxon() {
	axon := &organictest.Axon{}
	// organic.WithAxon(axon) lets New attach the scorer's hooks. A test of the
	// hooks alone attaches them itself.
	hooks := organictest.HookFuncs[string, string]{
		BlacklistFunc: func(_ context.Context, synapse *organic.Synapse) error {
			if synapse.Requester != "friend" {
				return organic.Refuse(http.StatusForbidden, "unknown hotkey")
			}
			return nil
		},
		OnOrganicEntryFunc: func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
			_, err := w.Write([]byte("accepted"))
			return err
		},
	}
	_, err := axon.Attach(organic.Handlers{
		Blacklist: hooks.Blacklist,
		Verify:    hooks.Verify,
		Priority:  hooks.Priority,
		Forward:   hooks.OnOrganicEntry,
	})
	fmt.Println(err)
	for _, hotkey := range []string{"friend", "stranger"} {
		status, body := axon.Ask(context.Background(), &organic.Synapse{Requester: hotkey})
		fmt.Println(status, string(body))
	}
	// Output:
	// <nil>
	// 200 accepted
	// 403 unknown hotkey
}
