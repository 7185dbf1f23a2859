package organic_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/organictest"
)

// Gateway is a validator that takes its queries from an axon. HookFuncs stands
// for the hooks that score them.
type Gateway struct {
	*organic.OrganicScorer[string, string]
	organictest.HookFuncs[string, string]
}

var _ organic.Hooks[string, string] = (*Gateway)(nil) // makes the compiler name the wrong hook

func (g *Gateway) Blacklist(ctx context.Context, synapse *organic.Synapse) error {
	if synapse.Dendrite.Hotkey != "friend" {
		return organic.Refuse(http.StatusForbidden, "unknown hotkey")
	}
	return nil
}

func (g *Gateway) OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	sample := organic.NewSample(string(synapse.Body))
	sample.Requester = synapse.Dendrite.Hotkey
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
			Dendrite: organic.Dendrite{Hotkey: hotkey},
			Body:     []byte("What is the capital of Peru?"),
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
