package main

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/relay"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// Prompt is the payload of a sample: what was asked and, when a user has been
// answered already, what all miners said then.
type Prompt struct {
	Text    string                       `json:"text"`
	Answers map[organic.UID]relay.Answer `json:"answers"`
}

// readQuery returns what a user asks, and the form in which to answer.
func readQuery(synapse *organic.Synapse) (text string, form relay.Wire, err error) {
	if synapse.Path == wire.ChatPath {
		text, err = wire.ReadChat(synapse.Body)
		return text, relay.SSE{}, err
	}
	text, err = wire.ReadOrganic(synapse.Body)
	return text, relay.PlainText{}, err
}

// withoutMissing leaves out the miners that have no recording, before the
// answers are stored: their errors are not.
func withoutMissing(answers map[organic.UID]relay.Answer) map[organic.UID]relay.Answer {
	maps.DeleteFunc(answers, func(_ organic.UID, answer relay.Answer) bool {
		return errors.Is(answer.Err, errNoRecording)
	})
	return answers
}

// errAllAsked is the error of a dataset that has no prompt left.
var errAllAsked = errors.New("all synthetic prompts have been asked")

// synthetics are the prompts that the validator asks of its own, each once in
// an order of their own before any comes again. It is safe for concurrent use.
type synthetics struct {
	allAsked chan struct{} // closed when none is left

	mu   sync.Mutex // guards left
	left []string
}

func newSynthetics(texts []string, n int, seed uint64) *synthetics {
	s := &synthetics{allAsked: make(chan struct{}), left: arrange(texts, n, rand.New(rand.NewPCG(seed, 3)))}
	if len(s.left) == 0 {
		close(s.allAsked)
	}
	return s
}

// Sample returns the next prompt.
func (s *synthetics) Sample(context.Context) (Prompt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) == 0 {
		return Prompt{}, errAllAsked
	}
	next := Prompt{Text: s.left[0]}
	if s.left = s.left[1:]; len(s.left) == 0 {
		close(s.allAsked)
	}
	return next, nil
}

// arrange returns n of the texts, each once before any comes again.
func arrange(texts []string, n int, random *rand.Rand) []string {
	var arranged []string
	for len(arranged) < n {
		for _, i := range random.Perm(len(texts)) {
			arranged = append(arranged, texts[i])
		}
	}
	return arranged[:n]
}
