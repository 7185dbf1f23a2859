package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/organic-scoring/organic"
	"github.com/organic-scoring/organic/contrib/axon"
	"github.com/organic-scoring/organic/contrib/boltqueue"
	organicprom "github.com/organic-scoring/organic/contrib/prometheus"
	"github.com/organic-scoring/organic/contrib/relay"
	"github.com/organic-scoring/organic/contrib/subtensor"
	"github.com/organic-scoring/organic/contrib/weights"
)

// Prompt is a sample: a chat request, and, if it came from a user, what the miners answered then.
type Prompt struct {
	Request []byte
	Answers map[organic.UID]relay.Answer
}

// Validator serves users with the answers of miners, and scores these answers.
type Validator struct {
	*organic.OrganicScorer[Prompt, relay.Answer]
	organic.DefaultHooks[Prompt, relay.Answer]

	config
	client  *subtensor.Client
	queue   *boltqueue.Queue[Prompt]
	relay   *relay.Relay
	server  *axon.Server
	scores  *weights.Scores
	saver   *weights.Saver
	setter  *weights.Setter
	metrics *organicprom.Scorer
	allowed *axon.AllowList                    // the users
	targets atomic.Pointer[[]subtensor.Neuron] // who has an axon
}

// This makes the compiler name the wrong hook.
var _ organic.Hooks[Prompt, relay.Answer] = (*Validator)(nil)

// OnOrganicEntry streams the first good answer to the user. When all miners have answered, the
// request becomes a sample, also if the user has left.
func (v *Validator) OnOrganicEntry(
	ctx context.Context, w http.ResponseWriter, synapse *organic.Synapse,
) error {
	var chat struct {
		Stream   bool              `json:"stream"`
		Messages []json.RawMessage `json:"messages"`
	}
	if json.Unmarshal(synapse.Body, &chat) != nil || !chat.Stream || len(chat.Messages) == 0 {
		return organic.Refuse(http.StatusBadRequest, "must have messages, and stream set")
	}
	return v.relay.Serve(ctx, w, relay.Query{
		Miners: v.miners(synapse.Body),
		Done: func(ctx context.Context, result *relay.Result) error {
			if err := result.Err(); err != nil {
				return err // cut short, and not by the miners: nothing to score
			}
			_, err := v.EnqueueSample(ctx, organic.Sample[Prompt]{
				Payload:   Prompt{Request: synapse.Body, Answers: result.Answers},
				Requester: synapse.Requester, // for the guards
				Received:  result.Started,    // who held a UID then is rewarded
			})
			return err
		},
	})
}

// QueryMiners asks the miners if no user has.
func (v *Validator) QueryMiners(
	ctx context.Context, sample organic.Sample[Prompt],
) (map[organic.UID]relay.Answer, error) {
	if sample.Payload.Answers != nil {
		return sample.Payload.Answers, nil
	}
	return v.relay.Ask(ctx, relay.Query{Miners: v.miners(sample.Payload.Request)})
}

// GenerateReference asks a model server of the validator's own.
func (v *Validator) GenerateReference(
	ctx context.Context, sample organic.Sample[Prompt],
) (relay.Answer, error) {
	own := ask(http.DefaultClient, v.reference, sample.Payload.Request)
	answers, err := v.relay.Ask(ctx, relay.Query{Miners: map[organic.UID]relay.Miner{0: own}})
	if err != nil {
		return relay.Answer{}, err
	}
	return answers[0], answers[0].Err // an error: the sample comes back later
}

// GenerateRewards gives each miner the share of the reference's words that it has said.
func (v *Validator) GenerateRewards(
	_ context.Context, _ organic.Sample[Prompt],
	answers map[organic.UID]relay.Answer, reference relay.Answer,
) (organic.Rewards, error) {
	words := strings.Fields(strings.ToLower(reference.Text()))
	rewards := make(organic.Rewards)
	for uid, answer := range answers {
		if !answer.Scorable() {
			continue // not the miner's fault
		}
		text, found := strings.ToLower(answer.Text()), 0
		for _, word := range words {
			if strings.Contains(text, word) {
				found++
			}
		}
		rewards[uid] = float64(found) / float64(max(len(words), 1))
	}
	return rewards, nil
}

// SetWeights counts the rewards, each sample once. The setter makes weights of them later.
func (v *Validator) SetWeights(
	_ context.Context, sample organic.Sample[Prompt], rewards organic.Rewards,
) error {
	_, err := v.scores.Update(weights.RoundOf(sample), rewards)
	return err
}

// miners returns those of the subnet, each asked by a request that is signed for it.
func (v *Validator) miners(request []byte) map[organic.UID]relay.Miner {
	miners := make(map[organic.UID]relay.Miner)
	targets := v.targets.Load()
	if targets == nil {
		return nil // the metagraph has not been read yet
	}
	for _, neuron := range *targets {
		if neuron.Hotkey == v.keypair.Hotkey() {
			continue
		}
		signing := &axon.Transport{Keypair: v.keypair, Receiver: neuron.Hotkey}
		url := "http://" + neuron.Axon.String() + chatPath
		miners[neuron.UID] = ask(&http.Client{Transport: signing}, url, request)
	}
	return miners
}

// ask returns a miner that answers as servers of OpenAI's API do.
func ask(client *http.Client, url string, body []byte) relay.Miner {
	return func(ctx context.Context, emit func(relay.Chunk) error) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("%w: %w", relay.ErrValidator, err) // not the miner's fault
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return relay.OpenAI(response.Body, emit)
	}
}
