package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
	"github.com/organic-scoring/organic/contrib/relay"
)

// shown serves a query to a requester and returns what it got.
func shown(query relay.Query) string {
	r, err := relay.New()
	if err != nil {
		log.Fatal(err)
	}
	recorded := httptest.NewRecorder()
	if err := r.Serve(context.Background(), recorded, query); err != nil {
		return err.Error()
	}
	if err := r.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	return recorded.Body.String()
}

// The view decides whose answer the requester sees, and how much of it.
func ExampleView() {
	miners := map[organic.UID]relay.Miner{
		1: organictest.StreamMiner{End: organictest.EndsCut}.Ask,
		2: organictest.StreamMiner{
			Latency: 20 * time.Millisecond, Reasoning: []string{"Peru, so "}, Text: []string{"Lima"},
		}.Ask,
	}
	query := relay.Query{Miners: miners, Wire: relay.PlainText{}}
	query.View = relay.FirstGood(nil)
	fmt.Println(shown(query))
	query.View = relay.One(1)
	fmt.Println(shown(query))
	query.View = relay.One(1).Failover()
	fmt.Println(shown(query))
	// Output:
	// Lima
	// relay: no miner gave an answer: organic: refused with status 502: no miner gave an answer
	// Lima
}

// Clients of OpenAI's API read this form.
func ExampleSSE() {
	body := shown(relay.Query{
		ID:     "q-1",
		Miners: map[organic.UID]relay.Miner{1: organictest.StreamMiner{Text: []string{"Lima"}}.Ask},
		Wire:   relay.SSE{Model: "my-subnet"},
	})
	events := relay.NewEventReader(strings.NewReader(body), 1<<16)
	for {
		event, err := events.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		_, delta, found := strings.Cut(string(event.Data), `"delta":`)
		if found {
			fmt.Println(delta)
		} else {
			fmt.Println(string(event.Data))
		}
	}
	// Output:
	// {"role":"assistant","content":""},"finish_reason":null}]}
	// {"content":"Lima"},"finish_reason":null}]}
	// {},"finish_reason":"stop"}]}
	// [DONE]
	// EOF
}

// A sample finds the answers of its query by ID, in the same process.
func ExampleRelay_Answers() {
	r, err := relay.New(relay.WithKeep(1<<20, time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	query := relay.Query{
		ID:     "q-1",
		Miners: map[organic.UID]relay.Miner{1: organictest.StreamMiner{Text: []string{"Lima"}}.Ask},
	}
	if err := r.Serve(ctx, httptest.NewRecorder(), query); err != nil {
		log.Fatal(err)
	}
	answers, err := r.Answers(ctx, "q-1")
	fmt.Println(answers[1].Text(), answers[1].Ending, answers[1].EndedBy, err)
	_, err = r.Answers(ctx, "q-2")
	fmt.Println(errors.Is(err, relay.ErrUnknown))
	fmt.Println(r.Close(ctx))
	// Output:
	// Lima complete miner <nil>
	// true
	// <nil>
}

// Only what the miner or its time has ended is scored.
func ExampleAnswer_Scorable() {
	r, err := relay.New(relay.WithFirstChunk(10 * time.Millisecond))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	answers, err := r.Ask(ctx, relay.Query{Miners: map[organic.UID]relay.Miner{
		1: organictest.StreamMiner{End: organictest.EndsNever}.Ask,
		2: func(context.Context, func(relay.Chunk) error) error {
			return fmt.Errorf("%w: cannot sign", relay.ErrValidator)
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	for uid := organic.UID(1); uid <= 2; uid++ {
		answer := answers[uid]
		fmt.Println(uid, answer.Ending, answer.EndedBy, answer.Scorable())
	}
	fmt.Println(r.Close(ctx))
	// Output:
	// 1 silent time true
	// 2 failed validator false
	// <nil>
}
