package axon_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/keys"

	"github.com/organic-scoring/organic/contrib/axon"
)

// A miner has no scorer: it attaches a function, and accepts requests of its
// validator only.
func ExampleRoute_Attach() {
	self, err := keys.FromURI("//Alice", keys.SR25519) // a public key pair, for tests
	if err != nil {
		log.Fatal(err)
	}
	validator, err := keys.FromURI("//Bob", keys.SR25519)
	if err != nil {
		log.Fatal(err)
	}
	server, err := axon.New(self.Hotkey(), axon.WithAllowList(axon.NewAllowList(validator.Hotkey())))
	if err != nil {
		log.Fatal(err)
	}
	route, err := server.Route("/v1/chat/completions")
	if err != nil {
		log.Fatal(err)
	}
	_, err = route.Attach(organic.Handlers{
		Forward: func(_ context.Context, w http.ResponseWriter, _ *organic.Synapse) error {
			w.Header().Set("Content-Type", "text/event-stream")
			_, err := io.WriteString(w, "data: [DONE]\n\n")
			return err
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost,
		"/v1/chat/completions", strings.NewReader(`{"stream": true}`))
	if err != nil {
		log.Fatal(err)
	}
	if err := axon.Sign(request, validator, self.Hotkey()); err != nil {
		log.Fatal(err)
	}
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, request)
	fmt.Print(answer.Code, " ", answer.Body)
	// Output: 200 data: [DONE]
}
