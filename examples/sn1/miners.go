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
	"sync/atomic"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/keys"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/subtensor"

	"github.com/organic-scoring/organic/examples/internal/wire"
)

// errNoMiners is returned while no miner has published an axon.
var errNoMiners = organic.Refuse(http.StatusServiceUnavailable, "no miner serves this subnet")

// question is what a miner is asked. Every field is always there, and none comes from the user:
// what a user may choose reveals to a miner that it is one.
type question struct {
	Stream      bool               `json:"stream"`
	Messages    []wire.ChatMessage `json:"messages"`
	Temperature float64            `json:"temperature"`
	MaxTokens   int                `json:"max_tokens"`
	Seed        uint32             `json:"seed"`
}

// miners makes all requests to miners: one client, one pool of connections and one source of
// parameters. It does not know for whom it asks. It is safe for concurrent use.
type miners struct {
	client   *http.Client
	keypair  *keys.Keypair
	minStake uint64
	targets  atomic.Pointer[[]subtensor.Neuron]

	mu     sync.Mutex // guards random
	random *rand.Rand
}

func newMiners(keypair *keys.Keypair, minStake, seed uint64) *miners {
	m := &miners{keypair: keypair, minStake: minStake, random: newRandom(seed, 2)}
	m.client = &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
		// A redirect would send the text of users to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
	m.targets.Store(new([]subtensor.Neuron))
	return m
}

// newRandom is seeded by chance for a seed of 0, so that miners cannot compute what comes.
func newRandom(seed, stream uint64) *rand.Rand {
	if seed == 0 {
		seed, stream = rand.Uint64(), rand.Uint64()
	}
	return rand.New(rand.NewPCG(seed, stream))
}

// use takes the neurons to ask from the metagraph: those with an axon that are no validators.
func (m *miners) use(metagraph subtensor.Metagraph) {
	var targets []subtensor.Neuron
	for _, neuron := range metagraph.Targets() {
		validator := neuron.Permit && neuron.Stake >= m.minStake
		if !validator && neuron.Hotkey != m.keypair.Hotkey() {
			targets = append(targets, neuron)
		}
	}
	m.targets.Store(&targets)
}

// ask returns all miners, to be asked the same, and their hotkeys.
func (m *miners) ask(text string) (map[organic.UID]relay.Miner, map[organic.UID]string, error) {
	targets := *m.targets.Load()
	if len(targets) == 0 {
		return nil, nil, errNoMiners
	}
	body, err := json.Marshal(m.question(text))
	if err != nil {
		return nil, nil, err
	}
	asked, hotkeys := make(map[organic.UID]relay.Miner), make(map[organic.UID]string)
	for _, target := range targets {
		hotkeys[target.UID] = target.Hotkey.String()
		asked[target.UID] = func(ctx context.Context, emit func(relay.Chunk) error) error {
			return m.send(ctx, target, body, emit)
		}
	}
	return asked, hotkeys, nil
}

// question draws the parameters of a prompt.
func (m *miners) question(text string) question {
	m.mu.Lock()
	defer m.mu.Unlock()
	return question{
		Stream:      true,
		Messages:    []wire.ChatMessage{{Role: "user", Content: text}},
		Temperature: float64(m.random.IntN(101)) / 100,
		MaxTokens:   256 << m.random.IntN(3),
		Seed:        m.random.Uint32(),
	}
}

// send asks one miner and emits its answer. A request that cannot be made is not the miner's fault.
func (m *miners) send(
	ctx context.Context, to subtensor.Neuron, body []byte, emit func(relay.Chunk) error,
) error {
	url := "http://" + to.Axon.String() + wire.ChatPath
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err == nil {
		request.Header.Set("Content-Type", "application/json")
		err = axon.Sign(request, m.keypair, to.Hotkey)
	}
	if err != nil {
		return errors.Join(relay.ErrValidator, err)
	}
	response, err := m.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return relay.OpenAI(response.Body, emit)
}
