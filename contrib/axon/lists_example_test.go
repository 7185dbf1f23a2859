package axon_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/contrib/axon"
)

// A list follows the metagraph: each reading replaces it in one step, and the
// next request is judged by the new one.
func ExampleAllowList() {
	self, user := generate(), generate()
	allowed := axon.NewAllowList(self.Hotkey())
	server, err := axon.New(self.Hotkey(), axon.WithAllowList(allowed))
	if err != nil {
		log.Fatal(err)
	}
	route, err := server.Route("/ask")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := route.Attach(organic.Handlers{Forward: answer}); err != nil {
		log.Fatal(err)
	}
	ask := func() {
		request, err := http.NewRequest(http.MethodPost, "/ask", strings.NewReader(`{}`))
		if err != nil {
			log.Fatal(err)
		}
		if err := axon.Sign(request, user, self.Hotkey()); err != nil {
			log.Fatal(err)
		}
		recorded := httptest.NewRecorder()
		server.ServeHTTP(recorded, request)
		fmt.Println(recorded.Code, recorded.Body)
	}
	ask()
	allowed.Replace(self.Hotkey(), user.Hotkey()) // metagraph.Validators(1000e9)...
	ask()
	fmt.Println(allowed.Allows(user.Hotkey()), len(allowed.Hotkeys()), server.Stats().Refused)
	// Output:
	// 403 {"message":"Forbidden"}
	// 200 {"protocol":"btauth/1"}
	// true 2 map[allowlist:1]
}

func generate() *keys.Keypair {
	keypair, err := keys.Generate(keys.SR25519)
	if err != nil {
		log.Fatal(err)
	}
	return keypair
}

// Keys are given to users who have no hotkey, and taken back by a new table.
func ExampleBearerKeys() {
	users, err := axon.NewBearerKeys(map[string]string{"sk-0123456789abcdef": "carol"})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	fmt.Println(users.Check(ctx, "sk-0123456789abcdef"))
	if err := users.Replace(map[string]string{"sk-fedcba9876543210": "dave"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(users.Check(ctx, "sk-0123456789abcdef"))
	fmt.Println(users.Replace(map[string]string{"short": "erin"}))
	// Output:
	// carol <nil>
	//  axon: unknown bearer key
	// axon: invalid option: BearerKeys: a key of "erin" has 5 characters, must have 16 to 1024
}

// A validator asks its miners by a client that signs each request for the
// miner.
func ExampleTransport() {
	validator, miner := generate(), generate()
	server, err := axon.New(miner.Hotkey())
	if err != nil {
		log.Fatal(err)
	}
	route, err := server.Route("/generate")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := route.Attach(organic.Handlers{Forward: answer}); err != nil {
		log.Fatal(err)
	}
	listening := httptest.NewServer(server)
	defer listening.Close()

	for _, receiver := range []keys.Hotkey{miner.Hotkey(), validator.Hotkey()} {
		client := &http.Client{Transport: &axon.Transport{Keypair: validator, Receiver: receiver}}
		response, err := client.Post(listening.URL+"/generate", "application/json",
			strings.NewReader(`{}`))
		fmt.Println(read(response, err))
	}
	// Output:
	// 200 {"protocol":"btauth/1"}
	// 401 {"message":"Not verified"}
}

// A dendrite asks axons of older SDKs, by a synapse class.
func ExampleDendrite() {
	validator, miner := generate(), generate()
	fields := []axon.Field{{Name: "prompt", Type: axon.Str()}}
	class := axon.Class{Name: "Organic", Hashed: fields}
	server, err := axon.New(miner.Hotkey())
	if err != nil {
		log.Fatal(err)
	}
	route, err := server.Synapse(class)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := route.Attach(organic.Handlers{Forward: answer}); err != nil {
		log.Fatal(err)
	}
	listening := httptest.NewServer(server)
	defer listening.Close()

	request, err := axon.NewDendrite(validator).NewRequest(context.Background(), axon.Query{
		URL: listening.URL, Axon: miner.Hotkey(), Class: class,
		Fields:  map[string]string{"prompt": "What is the capital of Peru?"},
		Timeout: 10 * time.Second,
	})
	if err != nil {
		log.Print(err)
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Print(err)
		return
	}
	defer response.Body.Close()
	fmt.Println(axon.StatusOf(response))
	// Output:
	// 200 Success
}
