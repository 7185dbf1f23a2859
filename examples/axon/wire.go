package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
)

// organicClass is the Bittensor route: a class that has in Python the fields
// prompt: str and completion: str = "", and required_hash_fields = ("prompt",).
var organicClass = axon.Class{Name: "Organic", Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}}}

// question is the class as a user sends it.
type question struct {
	Prompt string `json:"prompt"`
}

// completion is what the validator adds.
type completion struct {
	Completion string `json:"completion"`
}

// chatPath is the Epistula route.
const chatPath = "/v1/chat/completions"

// chatRequest is what users send there. All answers are streamed.
type chatRequest struct {
	Stream   bool          `json:"stream"`
	Messages []chatMessage `json:"messages"`
}

// chatChunk is one event of an answer.
type chatChunk struct {
	Choices []chatChoice `json:"choices"`
}

type chatChoice struct {
	Delta chatMessage `json:"delta"`
}

type chatMessage struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

// readOrganic returns the prompt of a body. What it tells the requester in case
// of an error has no part of the body.
func readOrganic(body []byte) (string, error) {
	var asked question
	if json.Unmarshal(body, &asked) != nil || asked.Prompt == "" {
		return "", organic.Refuse(http.StatusBadRequest, "prompt must not be empty")
	}
	return asked.Prompt, nil
}

// readChat is readOrganic for the other route.
func readChat(body []byte) (string, error) {
	var asked chatRequest
	if json.Unmarshal(body, &asked) != nil || !asked.Stream || len(asked.Messages) == 0 {
		return "", organic.Refuse(http.StatusBadRequest, "must have messages, and stream set")
	}
	return asked.Messages[len(asked.Messages)-1].Content, nil
}

// streamChat answers word by word.
func streamChat(w http.ResponseWriter, answer string) error {
	w.Header().Set("Content-Type", "text/event-stream")
	for word := range strings.SplitAfterSeq(answer, " ") {
		chunk, err := json.Marshal(chatChunk{[]chatChoice{{chatMessage{Content: word}}}})
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, "data: "+string(chunk)+"\n\n"); err != nil {
			return err
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "data: [DONE]\n\n")
	return err
}
