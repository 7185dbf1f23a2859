package relay_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

// Question is a sample's payload: what was asked, and what was answered to the
// one who asked.
type Question struct {
	Text    string
	Answers map[organic.UID]relay.Answer
}

// Live is a validator that serves live users and scores what it served.
// HookFuncs stands for the hooks that are not written here.
type Live struct {
	*organic.OrganicScorer[Question, relay.Answer]
	organictest.HookFuncs[Question, relay.Answer]
	relay *relay.Relay
}

var _ organic.Hooks[Question, relay.Answer] = (*Live)(nil) // makes the compiler name the wrong hook

func (v *Live) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	text := string(synapse.Body)
	return v.relay.Serve(ctx, w, relay.Query{
		Miners: v.miners(text),
		View:   relay.FirstGood(nil), // the first miner with text to read
		Wire:   relay.PlainText{},    // or relay.SSE{}, for OpenAI's clients
		Done: func(ctx context.Context, result *relay.Result) error {
			if err := result.Err(); err != nil {
				return err // cut short, and not by the miners: nothing to score
			}
			_, err := v.EnqueueSample(ctx, organic.Sample[Question]{
				Payload:   Question{Text: text, Answers: result.Answers},
				Requester: synapse.Requester, // for guards by requester
				Received:  result.Started,    // the holder of a UID at that time is rewarded
			})
			return err
		},
	})
}

func (v *Live) QueryMiners(ctx context.Context, sample organic.Sample[Question]) (
	map[organic.UID]relay.Answer, error,
) {
	if sample.Payload.Answers != nil {
		return sample.Payload.Answers, nil // they have been asked
	}
	return v.relay.Ask(ctx, relay.Query{Miners: v.miners(sample.Payload.Text)})
}

func (v *Live) GenerateRewards(
	ctx context.Context, sample organic.Sample[Question], answers map[organic.UID]relay.Answer,
	reference relay.Answer,
) (organic.Rewards, error) {
	rewards := make(organic.Rewards)
	for uid, answer := range answers {
		if !answer.Scorable() {
			continue // cut short by the requester or by us
		}
		rewards[uid] = float64(strings.Count(answer.Text(), "Lima"))
		if answer.Ending != relay.Complete {
			rewards[uid] /= 2
		}
	}
	return rewards, nil
}

// miners stands for those of the subnet, which are asked over HTTP, see [relay.OpenAI].
func (v *Live) miners(string) map[organic.UID]relay.Miner {
	return map[organic.UID]relay.Miner{
		3: func(_ context.Context, emit func(relay.Chunk) error) error {
			for _, word := range []string{"It is", " Lima"} {
				if err := emit(relay.Chunk{Text: word}); err != nil {
					return err
				}
			}
			return nil
		},
		5: func(context.Context, func(relay.Chunk) error) error {
			return fmt.Errorf(
				"connection refused",
			)
		},
	}
}

// A whole entry hook: the first good answer goes to the requester as it comes
// in, and all of them are scored.
func Example() {
	axon, v := &organictest.Axon{}, &Live{}
	scorer, err := organic.New(v, organic.WithAxon(axon))
	if err != nil {
		fmt.Println(err)
		return
	}
	v.OrganicScorer = scorer
	scored := make(chan string, 1)
	v.SetWeightsFunc = func(
		_ context.Context, sample organic.Sample[Question], rewards organic.Rewards,
	) error {
		scored <- fmt.Sprintf("by %s: %v", sample.Requester, rewards)
		return nil
	}
	if v.relay, err = relay.New(); err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	if err := v.Start(ctx); err != nil {
		fmt.Println(err)
		return
	}
	status, stream := axon.Ask(ctx, &organic.Synapse{
		Requester: "5F…user", Body: []byte("What is the capital of Peru?"),
	})
	fmt.Printf("%d %s\n", status, stream)

	// the queue is in memory, so everything is scored before the stop
	for _, end := range []func(context.Context) error{v.relay.Close, v.Drain, v.Stop} {
		if err := end(ctx); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(<-scored)
	// Output:
	// 200 It is Lima
	// by 5F…user: map[3:1 5:0]
}

func ExampleRelay_Ask() {
	r, err := relay.New(relay.WithMaxAnswer(1<<10, 2))
	if err != nil {
		fmt.Println(err)
		return
	}
	counting := func(to int) relay.Miner {
		return func(_ context.Context, emit func(relay.Chunk) error) error {
			for i := range to {
				if err := emit(relay.Chunk{Text: fmt.Sprintln(i)}); err != nil {
					return err
				}
			}
			return nil
		}
	}
	ctx := context.Background()
	answers, err := r.Ask(
		ctx,
		relay.Query{
			Miners: map[organic.UID]relay.Miner{0: counting(1), 1: counting(2), 2: counting(3)},
		},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, uid := range slices.Sorted(maps.Keys(answers)) {
		fmt.Printf("%d: %v, %q\n", uid, answers[uid].Ending, answers[uid].Text())
	}
	if err := r.Close(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 0: complete, "0\n"
	// 1: complete, "0\n1\n"
	// 2: cut off, "0\n1\n"
}

func ExampleOpenAI() {
	body := strings.NewReader(": a comment\n\n" +
		`data: {"choices":[{"delta":{"role":"assistant"}}]}` + "\r\n\r\n" +
		`data: {"choices":[{"delta":{"reasoning":"Peru, so"}}]}` + "\n\n" +
		`data: {"choices":[{"delta":{"content":"Li"}}]}` + "\n\n" +
		`data: {"choices":[{"delta":{"content":[{"type":"text","text":"ma"}]},"finish_reason":"stop"}]}` + "\n\n")
	err := relay.OpenAI(body, func(chunk relay.Chunk) error {
		fmt.Printf("%q %q %q\n", chunk.Reasoning, chunk.Text, chunk.Finish)
		return nil
	})
	fmt.Println(err)
	// Output:
	// "" "" ""
	// "Peru, so" "" ""
	// "" "Li" ""
	// "" "ma" "stop"
	// <nil>
}
