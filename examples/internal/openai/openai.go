// Package openai asks a server with OpenAI's chat completions for reference answers.
package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/organic-scoring/organic"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// The environment that names the server which makes the references.
const (
	envURL   = "OPENAI_BASE_URL" // such as http://localhost:11434/v1
	envModel = "OPENAI_MODEL"
	envKey   = "OPENAI_API_KEY" // may be empty
)

// maxReference is how many bytes of a server's answer are read.
const maxReference = 1 << 20

// Client asks one server, which gets to see what users ask. Create it with FromEnvironment. It is
// safe for concurrent use.
type Client struct {
	url, model, key string
	client          *http.Client
}

// FromEnvironment returns a client of the server that OPENAI_BASE_URL, OPENAI_MODEL and
// OPENAI_API_KEY name.
func FromEnvironment() (*Client, error) {
	base, model := os.Getenv(envURL), os.Getenv(envModel)
	if base == "" || model == "" {
		return nil, fmt.Errorf("%s and %s must be set", envURL, envModel)
	}
	target, err := url.JoinPath(base, "chat/completions")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", envURL, err)
	}
	client := &http.Client{CheckRedirect: stay}
	return &Client{url: target, model: model, key: os.Getenv(envKey), client: client}, nil
}

// stay follows no redirect, which would send the text of users to another server.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Reference asks the server. A failure is an error without any text of the server's, which may
// repeat the prompt. The sample is tried again later, unless the server has understood the prompt
// and refused it, which it would do again.
func (o *Client) Reference(ctx context.Context, text string) (string, error) {
	body, err := json.Marshal(map[string]any{
		"model":       o.model,
		"temperature": 0,
		"messages":    []wire.ChatMessage{{Role: "user", Content: text}},
	})
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	if o.key != "" {
		request.Header.Set("Authorization", "Bearer "+o.key)
	}
	response, err := o.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return readCompletion(io.LimitReader(response.Body, maxReference))
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "", organic.Discard(statusError(response.StatusCode))
	default:
		return "", statusError(response.StatusCode)
	}
}

func statusError(status int) error { return fmt.Errorf("reference server: status %d", status) }

// readCompletion takes a reference without words for an error: by it every answer would be worth
// nothing.
func readCompletion(body io.Reader) (string, error) {
	var answer struct {
		Choices []struct {
			Message wire.ChatMessage `json:"message"`
		} `json:"choices"`
	}
	if json.NewDecoder(body).Decode(&answer) != nil || len(answer.Choices) == 0 {
		return "", errors.New("reference server: not a completion")
	}
	reference := answer.Choices[0].Message.Content
	if strings.TrimSpace(reference) == "" {
		return "", errors.New("reference server: empty reference")
	}
	return reference, nil
}
