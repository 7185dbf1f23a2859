package main

import (
	"bufio"
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

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// patience is how long users wait for an answer.
const patience = 10 * time.Second

// users ask a validator of which they know the address and the hotkey.
type users struct {
	url       string
	validator keys.Hotkey
	client    http.Client
	logger    *log.Logger

	alice, bob, mallory *keys.Keypair
}

func newUsers(logger *log.Logger, validator keys.Hotkey) (*users, error) {
	alice, err1 := keys.Generate(keys.SR25519)
	bob, err2 := keys.Generate(keys.SR25519)
	mallory, err3 := keys.Generate(keys.SR25519)
	return &users{
		validator: validator,
		client:    http.Client{Timeout: patience, Transport: new(http.Transport)},
		logger:    logger,
		alice:     alice,
		bob:       bob,
		mallory:   mallory,
	}, errors.Join(err1, err2, err3)
}

// visit has one after the other ask, until one is answered otherwise than it
// should be.
func (u *users) visit(ctx context.Context) error {
	defer u.client.CloseIdleConnections()
	for _, ask := range []func(context.Context) error{u.askAsAlice, u.askAsBob, u.askAsMallory} {
		if err := ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// askAsAlice asks as the SDK's clients do. Then somebody who has recorded the
// request sends it again.
func (u *users) askAsAlice(ctx context.Context) error {
	request, err := u.byDendrite(ctx, u.alice, "What is the capital of Peru?")
	if err != nil {
		return err
	}
	if err := u.send(request, "alice, by dendrite", http.StatusOK, readCompletion); err != nil {
		return err
	}
	again := request.Clone(ctx)
	if again.Body, err = request.GetBody(); err != nil {
		return err
	}
	return u.send(again, "alice's request, sent again", http.StatusUnauthorized, nil)
}

// askAsBob asks as clients of OpenAI do, and signs the request.
func (u *users) askAsBob(ctx context.Context) error {
	messages := []wire.ChatMessage{{Role: "user", Content: "What is the capital of Kenya?"}}
	body, err := json.Marshal(wire.ChatRequest{Stream: true, Messages: messages})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url+wire.ChatPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := axon.SignEpistula(request, u.bob, u.validator); err != nil {
		return err
	}
	return u.send(request, "bob, by Epistula", http.StatusOK, readStream)
}

// askAsMallory asks as Alice does, but is not on the allow-list.
func (u *users) askAsMallory(ctx context.Context) error {
	request, err := u.byDendrite(ctx, u.mallory, "What is the capital of Peru?")
	if err != nil {
		return err
	}
	return u.send(request, "mallory, by dendrite", http.StatusForbidden, nil)
}

func (u *users) byDendrite(ctx context.Context, keypair *keys.Keypair, prompt string) (*http.Request, error) {
	return axon.NewDendrite(keypair).NewRequest(ctx, axon.Query{
		URL: u.url, Axon: u.validator, Class: wire.OrganicClass, Fields: wire.Question{Prompt: prompt}, Timeout: patience,
	})
}

// send sends a request and shows the answer; read reads it where it is no
// refusal. Another status than the one wanted is an error.
func (u *users) send(request *http.Request, who string, want int, read func(io.Reader) (string, error)) error {
	response, err := u.client.Do(request)
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

// readStream reads an answer in chunks and shows where they meet. That a stream
// broke off is an error of the body.
func readStream(body io.Reader) (string, error) {
	var words []string
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found || data == "[DONE]" {
			continue
		}
		var chunk wire.ChatChunk
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return "", err
		}
		for _, choice := range chunk.Choices {
			words = append(words, choice.Delta.Content)
		}
	}
	return strings.Join(words, "|"), lines.Err()
}
