package axon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/contrib/axon"
)

// Validator scores the prompts that users send to its axon.
type Validator struct {
	*organic.OrganicScorer[string, string]
	organic.DefaultHooks[string, string]
}

var _ organic.Hooks[string, string] = (*Validator)(nil) // makes the compiler name the wrong hook

func (v *Validator) OnOrganicEntry(ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	var body struct{ Prompt string }
	if err := json.Unmarshal(synapse.Body, &body); err != nil {
		return organic.Refuse(http.StatusBadRequest, "Bad request")
	}
	if _, err := v.EnqueueSample(ctx, organic.Sample[string]{Payload: body.Prompt, Requester: synapse.Dendrite.Hotkey}); err != nil {
		return err
	}
	return axon.Reply(w, synapse, map[string]string{"completion": "Lima"})
}

func (v *Validator) QueryMiners(context.Context, organic.Sample[string]) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "Lima"}, nil
}

func (v *Validator) GenerateRewards(context.Context, organic.Sample[string], map[organic.UID]string, string) (organic.Rewards, error) {
	return organic.Rewards{0: 1}, nil
}

func (v *Validator) SetWeights(context.Context, organic.Sample[string], organic.Rewards) error {
	return nil
}

// A validator with a Bittensor route, and a user who asks it as the SDK does.
func Example() {
	ctx := context.Background()
	self, err := keys.Generate(keys.SR25519) // or keys.Load, from a hotkey file
	if err != nil {
		log.Fatal(err)
	}
	user, err := keys.Generate(keys.SR25519)
	if err != nil {
		log.Fatal(err)
	}

	server, err := axon.New(self.Hotkey(), axon.WithAllowList(axon.NewAllowList(user.Hotkey())))
	if err != nil {
		log.Fatal(err)
	}
	class := axon.Class{Name: "Organic", Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}}}
	route, err := server.Bittensor(class)
	if err != nil {
		log.Fatal(err)
	}
	v := &Validator{}
	if v.OrganicScorer, err = organic.New(v, organic.WithAxon(route)); err != nil {
		log.Fatal(err)
	}
	if err := v.Start(ctx); err != nil {
		log.Fatal(err)
	}
	listening := httptest.NewServer(server) // or server.ListenAndServe(ctx, ":8091")
	defer listening.Close()

	status, message, body, err := ask(ctx, axon.NewDendrite(user), axon.Query{
		URL: listening.URL, Axon: self.Hotkey(), Class: class,
		Fields: map[string]string{"prompt": "What is the capital of Peru?"},
	})
	fmt.Println(status, message, err)
	fmt.Println(body)

	// the scorer first: while it stops, requests are answered 503
	fmt.Println(v.Stop(ctx))
	// Output:
	// 200 Success <nil>
	// {"completion":"Lima","prompt":"What is the capital of Peru?"}
	// <nil>
}

// ask sends one query and reads the answer.
func ask(ctx context.Context, dendrite *axon.Dendrite, query axon.Query) (status int, message, body string, err error) {
	request, err := dendrite.NewRequest(ctx, query)
	if err != nil {
		return 0, "", "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	status, message = axon.StatusOf(response)
	data, err := io.ReadAll(response.Body)
	return status, message, string(data), err
}
