package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/relay"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// patience is how long users wait for an answer.
const patience = 10 * time.Second

// users ask a validator of which they know the URL and the hotkey.
type users struct {
	url       string
	validator keys.Hotkey
	base      *recorder
	logger    *log.Logger
	carolsKey string

	alice, bob, dora, mallory *keys.Keypair
}

// newUsers makes the keys of all users. A user with a wallet has them in a file:
// see [keys.Load].
func newUsers(logger *log.Logger, validator keys.Hotkey, carolsKey string) (*users, error) {
	u := &users{validator: validator, base: &recorder{}, logger: logger, carolsKey: carolsKey}
	var errs []error
	for _, keypair := range []**keys.Keypair{&u.alice, &u.bob, &u.dora, &u.mallory} {
		made, err := keys.Generate(keys.SR25519)
		*keypair = made
		errs = append(errs, err)
	}
	return u, errors.Join(errs...)
}

// visit lets one user after the other ask, until an answer is not as expected.
func (u *users) visit(ctx context.Context) error {
	defer u.base.CloseIdleConnections()
	for _, ask := range []func(context.Context) error{
		u.askAsAlice, u.askAsBob, u.askAsDora, u.askAsCarol, u.askAsMallory,
	} {
		if err := ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// askAsAlice asks by btauth/1, as everybody on the SDK 11 does. Then the same
// signed request is sent a second time, as an eavesdropper could.
func (u *users) askAsAlice(ctx context.Context) error {
	request, err := u.chatRequest(ctx, "What is the capital of Peru?")
	if err != nil {
		return err
	}
	signing := &axon.Transport{Base: u.base, Keypair: u.alice, Receiver: u.validator}
	if err := u.send(signing, request, "alice, by btauth/1", http.StatusOK, readStream); err != nil {
		return err
	}
	again := u.base.last.Clone(ctx)
	if again.Body, err = again.GetBody(); err != nil {
		return err
	}
	return u.send(u.base, again, "alice's request, sent again", http.StatusUnauthorized, nil)
}

// askAsBob signs by Epistula.
func (u *users) askAsBob(ctx context.Context) error {
	request, err := u.chatRequest(ctx, "What is the capital of Kenya?")
	if err != nil {
		return err
	}
	if err := axon.SignEpistula(request, u.bob, u.validator); err != nil {
		return err
	}
	return u.send(u.base, request, "bob, by Epistula", http.StatusOK, readStream)
}

// askAsDora asks as the dendrite of the SDK before version 11 does.
func (u *users) askAsDora(ctx context.Context) error {
	request, err := axon.NewDendrite(u.dora).NewRequest(ctx, axon.Query{
		URL: u.url, Axon: u.validator, Class: wire.OrganicClass, Timeout: patience,
		Fields: wire.Question{Prompt: "What is the capital of Peru?"},
	})
	if err != nil {
		return err
	}
	return u.send(u.base, request, "dora, by a dendrite", http.StatusOK, readCompletion)
}

// askAsCarol has no hotkey and asks as clients of OpenAI's API do: with a key.
// Over the Internet that needs TLS.
func (u *users) askAsCarol(ctx context.Context) error {
	request, err := u.chatRequest(ctx, "What is the capital of Kenya?")
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+u.carolsKey)
	return u.send(u.base, request, "carol, by a bearer key", http.StatusOK, readStream)
}

// askAsMallory asks as Alice does, but is not on the allow-list; then with a key
// that was never given out.
func (u *users) askAsMallory(ctx context.Context) error {
	request, err := u.chatRequest(ctx, "What is the capital of Peru?")
	if err != nil {
		return err
	}
	signing := &axon.Transport{Base: u.base, Keypair: u.mallory, Receiver: u.validator}
	if err := u.send(signing, request, "mallory, by btauth/1", http.StatusForbidden, nil); err != nil {
		return err
	}
	if request, err = u.chatRequest(ctx, "What is the capital of Peru?"); err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.ToUpper(u.carolsKey))
	return u.send(u.base, request, "mallory, by a bearer key", http.StatusUnauthorized, nil)
}

// chatRequest is an unsigned request with one question.
func (u *users) chatRequest(ctx context.Context, prompt string) (*http.Request, error) {
	messages := []wire.ChatMessage{{Role: "user", Content: prompt}}
	body, err := json.Marshal(wire.ChatRequest{Stream: true, Messages: messages})
	if err != nil {
		return nil, err
	}
	return http.NewRequestWithContext(ctx, http.MethodPost, u.url+wire.ChatPath, bytes.NewReader(body))
}

// send sends a request and shows the answer, which read reads unless the request
// is to be refused. Another status than the one wanted is an error.
func (u *users) send(
	transport http.RoundTripper, request *http.Request,
	who string, want int, read func(io.Reader) (string, error),
) error {
	client := http.Client{Timeout: patience, Transport: transport}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	defer response.Body.Close()
	status, message := axon.StatusOf(response)
	if status != want {
		return fmt.Errorf("%s: answered %d %s, want %d", who, status, message, want)
	}
	if read == nil {
		u.logger.Printf("%s: %d %s", who, status, message)
		return nil
	}
	answer, err := read(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	u.logger.Printf("%s: %d %s: %s", who, status, message, answer)
	return nil
}

// readCompletion reads the answer to a dendrite.
func readCompletion(body io.Reader) (string, error) {
	var filled wire.Completion
	err := json.NewDecoder(body).Decode(&filled)
	return filled.Completion, err
}

// readStream reads an answer in chunks and shows where they meet. A stream that
// breaks off is an error.
func readStream(body io.Reader) (string, error) {
	var words []string
	err := relay.OpenAI(body, func(chunk relay.Chunk) error {
		if chunk.HasText() {
			words = append(words, chunk.Text)
		}
		return nil
	})
	return strings.Join(words, "|"), err
}

// recorder sends requests and keeps the last one.
type recorder struct {
	http.Transport
	last *http.Request
}

// RoundTrip implements [http.RoundTripper].
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.last = request
	return r.Transport.RoundTrip(request)
}
