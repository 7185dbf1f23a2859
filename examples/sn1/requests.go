package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/relay"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// errNoRecording is the error of a miner that has nothing to play. The answer
// is missing in the data, so the miner is left out and not blamed. A validator
// with real miners has no such excuse for them.
var errNoRecording = errors.New("no recording")

// question is what a miner is asked. Every field is always there, and none
// comes from the user: what a user may choose tells a miner that it is one.
type question struct {
	Stream      bool               `json:"stream"`
	Messages    []wire.ChatMessage `json:"messages"`
	Temperature float64            `json:"temperature"`
	MaxTokens   int                `json:"max_tokens"`
	Seed        uint32             `json:"seed"`
}

// peer is a miner as the validator knows it from the metagraph.
type peer struct {
	url    string
	hotkey keys.Hotkey
}

// requests makes all requests to miners, organic and synthetic ones alike, so
// that nothing tells one from the other: it does not know which it makes. It
// is safe for concurrent use.
type requests struct {
	client  *http.Client
	keypair *keys.Keypair
	peers   []peer // by UID

	mu     sync.Mutex // guards random
	random *rand.Rand
}

func newRequests(keypair *keys.Keypair, seed uint64) *requests {
	return &requests{
		client:  stayingClient(&http.Transport{MaxIdleConnsPerHost: 256}),
		keypair: keypair,
		random:  rand.New(rand.NewPCG(seed, 2)),
	}
}

// stayingClient returns a client that follows no redirect: with status 307 or
// 308, whoever is asked could send the user's text elsewhere, signed.
func stayingClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// miners returns all miners, to be asked the same about a prompt.
func (r *requests) miners(text string) (map[organic.UID]relay.Miner, error) {
	body, err := json.Marshal(r.question(text))
	if err != nil {
		return nil, err
	}
	miners := make(map[organic.UID]relay.Miner, len(r.peers))
	for uid, p := range r.peers {
		miners[organic.UID(uid)] = func(ctx context.Context, emit func(relay.Chunk) error) error {
			return r.ask(ctx, p, body, emit)
		}
	}
	return miners, nil
}

// question draws the parameters for a prompt.
func (r *requests) question(text string) question {
	r.mu.Lock()
	defer r.mu.Unlock()
	return question{
		Stream:      true,
		Messages:    []wire.ChatMessage{{Role: "user", Content: text}},
		Temperature: float64(r.random.IntN(101)) / 100,
		MaxTokens:   256 << r.random.IntN(3),
		Seed:        r.random.Uint32(),
	}
}

// ask asks one miner and emits its answer, chunk by chunk. That a request cannot be made is not the
// miner's fault.
func (r *requests) ask(ctx context.Context, p peer, body []byte, emit func(relay.Chunk) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", relay.ErrValidator, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if err := axon.Sign(request, r.keypair, p.hotkey); err != nil {
		return fmt.Errorf("%w: %w", relay.ErrValidator, err)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return relay.OpenAI(response.Body, emit)
	case http.StatusNotFound:
		return errNoRecording
	default:
		return fmt.Errorf("status %d", response.StatusCode)
	}
}

func (r *requests) close() { r.client.CloseIdleConnections() }
