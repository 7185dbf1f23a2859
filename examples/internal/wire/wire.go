// Package wire is what the users of the examples send to a validator, by two
// routes, and what they get.
package wire

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
)

// OrganicClass is the route of dendrites: a class that has in Python the fields
// prompt: str and completion: str = "", and required_hash_fields = ("prompt",).
var OrganicClass = axon.Class{Name: "Organic", Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}}}

// Question is the class as a user sends it.
type Question struct {
	Prompt string `json:"prompt"`
}

// Completion is what the validator adds.
type Completion struct {
	Completion string `json:"completion"`
}

// ChatPath is the route of btauth/1 and Epistula.
const ChatPath = "/v1/chat/completions"

// ChatRequest is what users send there. All answers are streamed.
type ChatRequest struct {
	Stream   bool          `json:"stream"`
	Messages []ChatMessage `json:"messages"`
}

// ChatChunk is one event of an answer.
type ChatChunk struct {
	Choices []ChatChoice `json:"choices"`
}

// ChatChoice is one of the answers that a chunk is part of: here the only one.
type ChatChoice struct {
	Delta ChatMessage `json:"delta"`
}

// ChatMessage is a message, or a part of one.
type ChatMessage struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

// ReadOrganic returns the prompt of a body. What it tells the requester in case
// of an error has no part of the body.
func ReadOrganic(body []byte) (string, error) {
	var asked Question
	if json.Unmarshal(body, &asked) != nil || asked.Prompt == "" {
		return "", organic.Refuse(http.StatusBadRequest, "prompt must not be empty")
	}
	return asked.Prompt, nil
}

// ReadChat is ReadOrganic for the other route.
func ReadChat(body []byte) (string, error) {
	var asked ChatRequest
	if json.Unmarshal(body, &asked) != nil || !asked.Stream || len(asked.Messages) == 0 {
		return "", organic.Refuse(http.StatusBadRequest, "must have messages, and stream set")
	}
	return asked.Messages[len(asked.Messages)-1].Content, nil
}

// WriteChunk sends the event that adds this text to an answer.
func WriteChunk(w http.ResponseWriter, text string) error {
	chunk, err := Chunk(text)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if _, err := io.WriteString(w, "data: "+string(chunk)+"\n\n"); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// WriteDone ends an answer.
func WriteDone(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/event-stream")
	_, err := io.WriteString(w, "data: [DONE]\n\n")
	return err
}

// Chunk returns the data of the event that adds this text to an answer.
func Chunk(text string) ([]byte, error) {
	return json.Marshal(ChatChunk{[]ChatChoice{{ChatMessage{Content: text}}}})
}
