package axon_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

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

func (v *Validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	var body struct{ Prompt string }
	if err := json.Unmarshal(synapse.Body, &body); err != nil {
		return organic.Refuse(http.StatusBadRequest, "Bad request")
	}
	sample := organic.Sample[string]{Payload: body.Prompt, Requester: synapse.Requester}
	if _, err := v.EnqueueSample(ctx, sample); err != nil {
		return err
	}
	return axon.Reply(w, synapse, map[string]string{"completion": "Lima"})
}

func (v *Validator) QueryMiners(
	context.Context, organic.Sample[string],
) (map[organic.UID]string, error) {
	return map[organic.UID]string{0: "Lima"}, nil
}

func (v *Validator) GenerateRewards(
	context.Context, organic.Sample[string], map[organic.UID]string, string,
) (organic.Rewards, error) {
	return organic.Rewards{0: 1}, nil
}

func (v *Validator) SetWeights(context.Context, organic.Sample[string], organic.Rewards) error {
	return nil
}

// A validator with a route, and a user who asks it by btauth/1.
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
	route, err := server.Route("/ask")
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

	client := &http.Client{Transport: &axon.Transport{Keypair: user, Receiver: self.Hotkey()}}
	response, err := client.Post(listening.URL+"/ask", "application/json",
		strings.NewReader(`{"prompt": "What is the capital of Peru?"}`))
	fmt.Println(read(response, err))

	// the scorer first: while it stops, requests are answered 503
	fmt.Println(v.Stop(ctx))
	// Output:
	// 200 {"completion":"Lima"}
	// <nil>
}

// read returns the status and the body of an answer.
func read(response *http.Response, err error) string {
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return strconv.Itoa(response.StatusCode) + " " + string(body)
}

// answer is the handler of the other examples.
func answer(_ context.Context, w http.ResponseWriter, synapse *organic.Synapse) error {
	return axon.Reply(w, synapse, map[string]string{"protocol": string(synapse.Protocol)})
}

// One path accepts callers of the SDK 11, callers of Epistula that have not
// migrated, and users without a hotkey.
func ExampleServer_Route() {
	self, err := keys.Generate(keys.SR25519)
	if err != nil {
		log.Fatal(err)
	}
	users, err := axon.NewBearerKeys(map[string]string{"sk-0123456789abcdef": "carol"})
	if err != nil {
		log.Fatal(err)
	}
	server, err := axon.New(self.Hotkey())
	if err != nil {
		log.Fatal(err)
	}
	route, err := server.Route("/v1/chat/completions", axon.WithEpistula(),
		axon.WithBearer(users.Check))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := route.Attach(organic.Handlers{Forward: answer}); err != nil {
		log.Fatal(err)
	}

	for _, sign := range []func(*http.Request) error{
		func(r *http.Request) error { return axon.Sign(r, self, self.Hotkey()) },
		func(r *http.Request) error { return axon.SignEpistula(r, self, self.Hotkey()) },
		func(r *http.Request) error {
			r.Header.Set("Authorization",
				"Bearer sk-0123456789abcdef")
			return nil
		},
		func(*http.Request) error { return nil },
	} {
		request, err := http.NewRequest(http.MethodPost, "/v1/chat/completions", strings.NewReader(`{}`))
		if err != nil {
			log.Fatal(err)
		}
		if err := sign(request); err != nil {
			log.Fatal(err)
		}
		recorded := httptest.NewRecorder()
		server.ServeHTTP(recorded, request)
		fmt.Println(recorded.Code, recorded.Body)
	}
	// Output:
	// 200 {"protocol":"btauth/1"}
	// 200 {"protocol":"epistula/2"}
	// 200 {"protocol":"bearer"}
	// 401 {"message":"Not verified"}
}

// The route of a synapse class serves the dendrites of older SDKs, and with
// WithBTAuth new callers too.
func ExampleServer_Synapse() {
	self, err := keys.Generate(keys.SR25519)
	if err != nil {
		log.Fatal(err)
	}
	server, err := axon.New(self.Hotkey())
	if err != nil {
		log.Fatal(err)
	}
	class := axon.Class{Name: "Organic", Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}}}
	route, err := server.Synapse(class, axon.WithBTAuth())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := route.Attach(organic.Handlers{Forward: answer}); err != nil {
		log.Fatal(err)
	}
	listening := httptest.NewServer(server)
	defer listening.Close()

	fields := map[string]string{"prompt": "What is the capital of Peru?"}
	request, err := axon.NewDendrite(self).NewRequest(context.Background(), axon.Query{
		URL: listening.URL, Axon: self.Hotkey(), Class: class, Fields: fields,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(read(http.DefaultClient.Do(request)))

	client := &http.Client{Transport: &axon.Transport{Keypair: self, Receiver: self.Hotkey()}}
	fmt.Println(read(client.Post(listening.URL+"/Organic", "application/json",
		strings.NewReader(`{"prompt": ""}`))))
	// Output:
	// 200 {"prompt":"What is the capital of Peru?","protocol":"bittensor"}
	// 200 {"protocol":"btauth/1"}
}
