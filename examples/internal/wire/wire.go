// Package wire is what the users of the examples send to a validator, by two
// routes, and what they get.
package wire

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"time"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/relay"
)

// OrganicClass is the route of dendrites: a class that has in Python the fields
// prompt: str and completion: str = "", and required_hash_fields = ("prompt",).
var OrganicClass = axon.Class{
	Name: "Organic", Hashed: []axon.Field{{Name: "prompt", Type: axon.Str()}},
}

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

// ChatMessage is a message, or a part of one.
type ChatMessage struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

// Read returns what a user asks by either route, and the form in which to answer.
func Read(synapse *organic.Synapse) (text string, form relay.Wire, err error) {
	if synapse.Path == ChatPath {
		text, err = ReadChat(synapse.Body)
		return text, relay.SSE{}, err
	}
	text, err = ReadOrganic(synapse.Body)
	return text, relay.PlainText{}, err
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

// Stream is an answer that is written as OpenAI's clients read it.
type Stream struct {
	w       http.ResponseWriter
	encoder relay.Encoder
}

// NewStream begins an answer.
func NewStream(w http.ResponseWriter) *Stream {
	form := relay.SSE{}
	form.Header(w.Header())
	return &Stream{w: w, encoder: form.Open(relay.Start{ID: rand.Text(), Time: time.Now()})}
}

// Say adds text to the answer.
func (s *Stream) Say(text string) error {
	return s.write(s.encoder.Chunk(nil, 0, relay.Chunk{Text: text}))
}

// Done ends the answer.
func (s *Stream) Done() error { return s.write(s.encoder.Done(nil)) }

func (s *Stream) write(events []byte) error {
	if _, err := s.w.Write(events); err != nil {
		return err
	}
	return http.NewResponseController(s.w).Flush()
}
